#include "websocket/relay_socket.hpp"

#include <travelchat/utf8.hpp>

#include <utility>

namespace travelchat::transport {
namespace {

constexpr std::uint16_t unsupported_data = 1003;
constexpr std::uint16_t bad_payload = 1007;
constexpr std::uint16_t too_big = 1009;

}  // namespace

RelaySocket::RelaySocket(Shard& shard, Upgrade& upgrade)
    : WebSocket(shard, upgrade),
      relay_(std::move(*upgrade.relay)),
      next_alive_(std::chrono::steady_clock::now() + shard.server().options().ping_interval) {}

RelaySocket::~RelaySocket() {
  shard_.counters().outbox_bytes.subtract(untaken_bytes_);
}

void RelaySocket::open(const Upgrade& upgrade, const ErrorInfo* refusal) {
  if (stage_ != Stage::unopened) return;
  stage_ = Stage::open;
  shard_.counters().answers[0].add(1);
  relay_.accept(upgrade.speaks_v1 ? "travelchat.v1" : "");
  if (refusal != nullptr)
    close_with(*refusal);
  else
    opened();
  if (shard_.draining()) drain();
  if (is_open()) relay_.attach(std::static_pointer_cast<RelaySocket>(shared_from_this()));
}

void RelaySocket::close(std::uint16_t code, std::string_view reason) {
  if (!leave_open(Stage::gone, code)) return;
  // The line lets go of this.
  const auto self = shared_from_this();
  relay_.close(code, reason);
}

void RelaySocket::send(Buffer frames) {
  if (!is_open() || frames->empty()) return;
  acknowledge();
  if (untaken_bytes_ != 0 && untaken_bytes_ + frames->size() > shard_.server().options().max_outbox_bytes) {
    close_with(describe(errc::too_slow));
    return;
  }
  untaken_.push_back(frames->size());
  untaken_bytes_ += frames->size();
  count_sent(frames->size());
  shard_.counters().outbox_bytes.add(frames->size());
  std::vector<std::string_view> texts = frame_payloads(*frames);
  relay_.send({std::move(frames), std::move(texts)});
}

void RelaySocket::acknowledge() {
  for (std::size_t batches = relay_.taken_batches(); batches > 0 && !untaken_.empty(); --batches) {
    untaken_bytes_ -= untaken_.front();
    shard_.counters().outbox_bytes.subtract(untaken_.front());
    shard_.counters().bytes_sent.add(untaken_.front());
    untaken_.pop_front();
  }
}

void RelaySocket::take(Received received) {
  for (const Received::Message& message : received.messages) {
    if (!is_open()) return;
    take(message);
  }
  if (received.flooded) close_with(describe(errc::rate_limited));
  if (received.ended && leave_open(Stage::gone, 0)) {
    const auto self = shared_from_this();
    relay_.close(1000, {});
  }
}

void RelaySocket::take(const Received::Message& message) {
  shard_.counters().bytes_received.add(message.text.size());
  if (message.is_binary) {
    close(unsupported_data);
  } else if (message.text.size() > shard_.server().options().max_frame_bytes) {
    close(too_big);
  } else if (!is_valid_utf8(message.text)) {
    close(bad_payload);
  } else {
    shard_.counters().frames_received.add(1);
    received(message.text);
  }
}

void RelaySocket::tick(const Now& now) {
  acknowledge();
  if (!is_open() || close_if_expired(now) || now.steady < next_alive_) return;
  next_alive_ = now.steady + shard_.server().options().ping_interval;
  send(shard_.alive());
}

}  // namespace travelchat::transport
