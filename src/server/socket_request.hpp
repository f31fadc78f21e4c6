// A request for one of the chat's sockets whose handshake is in order, and how it is let in.
#pragma once

#include "http/request.hpp"
#include "http/request_checks.hpp"
#include "server/chat_loop.hpp"
#include "server/chat_server.hpp"
#include "websocket/external_channel.hpp"
#include "websocket/web_socket.hpp"

#include <travelchat/host.hpp>
#include <travelchat/http.hpp>

#include <optional>
#include <string>
#include <utility>

namespace travelchat::server {

struct SocketRequest {
  explicit SocketRequest(http::ConnectionSlot slot) noexcept : upgrade(std::move(slot)) {}

  websocket::Upgrade upgrade;
  bool is_inbox = false;
  bool origin_ok = false;
  std::optional<http::Query> query;  // nullopt: malformed
  std::optional<std::string> chat_token;
  RequestCredentials credentials;
};

// What a request on a connection asks for. Its path is one of the two where WebSockets are.
SocketRequest read_socket_request(const http::Request& request, const ChatServer& server,
                                  http::UpgradedConnection connection);

// Decides who it is, hands it to the loop where it belongs, and opens it there; a refused one is opened and closed with
// its code. On the loop of the connection.
void open_web_socket(ChatLoop& loop, SocketRequest request);
// The same for one on an external connection.
void open_external_socket(ChatLoop& loop, http::ConnectionSlot slot, HttpRequest request, websocket::ExternalPeer peer);

}  // namespace travelchat::server
