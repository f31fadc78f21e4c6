// The options of the server, looked over before anything is made of them.
#pragma once

#include "http/options.hpp"
#include "websocket/socket_loop.hpp"

#include <travelchat/beast_server.hpp>

namespace travelchat::server {

// Throws OptionError.
BeastServerOptions checked(BeastServerOptions options);

// What of these, when they were checked, is about connections and about WebSockets.
http::Options to_http_options(const BeastServerOptions& options);
websocket::SocketOptions to_socket_options(const BeastServerOptions& options);

}  // namespace travelchat::server
