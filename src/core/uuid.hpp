// The parts of a version 7 id (RFC 9562 section 5.7), apart from where their time and randomness come from.
//
// `UuidClock` may be shared by threads.
#pragma once

#include <travelchat/types.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace travelchat {

// Gives ticks that strictly increase: 48 bits of Unix milliseconds, then a 12-bit counter (RFC 9562 section 6.2, method
// 1). When the clock steps back, or more than 4,096 ids fall into one millisecond, ticks run on from the last one,
// which puts the time in them ahead of the clock until it has caught up.
class UuidClock {
 public:
  std::uint64_t tick(TimePoint now) noexcept {
    const auto since_epoch = std::clamp<std::int64_t>(now.time_since_epoch().count(), 0, max_milliseconds);
    const std::uint64_t floor = static_cast<std::uint64_t>(since_epoch) << 12;
    std::uint64_t last = last_.load(std::memory_order_relaxed);
    std::uint64_t next = 0;
    do {
      next = std::max(floor, last + 1);
    } while (!last_.compare_exchange_weak(last, next, std::memory_order_relaxed));
    return next;
  }

 private:
  static constexpr std::int64_t max_milliseconds = (std::int64_t{1} << 48) - 1;

  std::atomic<std::uint64_t> last_{0};
};

// The id of a tick. Of `random` the lower 62 bits are used.
inline Uuid make_uuid_v7(std::uint64_t tick, std::uint64_t random) noexcept {
  const std::uint64_t high = ((tick >> 12) << 16) | 0x7000 | (tick & 0x0FFF);
  const std::uint64_t low = (std::uint64_t{2} << 62) | (random & ~(std::uint64_t{3} << 62));
  Uuid id;
  for (unsigned i = 0; i < 8; ++i) {
    id.bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    id.bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  return id;
}

}  // namespace travelchat
