// HTTP/1.1 on one connection: requests one after the other, each answered before the next is read.
#pragma once

#include "transport/server.hpp"
#include "transport/socket.hpp"

#include <string>

namespace travelchat::transport {

class Shard;

// Serves a fresh connection until it ends or becomes a WebSocket. On the shard's thread.
void open_http_session(Shard& shard, Server::Place place, RawSocket socket, std::string remote_address);

}  // namespace travelchat::transport
