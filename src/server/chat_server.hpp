// The chat over HTTP and WebSocket: the inside of a BeastServer.
//
// After `start` everything but the limits is read-only.
#pragma once

#include "http/exchange.hpp"
#include "http/route_pattern.hpp"
#include "http/server.hpp"
#include "server/chat_loop.hpp"
#include "server/limits.hpp"
#include "server/route_table.hpp"

#include <travelchat/beast_server.hpp>
#include <travelchat/engine.hpp>
#include <travelchat/host.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace travelchat::server {

class ChatServer : public http::Server {
 public:
  // Throws OptionError, and boost::system::system_error when the TLS files cannot be used.
  ChatServer(ChatEngine& engine, Host& host, BeastServerOptions options);

  // ---- The embedder's side ----
  // Throws std::logic_error, with the name of the call, once `start` has begun: connections read without a lock.
  void require_unstarted(const char* call) const;
  std::string metrics() const;
  static bool serves(std::string_view target, const http::BasePath& base);
  ExternalSocket open_socket(HttpRequest upgrade, std::shared_ptr<ExternalConnection> connection);

  // Before `start` only.
  HostRoutes host_routes;
  HttpHandler fallback;
  BeastServer::FallbackMethods fallback_methods = BeastServer::FallbackMethods::reads;

  // ---- The connections' side ----
  ChatEngine& engine() const noexcept { return engine_; }
  // Not after the loop was aborted.
  Host& host() const noexcept { return host_; }
  const BeastServerOptions& chat_options() const noexcept { return options_; }
  ChatLoop& loop(std::size_t index) noexcept { return static_cast<ChatLoop&>(Server::loop(index)); }
  const ChatLoop& loop(std::size_t index) const noexcept { return static_cast<const ChatLoop&>(Server::loop(index)); }
  const http::BasePath& base_path() const noexcept { return base_path_; }
  // The segments by which the chat knows a path; none when it is not the chat's.
  std::span<const std::string_view> chat_path(const http::TargetPath& path) const noexcept {
    return base_path_.strip(path.segments());
  }
  Limits& limits() noexcept { return limits_; }

 private:
  void dispatch(http::Exchange exchange) override;
  http::Sharing sharing_of(const http::Request& request, std::string_view method,
                           const http::TargetPath& path) const override;

  ChatEngine& engine_;
  Host& host_;
  const BeastServerOptions options_;
  http::BasePath base_path_;
  Limits limits_;
};

}  // namespace travelchat::server
