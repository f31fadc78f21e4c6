// How often somebody may do something: a sliding window for each key.
//
// Any thread; the clock is the caller's.
#pragma once

#include <travelchat/beast_server.hpp>

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace travelchat::transport {

class RateLimiter {
 public:
  using Clock = std::chrono::steady_clock;

  // Remembers at most `max_keys` keys. When that is not enough, idle ones go first, then any one: a flood of keys makes
  // the limiter forget, never grow.
  explicit RateLimiter(RateLimit limit, std::size_t max_keys = 65'536) : limit_(limit), max_keys_(max_keys) {}

  // Counts one more for `key` and returns zero, or refuses (and counts nothing) and returns how long until one is
  // allowed.
  std::chrono::milliseconds take(std::string_view key, Clock::time_point now);

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const noexcept { return std::hash<std::string_view>{}(key); }
  };

  // The times of the last `limit_.count` events; once full, `next` is the oldest.
  struct Events {
    std::vector<Clock::time_point> times;
    std::size_t next = 0;
    Clock::time_point newest;
  };

  void make_room(Clock::time_point now);

  RateLimit limit_;
  std::size_t max_keys_;
  std::mutex mutex_;
  std::unordered_map<std::string, Events, Hash, std::equal_to<>> events_;
};

}  // namespace travelchat::transport
