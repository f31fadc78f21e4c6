#include "login_throttle.hpp"

#include <algorithm>
#include <limits>

namespace travel_lab {
namespace {

std::string pair_of(const LoginThrottle::Attempt& attempt) {
  return attempt.network + '\n' + attempt.account;  // a line break is in no network
}

}  // namespace

void LoginThrottle::Windows::expire(Clock::time_point now, std::chrono::seconds length) {
  while (!by_start_.empty() && by_start_.front().start + length <= now) forget(by_start_.front().key);
}

LoginThrottle::Clock::time_point LoginThrottle::Windows::free_at(std::string_view key, std::size_t limit,
                                                                 std::size_t most, Clock::time_point now,
                                                                 std::chrono::seconds length) const {
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) return found->second->tries < limit ? now : found->second->start + length;
  return by_start_.size() < most ? now : by_start_.front().start + length;
}

void LoginThrottle::Windows::count(std::string_view key, Clock::time_point now) {
  auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    const auto window = by_start_.insert(by_start_.end(), Window{std::string(key), now, 0});
    found = by_key_.emplace(window->key, window).first;
  }
  ++found->second->tries;
}

void LoginThrottle::Windows::take_back(std::string_view key, Clock::time_point admitted_at) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end() || found->second->start > admitted_at) return;
  if (--found->second->tries == 0) forget(key);
}

void LoginThrottle::Windows::forget(std::string_view key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  const auto window = found->second;
  by_key_.erase(found);
  by_start_.erase(window);
}

std::chrono::seconds LoginThrottle::admit(Attempt& attempt, Clock::time_point now) {
  if (limits_.tries == 0) return std::chrono::seconds{0};
  attempt.admitted_at = now;
  const std::string pair = pair_of(attempt);
  const std::lock_guard lock(mutex_);
  for (Windows* windows : {&pairs_, &networks_, &accounts_}) windows->expire(now, limits_.window);

  attempt.is_known = is_known(attempt);
  constexpr auto any = std::numeric_limits<std::size_t>::max();
  auto free_at = pairs_.free_at(pair, limits_.tries, attempt.is_known ? any : limits_.max_windows, now, limits_.window);
  if (!attempt.is_known) {
    for (const auto next :
         {networks_.free_at(attempt.network, limits_.tries_of_network, limits_.max_windows, now, limits_.window),
          accounts_.free_at(attempt.account, limits_.tries_of_account, limits_.max_windows, now, limits_.window)}) {
      free_at = std::max(free_at, next);
    }
  }
  if (free_at > now) return std::chrono::ceil<std::chrono::seconds>(free_at - now);

  pairs_.count(pair, now);
  if (!attempt.is_known) {
    networks_.count(attempt.network, now);
    accounts_.count(attempt.account, now);
  }
  return std::chrono::seconds{0};
}

void LoginThrottle::take_back(const Attempt& attempt) {
  pairs_.take_back(pair_of(attempt), attempt.admitted_at);
  if (attempt.is_known) return;
  networks_.take_back(attempt.network, attempt.admitted_at);
  accounts_.take_back(attempt.account, attempt.admitted_at);
}

void LoginThrottle::not_checked(const Attempt& attempt) {
  const std::lock_guard lock(mutex_);
  take_back(attempt);
}

void LoginThrottle::succeeded(const Attempt& attempt) {
  const std::lock_guard lock(mutex_);
  take_back(attempt);
  pairs_.forget(pair_of(attempt));
  auto& networks = known_[attempt.account];
  std::erase(networks, attempt.network);
  networks.push_back(attempt.network);
  if (networks.size() > limits_.known_networks) networks.pop_front();
}

bool LoginThrottle::is_known(const Attempt& attempt) const {
  const auto networks = known_.find(attempt.account);
  return networks != known_.end() && std::ranges::find(networks->second, attempt.network) != networks->second.end();
}

}  // namespace travel_lab
