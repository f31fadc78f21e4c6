// How often somebody may do something: a sliding window for each key.
//
// Any thread; the clock is the caller's. Each call does a bounded amount of work under the lock, however many keys
// there are.
#pragma once

#include <travelchat/http.hpp>

#include <chrono>
#include <cstddef>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace travelchat::http {

class RateLimiter {
 public:
  using Clock = std::chrono::steady_clock;

  // Remembers at most `max_keys` keys, 0 taken as 1. When there are more, keys are forgotten: first those without an
  // event for a window, then of those below the limit the one without an event for the longest time, and a key at its
  // limit only when all others are at theirs. So somebody who invents keys has to bring each of them to the limit
  // before a key at its limit is forgotten.
  explicit RateLimiter(RateLimit limit, std::size_t max_keys = 65'536);

  // Counts one more for `key` and returns zero, or refuses (and counts nothing) and returns how long until one is
  // allowed.
  std::chrono::milliseconds take(std::string_view key, Clock::time_point now);
  // What `take` would return. Counts nothing.
  std::chrono::milliseconds delay(std::string_view key, Clock::time_point now);

  bool is_off() const noexcept { return limit_.count == 0; }

 private:
  // `times`: of the last `limit_.count` events; once full, `next` is the oldest.
  struct Entry {
    explicit Entry(std::string_view of) : key(of) {}
    std::string key;
    std::vector<Clock::time_point> times;
    std::size_t next = 0;
    Clock::time_point newest;
  };
  // Sorted by `newest`, the latest first.
  using Entries = std::list<Entry>;

  Entries& list_of(const Entry& entry) noexcept { return entry.times.size() < limit_.count ? below_ : at_limit_; }
  std::chrono::milliseconds delay(const Entry& entry, Clock::time_point now) const noexcept;
  void forget_oldest(Entries& entries);
  bool forget_idle(Entries& entries, Clock::time_point now);

  const RateLimit limit_;
  const std::size_t max_keys_;
  std::mutex mutex_;
  Entries below_;
  Entries at_limit_;
  std::unordered_map<std::string_view, Entries::iterator> by_key_;  // views into the entries
};

}  // namespace travelchat::http
