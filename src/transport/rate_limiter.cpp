#include "transport/rate_limiter.hpp"

#include <algorithm>

namespace travelchat::transport {

std::chrono::milliseconds RateLimiter::take(std::string_view key, Clock::time_point now) {
  using std::chrono::milliseconds;
  if (limit_.count == 0) return milliseconds{0};
  const std::scoped_lock lock(mutex_);
  auto it = events_.find(key);
  if (it == events_.end()) {
    if (events_.size() >= max_keys_) make_room(now);
    it = events_.try_emplace(std::string(key)).first;
  }
  Events& events = it->second;
  if (events.times.size() < limit_.count) {
    events.times.push_back(now);
  } else {
    const auto free_at = events.times[events.next] + limit_.window;
    if (free_at > now) return std::max(milliseconds{1}, std::chrono::ceil<milliseconds>(free_at - now));
    events.times[events.next] = now;
    events.next = (events.next + 1) % limit_.count;
  }
  events.newest = now;
  return milliseconds{0};
}

void RateLimiter::make_room(Clock::time_point now) {
  std::erase_if(events_, [&](const auto& entry) { return entry.second.newest + limit_.window <= now; });
  if (events_.size() >= max_keys_) events_.erase(events_.begin());
}

}  // namespace travelchat::transport
