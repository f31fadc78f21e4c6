// A request that somebody else received: its values in, its answer out.
#pragma once

#include "server/server.hpp"
#include "websocket/relay.hpp"

#include <travelchat/beast_server.hpp>

#include <memory>
#include <utility>

namespace travelchat::transport {

class Shard;

// Where an answer goes, exactly once: dropped unanswered, it says that the server is closed.
class Answering {
 public:
  Answering(HttpRespond respond, std::shared_ptr<const Logger> logger) noexcept
      : respond_(std::move(respond)), logger_(std::move(logger)) {}
  Answering(Answering&& other) noexcept
      : respond_(std::exchange(other.respond_, nullptr)), logger_(std::move(other.logger_)) {}
  Answering& operator=(Answering&&) = delete;
  ~Answering();

  void operator()(HttpResponse response) noexcept;

 private:
  HttpRespond respond_;  // empty once it was called
  std::shared_ptr<const Logger> logger_;
};

// What every refusal looks like.
HttpResponse refusal(const ErrorInfo& error);

// On the shard's thread.
void answer_handed_request(Shard& shard, Server::Place place, HttpRequest request, Answering answering);
// The same for the request of a WebSocket whose frames are carried by somebody else.
void open_carried_socket(Shard& shard, Server::Place place, HttpRequest request, Relay relay);

}  // namespace travelchat::transport
