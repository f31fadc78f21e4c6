// How often somebody may try a password: counted for each pair of remote address and e-mail.
//
// A login counts from the moment it is tried, so that guesses made in parallel count too, and is forgotten when it
// succeeds. Any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace travel_lab {

class LoginThrottle {
 public:
  using Clock = std::chrono::steady_clock;

  struct Limits {
    std::size_t tries = 10;  // 0: no limit
    std::chrono::seconds window = std::chrono::minutes{5};
    // Pairs that are remembered; when there are more, the one that has been counted longest is forgotten.
    std::size_t max_pairs = 10'000;
  };

  explicit LoginThrottle(Limits limits) : limits_(limits) {}

  // False: wait. A window begins with the first try and ends `limits.window` later.
  [[nodiscard]] bool admit(std::string_view address, std::string_view email, Clock::time_point now);
  void succeeded(std::string_view address, std::string_view email);

 private:
  struct Window {
    Clock::time_point start;
    std::size_t tries = 0;
  };

  const Limits limits_;
  std::mutex mutex_;
  std::unordered_map<std::string, Window> windows_;
  // The pairs by the start of their window; one that has succeeded or begun anew stays until its turn comes.
  std::deque<std::pair<Clock::time_point, std::string>> by_start_;
};

}  // namespace travel_lab
