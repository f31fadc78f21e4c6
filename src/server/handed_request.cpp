#include "server/handed_request.hpp"

#include "http/exchange.hpp"
#include "http/request.hpp"
#include "websocket/web_socket.hpp"

#include <travelchat/wire.hpp>

namespace travelchat::transport {
namespace {

std::size_t header_bytes(const HttpRequest& request) noexcept {
  std::size_t size = request.method.size() + request.target.size();
  for (const auto& [name, value] : request.headers) size += name.size() + value.size() + 4;
  return size;
}

class HandedRequest final : public Request {
 public:
  HandedRequest(Shard& shard, Server::Place place, HttpRequest&& request, Answering answering)
      : Request(shard, request.remote_address, std::move(request.context)),
        place_(std::move(place)),
        answering_(std::move(answering)),
        header_bytes_(header_bytes(request)),
        is_path_too_long_(split_target(request.target).first.size() > shard.server().options().max_header_bytes),
        is_secure_(request.is_secure) {
    message_.version(11);
    // Beast throws at fields that are far too long.
    if (header_bytes_ <= shard.server().options().max_header_bytes) {
      message_.method_string(request.method);
      message_.target(request.target);
      for (const auto& [name, value] : request.headers) message_.insert(name, value);
    }
    message_.body() = std::move(request.body);
    begin(message_);
    find_client();
  }

  static void start(const std::shared_ptr<HandedRequest>& self) {
    const BeastServerOptions& options = self->shard().server().options();
    if (self->shard().draining())
      self->refuse(errc::closed);
    else if (self->header_bytes_ > options.max_header_bytes)
      self->refuse(self->is_path_too_long_ ? errc::not_found : errc::headers_too_large);
    else if (self->message_.body().size() > options.max_body_bytes || self->declared_bytes() > options.max_body_bytes)
      self->refuse(errc::payload_too_large);
    else if (!self->is_in_order())
      self->refuse(errc::invalid_argument);
    else
      self->dispatch(Exchange(self));
  }

  void open_socket(Relay relay) {
    const auto [raw_path, raw_query] = split_target(target());
    auto path = TargetPath::parse(raw_path);
    if (!is_in_order()) {
      const ErrorInfo& error = describe(errc::invalid_argument);
      relay.close(error.close_code, error.name);
    } else if (path && is_socket_path(chat_path(*path))) {
      Upgrade asked = to_upgrade(std::move(place_), *path, raw_query);
      asked.relay.emplace(std::move(relay));
      open_web_socket(shard(), std::move(asked));
    } else {
      const ErrorInfo& error = describe(errc::not_found);
      relay.close(error.close_code, error.name);
    }
  }

  void answer(Answer answer) override {
    std::string lines;
    append_headers(answer, lines);
    HttpResponse response;
    response.status = answer.status;
    for (std::string_view rest = lines; !rest.empty();) {
      const std::string_view line = rest.substr(0, rest.find("\r\n"));
      rest.remove_prefix(line.size() + 2);
      const std::size_t colon = line.find(':');
      response.headers.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
    }
    record(view(message_.method_string()), split_target(target()).first, answer.status, answer.size());
    response.body = std::move(answer.body);
    response.shared_body = std::move(answer.shared_body);
    // Whoever has the answer may ask the next thing at once.
    place_.give_back();
    answering_(std::move(response));
  }

  bool is_secure() const noexcept override { return is_secure_; }

 private:
  // A connection can become a socket only where it is: see `BeastServer::adopt` and `open_socket`.
  void upgrade(Exchange exchange, std::string_view) override { fail_upgrade(std::move(exchange)); }

  bool is_in_order() const noexcept { return message_.count(Field::host) == 1 && !is_ambiguous(); }

  // Whoever sees by its length that a body is too long need not read it.
  std::uint64_t declared_bytes() const noexcept { return parse_number(header(Field::content_length)).value_or(0); }

  Server::Place place_;
  Answering answering_;
  Message message_;
  std::size_t header_bytes_;
  bool is_path_too_long_;  // then it names nothing, as for a connection
  bool is_secure_;
};

}  // namespace

Answering::~Answering() {
  if (respond_) (*this)(refusal(describe(errc::closed)));
}

void Answering::operator()(HttpResponse response) noexcept {
  if (!respond_) return;
  try {
    std::exchange(respond_, nullptr)(std::move(response));
  } catch (...) {
    logger_->caught("respond_threw", "handle");
  }
}

HttpResponse refusal(const ErrorInfo& error) {
  HttpResponse response;
  response.status = error.http_status;
  response.headers = {
      {"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-store"}, {"Content-Type", "application/json"}};
  response.body = wire::error_body(error);
  return response;
}

void answer_handed_request(Shard& shard, Server::Place place, HttpRequest request, Answering answering) {
  HandedRequest::start(
      std::make_shared<HandedRequest>(shard, std::move(place), std::move(request), std::move(answering)));
}

void open_carried_socket(Shard& shard, Server::Place place, HttpRequest request, Relay relay) {
  HandedRequest(shard, std::move(place), std::move(request), Answering(nullptr, nullptr)).open_socket(std::move(relay));
}

}  // namespace travelchat::transport
