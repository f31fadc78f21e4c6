#include "websocket/tcp_web_socket.hpp"

#include <boost/asio/post.hpp>

#include <string>

namespace travelchat::websocket {
namespace {

// Reads in one turn, so that a peer that sends without end does not keep the loop from others.
constexpr int max_reads = 4;

const http::Buffer& ping_buffer() {
  static const http::Buffer buffer = std::make_shared<const std::string>(ping_frame);
  return buffer;
}

}  // namespace

TcpWebSocket::TcpWebSocket(SocketLoop& loop, Upgrade& upgrade)
    : WebSocket(loop, upgrade),
      socket_(loop.context(), std::move(upgrade.socket)),
      outbox_(loop, socket_, *this),
      heard_(std::chrono::steady_clock::now()),
      next_ping_(heard_ + loop.socket_options().ping_interval) {}

void TcpWebSocket::open(const Upgrade& upgrade, const ErrorInfo* refusal) {
  if (stage_ != Stage::unopened) return;
  stage_ = Stage::open;
  if (!socket_.is_open()) {
    gone();
    return;
  }
  std::string answer =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
  answer += upgrade.accept_key;
  if (!upgrade.subprotocol.empty()) {
    answer += "\r\nSec-WebSocket-Protocol: ";
    answer += upgrade.subprotocol;
  }
  answer += "\r\n\r\n";
  loop_.counters().answers[0].add(1);
  outbox_.append(std::move(answer));
  if (refusal != nullptr)
    close_with(*refusal);
  else
    opened();
  if (loop_.draining()) close(describe(errc::closed).close_code);
  if (upgrade.early_bytes.empty()) {
    wait();
    return;
  }
  // Posted, so that it runs after what `opened` has posted and a message may need.
  boost::asio::post(loop_.context(), [self = std::static_pointer_cast<TcpWebSocket>(shared_from_this()),
                                      bytes = upgrade.early_bytes]() mutable {
    self->consume(bytes);
    self->wait();
  });
}

void TcpWebSocket::wait() {
  if (stage_ == Stage::gone) return;
  socket_.wait_readable([self = std::static_pointer_cast<TcpWebSocket>(shared_from_this())](const error_code& ec) {
    if (ec)
      self->gone();
    else
      self->read();
  });
}

void TcpWebSocket::read() {
  const auto scratch = loop_.scratch();
  for (int reads = 0; reads < max_reads && stage_ != Stage::gone; ++reads) {
    const auto [size, state] = socket_.read(scratch.data(), scratch.size());
    if (state == http::Socket::State::blocked) break;
    if (state != http::Socket::State::ok) {
      gone();
      return;
    }
    loop_.counters().bytes_received.add(size);
    heard_ = std::chrono::steady_clock::now();
    consume(scratch.first(size));
    if (!socket_.has_tls() && size < scratch.size()) break;
  }
  wait();
}

// What comes once the closing handshake has begun is read, so that the connection is not reset, and ignored.
void TcpWebSocket::consume(std::span<char> bytes) {
  if (stage_ != Stage::open) return;
  const std::uint16_t fault = reader_.consume(bytes, loop().socket_options().frames, *this);
  if (fault != 0) close(fault);
}

void TcpWebSocket::on_message(std::string_view text) {
  if (stage_ != Stage::open) return;
  loop().socket_counters().messages_received.add(1);
  received(text);
}

void TcpWebSocket::ping() {
  send(ping_buffer());
}

void TcpWebSocket::on_ping(std::string_view payload) {
  if (stage_ != Stage::open) return;
  std::string pong;
  append_pong_frame(payload, pong);
  send(std::make_shared<const std::string>(std::move(pong)));
}

void TcpWebSocket::on_close(std::uint16_t code) {
  close(code);
}

void TcpWebSocket::send(http::Buffer frames) {
  if (stage_ != Stage::open) return;
  if (outbox_.would_exceed(loop().socket_options().max_outbox_bytes, frames->size())) {
    outbox_.drop_unsent(frame_boundary);
    socket_.widen_send_buffer();
    close_with(describe(errc::too_slow));
    return;
  }
  count_sent(frames->size());
  outbox_.append(std::move(frames));
}

void TcpWebSocket::close(std::uint16_t code, std::string_view reason) {
  if (!leave_open(Stage::closing, code)) return;
  std::string frame;
  append_close_frame(code, reason, frame);
  outbox_.append(std::move(frame));
  outbox_.seal();
  outbox_.notify_when_drained();
  deadline_ = std::chrono::steady_clock::now() + loop().socket_options().close_timeout;
}

void TcpWebSocket::outbox_drained() {
  if (stage_ == Stage::closing) end_output();
}

// Our close frame is out. The peer answers with its own and waits for the end of the stream, which it gets at once;
// what it still sends is read until it ends too, or until the deadline.
void TcpWebSocket::end_output() {
  stage_ = Stage::ending;
  socket_.shutdown_write();
}

void TcpWebSocket::gone() {
  if (stage_ == Stage::gone) return;
  outbox_.seal();
  leave_open(Stage::gone, 0);
  stage_ = Stage::gone;
  socket_.close();
}

void TcpWebSocket::tick(const http::Now& now) {
  const SocketOptions& options = loop().socket_options();
  if (stage_ == Stage::open) {
    if (now.steady - heard_ >= options.silence_timeout) {
      gone();
    } else if (!close_if_expired(now) && now.steady >= next_ping_) {
      next_ping_ = now.steady + options.ping_interval;
      send(loop().heartbeat());
    }
  } else if (stage_ > Stage::open && stage_ != Stage::gone && now.steady >= deadline_) {
    gone();
  }
}

}  // namespace travelchat::websocket
