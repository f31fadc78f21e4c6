// HTTP/1.1 on one connection: requests one after the other, each answered before the next is read.
#pragma once

#include "http/socket.hpp"
#include "server/server.hpp"

#include <travelchat/beast_server.hpp>

#include <string>
#include <string_view>

namespace travelchat::transport {

class Shard;

// Serves a fresh connection until it ends or becomes a WebSocket. On the shard's thread.
void open_http_session(Shard& shard, Server::Place place, RawSocket socket, std::string remote_address);
// Goes on where somebody else has read `request`, a WebSocket's, and the bytes `behind` it. The request is written out
// and parsed once more, so that nothing is checked differently. Any other answer than a socket ends the connection.
void open_adopted_session(Shard& shard, Server::Place place, RawSocket socket, const HttpRequest& request,
                          std::string_view behind);

}  // namespace travelchat::transport
