#include "server/chat_server.hpp"

#include "server/router.hpp"
#include "server/server_options.hpp"
#include "server/socket_request.hpp"
#include "websocket/external_channel.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace travelchat::server {

ChatServer::ChatServer(ChatEngine& engine, Host& host, BeastServerOptions options)
    : Server(to_http_options(checked(options)),
             std::make_shared<const Logger>(options.log ? options.log : engine.log())),
      engine_(engine),
      host_(host),
      options_(std::move(options)),
      base_path_(options_.base_path),
      limits_(options_.rate_limits) {
  for (std::size_t i = 0; i < engine.shard_count(); ++i) {
    add_loop(std::make_unique<ChatLoop>(*this, engine.shard_context(i)));
  }
}

void ChatServer::require_unstarted(const char* call) const {
  if (has_started()) throw std::logic_error(std::string("BeastServer::") + call + " comes before start");
}

bool ChatServer::serves(std::string_view target, const http::BasePath& base) {
  const std::string_view raw_path = http::split_target(target).first;
  const auto path = http::TargetPath::parse(raw_path);
  // A malformed path is the chat's when it begins as one of the chat's paths.
  if (!path) {
    return raw_path.starts_with(base.text()) && std::ranges::any_of(chat_roots(), [&](std::string_view root) {
             return raw_path.substr(base.text().size()).starts_with(root);
           });
  }
  const auto segments = base.strip(path->segments());
  if (is_socket_path(segments)) return true;
  http::Pattern::Params ignored;
  return std::ranges::any_of(chat_routes(),
                             [&](const ChatRoute& route) { return route.pattern.match(segments, ignored); });
}

void ChatServer::dispatch(http::Exchange exchange) {
  route(ChatExchange(std::move(exchange)));
}

http::Sharing ChatServer::sharing_of(const http::Request& request, std::string_view method,
                                     const http::TargetPath& path) const {
  return server::sharing_of(*this, request, method, chat_path(path));
}

ExternalSocket ChatServer::open_socket(HttpRequest upgrade, std::shared_ptr<ExternalConnection> connection) {
  auto channel =
      std::make_shared<ExternalSocket::Channel>(run_state(), std::move(connection), options_.max_outbox_bytes);
  ExternalSocket socket(channel);
  websocket::ExternalPeer peer(channel);
  if (!try_take_slot()) {
    peer.close(describe(errc::overloaded).close_code, describe(errc::overloaded).name);
    return socket;
  }
  auto& loop = static_cast<ChatLoop&>(next_loop());
  auto begin = [&loop, slot = http::ConnectionSlot(shared_from_this()), asked = std::move(upgrade),
                from = std::move(peer)]() mutable {
    if (!loop.draining()) open_external_socket(loop, std::move(slot), std::move(asked), std::move(from));
  };
  run_state()->if_running([&] { boost::asio::post(loop.context(), std::move(begin)); });
  return socket;
}

}  // namespace travelchat::server
