// What a shard counts. Written by its thread, read by any.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace travelchat::transport {

// One writer at a time: no locked instruction is needed to add.
class Counter {
 public:
  void add(std::uint64_t n) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t n) noexcept { add(~n + 1); }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// The close codes that are counted by themselves; the last entry stands for any other.
inline constexpr std::array<std::uint16_t, 17> counted_close_codes = {
    1000, 1001, 1002, 1003, 1005, 1007, 1008, 1009, 1011, 1012, 4400, 4401, 4403, 4404, 4408, 4429, 0};

struct Counters {
  Counter outbox_bytes;      // gauge
  Counter http_connections;  // gauge
  Counter chat_sockets;      // gauge
  Counter inbox_sockets;     // gauge
  Counter bytes_sent;
  Counter bytes_received;
  Counter writes;  // system calls, or TLS equivalents
  Counter frames_sent;
  Counter frames_received;
  std::array<Counter, 5> answers;  // 1xx to 5xx
  std::array<Counter, counted_close_codes.size()> closes;

  Counter& closes_with(std::uint16_t code) noexcept {
    std::size_t i = 0;
    while (i + 1 < counted_close_codes.size() && counted_close_codes[i] != code) ++i;
    return closes[i];
  }
};

}  // namespace travelchat::transport
