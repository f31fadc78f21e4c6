#include <travelchat/beast_server.hpp>

#include "server/chat_server.hpp"
#include "server/server_options.hpp"

#include "wire/socket_text.hpp"

namespace travelchat {

std::optional<OptionError> find_problem(const BeastServerOptions& options) {
  try {
    server::checked(options);
    return std::nullopt;
  } catch (const OptionError& refused) {
    return refused;
  }
}

class BeastServer::Impl : public server::ChatServer {
 public:
  using ChatServer::ChatServer;
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
  impl_->host_routes.add(std::move(method), std::move(pattern), std::move(handler), impl_->chat_options().metrics,
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
  return server::ChatServer::serves(target, http::BasePath(base_path));
}

void BeastServer::handle(HttpRequest request, HttpRespond respond) {
  impl_->handle(std::move(request), std::move(respond));
}

error_code BeastServer::adopt(int descriptor, HttpRequest upgrade, std::string head) {
  return impl_->adopt(http::RawSocket(descriptor, nullptr), std::move(upgrade), std::move(head));
}

ExternalSocket BeastServer::open_socket(HttpRequest upgrade, std::shared_ptr<ExternalConnection> connection) {
  return impl_->open_socket(std::move(upgrade), std::move(connection));
}

void BeastServer::stop(std::chrono::milliseconds grace) {
  impl_->stop(grace);
}

std::string BeastServer::metrics() const {
  return impl_->metrics();
}

}  // namespace travelchat
