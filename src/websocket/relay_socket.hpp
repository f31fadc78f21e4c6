// A WebSocket whose frames somebody else carries; see travelchat/carried_socket.hpp.
//
// Kept alive by its line until it is closed, and by its subscription.
#pragma once

#include "websocket/frame_reader.hpp"
#include "websocket/relay.hpp"
#include "websocket/web_socket.hpp"

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>

namespace travelchat::websocket {

class RelaySocket : public WebSocket {
 public:
  RelaySocket(SocketLoop& loop, Upgrade& upgrade);
  ~RelaySocket() override;

  // Has the carrier accept, and then does what `opened` does.
  void open(const Upgrade& upgrade, const ErrorInfo* refusal) final;
  // Its carrier pings the peer and watches over it, so an open one is never silent.
  void ping() final {}
  http::SteadyTime last_heard() const noexcept final { return http::SteadyTime::max(); }

  using WebSocket::close;
  void close(std::uint16_t code, std::string_view reason = {}) final;
  void tick(const http::Now& now) override;
  void cut() final { drain(); }

  void take(Received received);
  // Any thread.
  boost::asio::io_context& context() noexcept { return loop_.context(); }

 protected:
  // Whole frames. Closes with 4408 when the carrier does not get rid of them.
  void send(http::Buffer frames);

 private:
  void take(const Received::Message& message);
  void acknowledge();

  Relay relay_;
  std::deque<std::size_t> untaken_;  // the sizes of the batches that the carrier has
  std::size_t untaken_bytes_ = 0;
  http::SteadyTime next_alive_;
};

}  // namespace travelchat::websocket
