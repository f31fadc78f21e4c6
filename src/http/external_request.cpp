#include "http/external_request.hpp"

#include "http/exchange.hpp"

#include <string_view>

namespace travelchat::http {
namespace {

std::size_t header_bytes(const HttpRequest& request) noexcept {
  std::size_t size = request.method.size() + request.target.size();
  for (const auto& [name, value] : request.headers) size += name.size() + value.size() + 4;
  return size;
}

}  // namespace

Responder::~Responder() {
  if (respond_) fail(describe(errc::closed));
}

void Responder::respond(HttpResponse response) noexcept {
  if (!respond_) return;
  try {
    std::exchange(respond_, nullptr)(std::move(response));
  } catch (...) {
    logger_->caught("respond_threw", "handle");
  }
}

void Responder::fail(const ErrorInfo& error) noexcept {
  HttpResponse response;
  response.status = error.http_status;
  response.headers = {
      {"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-store"}, {"Content-Type", "application/json"}};
  response.body = error_body_(error);
  respond(std::move(response));
}

ExternalRequest::ExternalRequest(EventLoop& loop, ConnectionSlot slot, HttpRequest&& request, Responder responder)
    : Request(loop, request.remote_address, std::move(request.context)),
      slot_(std::move(slot)),
      responder_(std::move(responder)),
      header_bytes_(header_bytes(request)),
      is_path_too_long_(split_target(request.target).first.size() > loop.server().options().max_header_bytes),
      is_secure_(request.is_secure) {
  message_.version(11);
  // Beast throws at fields that are far too long.
  if (header_bytes_ <= loop.server().options().max_header_bytes) {
    message_.method_string(request.method);
    message_.target(request.target);
    for (const auto& [name, value] : request.headers) message_.insert(name, value);
  }
  message_.body() = std::move(request.body);
  begin(message_);
  find_client();
}

void ExternalRequest::start(const std::shared_ptr<ExternalRequest>& self) {
  const Options& options = self->loop().server().options();
  if (self->loop().draining())
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

void ExternalRequest::answer(Answer answer) {
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
  // Before the answer, because its receiver may send the next request at once, for which the slot must be free.
  slot_.give_back();
  responder_.respond(std::move(response));
}

void answer_external_request(EventLoop& loop, ConnectionSlot slot, HttpRequest request, Responder responder) {
  ExternalRequest::start(
      std::make_shared<ExternalRequest>(loop, std::move(slot), std::move(request), std::move(responder)));
}

}  // namespace travelchat::http
