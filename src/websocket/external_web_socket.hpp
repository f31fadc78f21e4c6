// A WebSocket on an external connection: somebody else reads and writes its frames. See travelchat/external_socket.hpp.
//
// Kept alive by its channel until it is closed.
#pragma once

#include "websocket/external_channel.hpp"
#include "websocket/frame_reader.hpp"
#include "websocket/web_socket.hpp"

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>

namespace travelchat::websocket {

class ExternalWebSocket : public WebSocket {
 public:
  ExternalWebSocket(SocketLoop& loop, Upgrade& upgrade);
  ~ExternalWebSocket() override;

  // Accepts the connection, then calls `opened`.
  void open(const Upgrade& upgrade, const ErrorInfo* refusal) final;
  // The connection's owner pings the peer and notices its end, so an open socket never counts as silent.
  void ping() final {}
  http::SteadyTime last_heard() const noexcept final { return http::SteadyTime::max(); }

  using WebSocket::close;
  void close(std::uint16_t code, std::string_view reason = {}) final;
  void tick(const http::Now& now) override;
  void abort() final { drain(); }

  void receive(Received received);
  // Any thread.
  boost::asio::io_context& context() noexcept { return loop_.context(); }

 protected:
  // Whole frames. Closes with 4408 when the connection does not send them fast enough.
  void send(http::Buffer frames);

 private:
  void receive(const Received::Message& message);
  void note_acknowledged();

  ExternalPeer peer_;
  std::deque<std::size_t> unacknowledged_;  // the sizes of batches, the oldest first
  std::size_t unacknowledged_bytes_ = 0;
  http::SteadyTime next_alive_;
};

}  // namespace travelchat::websocket
