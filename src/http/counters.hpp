// What an event loop counts. Written by its thread, read by any.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace travelchat::http {

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

struct Counters {
  Counter connections;   // gauge; only those that speak HTTP
  Counter outbox_bytes;  // gauge
  Counter bytes_sent;
  Counter bytes_received;
  Counter writes;                  // system calls, or TLS equivalents
  std::array<Counter, 5> answers;  // 1xx to 5xx
};

}  // namespace travelchat::http
