// Finds the handler of a request: a route of the chat, a route that the embedder added, or the fallback.
#pragma once

#include "server/chat_exchange.hpp"

#include <span>
#include <string_view>

namespace travelchat::server {

// Answers it, at once or later. On the thread of its loop.
void route(ChatExchange exchange);

// Who may read the answer to `method` on a path of these segments: only the routes that need no session are shared.
http::Sharing sharing_of(const ChatServer& server, const http::Request& request, std::string_view method,
                         std::span<const std::string_view> segments);

// Whether a path is one of the two where WebSockets are.
bool is_socket_path(std::span<const std::string_view> segments) noexcept;

}  // namespace travelchat::server
