// An HTTP request to the chat that is being answered.
#pragma once

#include "http/exchange.hpp"
#include "server/chat_loop.hpp"
#include "server/chat_server.hpp"

#include <travelchat/host.hpp>

#include <utility>

namespace travelchat::server {

// The credentials of a request, for the host.
RequestCredentials credentials_of(const http::Request& request);

class ChatExchange : public http::Exchange {
 public:
  explicit ChatExchange(http::Exchange&& exchange) noexcept : Exchange(std::move(exchange)) {}

  ChatLoop& loop() const noexcept { return static_cast<ChatLoop&>(Exchange::loop()); }
  ChatServer& server() const noexcept { return loop().server(); }
  RequestCredentials credentials() const { return credentials_of(request()); }
};

}  // namespace travelchat::server
