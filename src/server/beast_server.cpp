#include <travelchat/beast_server.hpp>

#include "server/server.hpp"
#include "server/server_options.hpp"

#include "wire/socket_text.hpp"

namespace travelchat {

std::optional<OptionError> find_problem(const BeastServerOptions& options) {
  try {
    transport::checked(options);
    return std::nullopt;
  } catch (const OptionError& refused) {
    return refused;
  }
}

class BeastServer::Impl : public transport::Server {
 public:
  using transport::Server::Server;
};

BeastServer::BeastServer(ChatEngine& engine, Host& host, BeastServerOptions options)
    : impl_(std::make_shared<Impl>(engine, host, std::move(options))) {
  engine.use_encoder(wire::append_event_frame);
}

BeastServer::~BeastServer() {
  stop();
}

void BeastServer::route(std::string method, std::string pattern, HttpHandler handler) {
  impl_->require_unstarted("route");
  impl_->host_routes.add(std::move(method), std::move(pattern), std::move(handler), impl_->options().metrics,
                         impl_->base_path());
}

void BeastServer::fallback(HttpHandler handler, FallbackMethods methods) {
  impl_->require_unstarted("fallback");
  impl_->fallback = std::move(handler);
  impl_->fallback_methods = methods;
}

void BeastServer::access_log(AccessLog log) {
  impl_->require_unstarted("access_log");
  impl_->access_log = std::move(log);
}

error_code BeastServer::start() {
  return impl_->start();
}

std::uint16_t BeastServer::port() const noexcept {
  return impl_->port();
}

bool BeastServer::serves(std::string_view target, std::string_view base_path) {
  return transport::Server::serves(target, transport::BasePath(base_path));
}

void BeastServer::handle(HttpRequest request, HttpRespond respond) {
  impl_->handle(std::move(request), std::move(respond));
}

error_code BeastServer::adopt(int descriptor, HttpRequest upgrade, std::string head) {
  return impl_->adopt(transport::RawSocket(descriptor, nullptr), std::move(upgrade), std::move(head));
}

CarriedSocket BeastServer::open_socket(HttpRequest upgrade, std::shared_ptr<SocketCarrier> carrier) {
  return impl_->open_socket(std::move(upgrade), std::move(carrier));
}

void BeastServer::stop(std::chrono::milliseconds grace) {
  impl_->stop(grace);
}

std::string BeastServer::metrics() const {
  return impl_->metrics();
}

std::string_view HttpRequest::header(std::string_view name) const noexcept {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

std::optional<std::string_view> HttpRequest::query_value(std::string_view name) const noexcept {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

}  // namespace travelchat
