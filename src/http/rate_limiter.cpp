#include "http/rate_limiter.hpp"

#include <algorithm>

namespace travelchat::http {

using std::chrono::milliseconds;

RateLimiter::RateLimiter(RateLimit limit, std::size_t max_keys)
    : limit_(limit), max_keys_(std::max<std::size_t>(max_keys, 1)) {}

milliseconds RateLimiter::delay(const Entry& entry, Clock::time_point now) const noexcept {
  if (entry.times.size() < limit_.count) return milliseconds{0};
  const auto free_at = entry.times[entry.next] + limit_.window;
  if (free_at <= now) return milliseconds{0};
  return std::max(milliseconds{1}, std::chrono::ceil<milliseconds>(free_at - now));
}

milliseconds RateLimiter::delay(std::string_view key, Clock::time_point now) {
  if (is_off()) return milliseconds{0};
  const std::scoped_lock lock(mutex_);
  const auto known = by_key_.find(key);
  return known == by_key_.end() ? milliseconds{0} : delay(*known->second, now);
}

milliseconds RateLimiter::take(std::string_view key, Clock::time_point now) {
  if (is_off()) return milliseconds{0};
  const std::scoped_lock lock(mutex_);
  Entries::iterator at;
  if (const auto known = by_key_.find(key); known != by_key_.end()) {
    at = known->second;
    if (const auto wait = delay(*at, now); wait.count() > 0) return wait;
  } else {
    // Each added key removes up to two idle ones from each list, so idle keys do not pile up.
    for (Entries* entries : {&below_, &at_limit_}) {
      if (forget_idle(*entries, now)) forget_idle(*entries, now);
    }
    if (by_key_.size() >= max_keys_) forget_oldest(below_.empty() ? at_limit_ : below_);
    at = below_.emplace(below_.begin(), key);
    by_key_.emplace(at->key, at);
  }
  Entries& before = list_of(*at);
  if (at->times.size() < limit_.count) {
    at->times.push_back(now);
  } else {
    at->times[at->next] = now;
    at->next = (at->next + 1) % limit_.count;
  }
  at->newest = now;
  Entries& after = list_of(*at);
  after.splice(after.begin(), before, at);
  return milliseconds{0};
}

void RateLimiter::forget_oldest(Entries& entries) {
  by_key_.erase(entries.back().key);
  entries.pop_back();
}

bool RateLimiter::forget_idle(Entries& entries, Clock::time_point now) {
  if (entries.empty() || entries.back().newest + limit_.window > now) return false;
  forget_oldest(entries);
  return true;
}

}  // namespace travelchat::http
