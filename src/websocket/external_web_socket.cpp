#include "websocket/external_web_socket.hpp"

#include <travelchat/utf8.hpp>

#include <utility>

namespace travelchat::websocket {
namespace {

constexpr std::uint16_t unsupported_data = 1003;
constexpr std::uint16_t bad_payload = 1007;
constexpr std::uint16_t too_big = 1009;

}  // namespace

ExternalWebSocket::ExternalWebSocket(SocketLoop& loop, Upgrade& upgrade)
    : WebSocket(loop, upgrade),
      peer_(std::move(*upgrade.external_peer)),
      next_alive_(std::chrono::steady_clock::now() + loop.socket_options().ping_interval) {}

ExternalWebSocket::~ExternalWebSocket() {
  loop_.counters().outbox_bytes.subtract(unacknowledged_bytes_);
}

void ExternalWebSocket::open(const Upgrade& upgrade, const ErrorInfo* refusal) {
  if (stage_ != Stage::unopened) return;
  stage_ = Stage::open;
  loop_.counters().answers[0].add(1);
  peer_.accept(upgrade.subprotocol);
  if (refusal != nullptr)
    close_with(*refusal);
  else
    opened();
  if (loop_.draining()) drain();
  if (is_open()) peer_.attach(std::static_pointer_cast<ExternalWebSocket>(shared_from_this()));
}

void ExternalWebSocket::close(std::uint16_t code, std::string_view reason) {
  if (!leave_open(Stage::gone, code)) return;
  // The channel lets go of this.
  const auto self = shared_from_this();
  peer_.close(code, reason);
}

void ExternalWebSocket::send(http::Buffer frames) {
  if (!is_open() || frames->empty()) return;
  note_acknowledged();
  if (unacknowledged_bytes_ != 0 && unacknowledged_bytes_ + frames->size() > loop().socket_options().max_outbox_bytes) {
    close_with(describe(errc::too_slow));
    return;
  }
  unacknowledged_.push_back(frames->size());
  unacknowledged_bytes_ += frames->size();
  count_sent(frames->size());
  loop_.counters().outbox_bytes.add(frames->size());
  std::vector<std::string_view> texts = frame_payloads(*frames);
  peer_.send({std::move(frames), std::move(texts)});
}

void ExternalWebSocket::note_acknowledged() {
  for (std::size_t batches = peer_.acknowledged_batches(); batches > 0 && !unacknowledged_.empty(); --batches) {
    unacknowledged_bytes_ -= unacknowledged_.front();
    loop_.counters().outbox_bytes.subtract(unacknowledged_.front());
    loop_.counters().bytes_sent.add(unacknowledged_.front());
    unacknowledged_.pop_front();
  }
}

void ExternalWebSocket::receive(Received received) {
  for (const Received::Message& message : received.messages) {
    if (!is_open()) return;
    receive(message);
  }
  if (received.flooded) close_with(describe(errc::rate_limited));
  if (received.ended && leave_open(Stage::gone, 0)) {
    const auto self = shared_from_this();
    peer_.close(1000, {});
  }
}

void ExternalWebSocket::receive(const Received::Message& message) {
  loop_.counters().bytes_received.add(message.text.size());
  if (message.is_binary) {
    close(unsupported_data);
  } else if (message.text.size() > loop().socket_options().frames.max_message_bytes) {
    close(too_big);
  } else if (!is_valid_utf8(message.text)) {
    close(bad_payload);
  } else {
    loop().socket_counters().messages_received.add(1);
    received(message.text);
  }
}

void ExternalWebSocket::tick(const http::Now& now) {
  note_acknowledged();
  if (!is_open() || close_if_expired(now) || now.steady < next_alive_) return;
  next_alive_ = now.steady + loop().socket_options().ping_interval;
  send(loop().alive());
}

}  // namespace travelchat::websocket
