// HTTP/1.1 on one connection: requests one after the other, each answered before the next is read.
#pragma once

#include "http/server.hpp"
#include "http/socket.hpp"

#include <travelchat/http.hpp>

#include <string>
#include <string_view>

namespace travelchat::http {

class EventLoop;

// Serves a fresh connection until it ends or is taken away from HTTP. On the loop's thread.
void open_session(EventLoop& loop, ConnectionSlot slot, RawSocket socket, std::string remote_address);
// Serves a connection on which another server has read `request`, for a WebSocket, and the bytes `behind` it. The
// request is serialized and parsed once more, so that the checks are the same. Any other answer than a socket ends the
// connection.
void open_adopted_session(EventLoop& loop, ConnectionSlot slot, RawSocket socket, const HttpRequest& request,
                          std::string_view behind);

}  // namespace travelchat::http
