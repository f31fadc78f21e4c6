// How often somebody may try a password: counted for each pair of network and account, for each network, and for each
// account.
//
// Only wrong passwords count. A try is counted when it is admitted, so that parallel guesses count, too, and taken back
// when it was right or was not checked. No count is dropped before its window ends, so a flood of other names does not
// reset anybody's.
//
// A network from which an account has signed in before is known to it. For such a pair only its own limit holds: others
// who use up the limits of the network or of the account do not lock out its owner.
//
// Each node counts for itself, in memory. Any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace travel_lab {

class LoginThrottle {
 public:
  using Clock = std::chrono::steady_clock;

  // Wrong passwords within a window.
  struct Limits {
    std::size_t tries = 10;              // of a network for an account; 0: no limits at all
    std::size_t tries_of_network = 100;  // for accounts that do not know it
    std::size_t tries_of_account = 50;   // from networks that it does not know
    std::chrono::seconds window = std::chrono::minutes{5};
    // Of each of the three kinds. More than the processors can check within a window, so it is not reached in practice;
    // at the bound, networks and accounts that do not know each other would have to wait.
    std::size_t max_windows = 32'768;
    std::size_t known_networks = 16;  // of an account; a further one takes the place of the one not used longest
  };

  struct Attempt {
    std::string network;  // see `network_of`
    std::string account;
    // What `admit` fills in:
    Clock::time_point admitted_at{};
    bool is_known = false;  // the account has signed in from this network before
  };

  explicit LoginThrottle(Limits limits) : limits_(limits) {}

  // 0: admitted; else how long to wait. A window begins with the first try and ends `limits.window` later. An attempt
  // that was admitted ends with one of the two below, or else stays counted, since the password was wrong.
  [[nodiscard]] std::chrono::seconds admit(Attempt& attempt, Clock::time_point now);
  void succeeded(const Attempt& attempt);
  void not_checked(const Attempt& attempt);

 private:
  // Of one kind: tries by key. A window whose tries were all taken back is gone.
  class Windows {
   public:
    void expire(Clock::time_point now, std::chrono::seconds length);
    // When the key may be tried; `now` or earlier: at once. It may have `limit` tries in a window, and a key that has
    // none yet is one more of `most`.
    Clock::time_point free_at(std::string_view key, std::size_t limit, std::size_t most, Clock::time_point now,
                              std::chrono::seconds length) const;
    void count(std::string_view key, Clock::time_point now);
    // Without effect when the window that this try was counted in has ended.
    void take_back(std::string_view key, Clock::time_point admitted_at);
    void forget(std::string_view key);

   private:
    struct Window {
      std::string key;
      Clock::time_point start;
      std::size_t tries = 0;
    };
    std::list<Window> by_start_;
    std::unordered_map<std::string_view, std::list<Window>::iterator> by_key_;  // views into the windows
  };

  void take_back(const Attempt& attempt);
  bool is_known(const Attempt& attempt) const;

  const Limits limits_;
  std::mutex mutex_;
  Windows pairs_;
  Windows networks_;
  Windows accounts_;
  // By account, the one used last at the end. Bounded by the number of existing accounts: only those can sign in.
  std::unordered_map<std::string, std::deque<std::string>> known_;
};

}  // namespace travel_lab
