// A WebSocket on a connection of the server's own: reads its peer's frames, sends its heartbeat, and sends
// everything through an outbox.
//
// It is cheap while nothing happens: no timer, no buffer and no coroutine of its own, one wait for readiness. Kept
// alive by that wait.
#pragma once

#include "http/outbox.hpp"
#include "http/socket.hpp"
#include "websocket/frame_reader.hpp"
#include "websocket/web_socket.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace travelchat::websocket {

class TcpWebSocket : public WebSocket, private FrameSink {
 public:
  TcpWebSocket(SocketLoop& loop, Upgrade& upgrade);

  // Sends the 101, calls `opened`, and then reads.
  void open(const Upgrade& upgrade, const ErrorInfo* refusal) final;
  void ping() final;
  http::SteadyTime last_heard() const noexcept final { return heard_; }

  using WebSocket::close;
  void close(std::uint16_t code, std::string_view reason = {}) final;
  void tick(const http::Now& now) override;
  void abort() final { gone(); }
  void outbox_drained() final;
  void outbox_broken() final { gone(); }

 protected:
  // Whole frames. Closes with 4408 when the peer does not keep up.
  void send(http::Buffer frames);

 private:
  void on_message(std::string_view text) final;
  void on_ping(std::string_view payload) final;
  void on_close(std::uint16_t code) final;

  void wait();
  void read();
  void consume(std::span<char> bytes);
  void end_output();
  void gone();

  http::Socket socket_;
  http::Outbox outbox_;
  FrameReader reader_;
  http::SteadyTime heard_;
  http::SteadyTime next_ping_;
  http::SteadyTime deadline_{};  // of the closing handshake
};

}  // namespace travelchat::websocket
