#include "login_throttle.hpp"

#include <utility>

namespace travel_lab {
namespace {

std::string pair_of(std::string_view address, std::string_view email) {
  std::string pair(address);
  pair += '\n';  // in neither of them
  pair += email;
  return pair;
}

}  // namespace

bool LoginThrottle::admit(std::string_view address, std::string_view email, Clock::time_point now) {
  if (limits_.tries == 0) return true;
  std::string pair = pair_of(address, email);
  const std::lock_guard lock(mutex_);

  while (!by_start_.empty() &&
         (by_start_.size() >= limits_.max_pairs || by_start_.front().first + limits_.window <= now)) {
    const auto& [start, oldest] = by_start_.front();
    const auto found = windows_.find(oldest);
    if (found != windows_.end() && found->second.start == start) windows_.erase(found);
    by_start_.pop_front();
  }

  const auto [window, is_new] = windows_.try_emplace(pair, Window{now, 0});
  if (is_new) by_start_.emplace_back(now, std::move(pair));
  if (window->second.tries >= limits_.tries) return false;
  ++window->second.tries;
  return true;
}

void LoginThrottle::succeeded(std::string_view address, std::string_view email) {
  const std::lock_guard lock(mutex_);
  windows_.erase(pair_of(address, email));
}

}  // namespace travel_lab
