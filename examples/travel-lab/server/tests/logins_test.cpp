#include "avatar.hpp"
#include "directory.hpp"
#include "fair_pool.hpp"
#include "login_throttle.hpp"
#include "network.hpp"
#include "passwords.hpp"
#include "secrets.hpp"
#include "worker_pool.hpp"

#include <sodium.h>
#include <catch.hpp>

#include <atomic>
#include <chrono>
#include <ctime>
#include <functional>
#include <future>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace travel_lab;

using Attempt = LoginThrottle::Attempt;

const LoginThrottle::Clock::time_point start{};

// A try with a wrong password.
std::chrono::seconds wait_of(LoginThrottle& throttle, std::string network, std::string account,
                             LoginThrottle::Clock::time_point now) {
  Attempt attempt{std::move(network), std::move(account)};
  return throttle.admit(attempt, now);
}

bool admits(LoginThrottle& throttle, std::string network, std::string account, LoginThrottle::Clock::time_point now) {
  return wait_of(throttle, std::move(network), std::move(account), now) == 0s;
}

// A job that keeps a thread until it is let go.
class Gate {
 public:
  std::function<void()> job() {
    return [this] {
      entered_.set_value();
      open_.get_future().wait();
    };
  }
  void wait_until_entered() { entered_.get_future().wait(); }
  void open() { open_.set_value(); }

 private:
  std::promise<void> entered_;
  std::promise<void> open_;
};

}  // namespace

TEST_CASE("a password is right or wrong, and its hash says nothing about it") {
  REQUIRE(sodium_init() >= 0);
  const std::string hash = hash_password("correct horse");
  CHECK(hash.starts_with("$argon2id$"));
  CHECK(hash.find("horse") == std::string::npos);
  CHECK(hash != hash_password("correct horse"));
  CHECK(verify_password("correct horse", hash));
  CHECK_FALSE(verify_password("correct hors", hash));
  CHECK_FALSE(verify_password("", hash));
  CHECK_FALSE(verify_password("correct horse", "not a hash"));
}

TEST_CASE("an unknown e-mail costs as much as a wrong password") {
  REQUIRE(sodium_init() >= 0);
  // The thread's own time, which a busy machine does not stretch.
  const auto timed = [](auto&& work) {
    timespec begin{};
    timespec end{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    work();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    return std::chrono::seconds{end.tv_sec - begin.tv_sec} + std::chrono::nanoseconds{end.tv_nsec - begin.tv_nsec};
  };
  const std::string hash = hash_password("something");
  const auto wrong = timed([&] { CHECK_FALSE(verify_password("guess", hash)); });
  const auto nobody = timed([&] { CHECK_FALSE(verify_against_nobody("guess")); });
  // Microseconds against a tenth of a second if one of them skipped the hash.
  CHECK(nobody > wrong / 4);
  CHECK(wrong > nobody / 4);
}

TEST_CASE("the eleventh try within five minutes is refused, for this network and account only") {
  LoginThrottle throttle({});
  for (int i = 0; i < 10; ++i) CHECK(admits(throttle, "192.0.2.1", "a@x.example", start));
  CHECK(wait_of(throttle, "192.0.2.1", "a@x.example", start + 299s) == 1s);
  CHECK(admits(throttle, "192.0.2.2", "a@x.example", start + 299s));
  CHECK(admits(throttle, "192.0.2.1", "b@x.example", start + 299s));
  CHECK(admits(throttle, "192.0.2.1", "a@x.example", start + 300s));
}

TEST_CASE("a login that succeeds is not counted") {
  LoginThrottle throttle({});
  for (int i = 0; i < 1'000; ++i) {
    Attempt attempt{"192.0.2.1", "a@x.example"};
    REQUIRE(throttle.admit(attempt, start) == 0s);
    throttle.succeeded(attempt);
  }
}

TEST_CASE("a try that nobody checked is not counted") {
  LoginThrottle throttle({.tries = 1, .tries_of_network = 1, .tries_of_account = 1});
  for (int i = 0; i < 1'000; ++i) {
    Attempt attempt{"192.0.2.1", "a@x.example"};
    REQUIRE(throttle.admit(attempt, start) == 0s);
    throttle.not_checked(attempt);
  }
  CHECK(admits(throttle, "192.0.2.1", "a@x.example", start));
  CHECK_FALSE(admits(throttle, "192.0.2.1", "a@x.example", start));
}

TEST_CASE("guesses made in parallel count before they are checked") {
  LoginThrottle throttle({});
  std::vector<Attempt> guesses(11, Attempt{"192.0.2.1", "a@x.example"});
  for (int i = 0; i < 10; ++i) CHECK(throttle.admit(guesses[i], start) == 0s);
  CHECK(throttle.admit(guesses[10], start) > 0s);
  throttle.not_checked(guesses[0]);
  CHECK(throttle.admit(guesses[10], start) == 0s);
}

TEST_CASE("a window that began anew is not ended by its predecessor's turn") {
  LoginThrottle throttle({.tries = 1, .window = 300s, .max_windows = 10});
  Attempt first{"192.0.2.1", "a"};
  CHECK(throttle.admit(first, start) == 0s);
  throttle.succeeded(first);
  CHECK(admits(throttle, "192.0.2.1", "a", start + 200s));
  CHECK_FALSE(admits(throttle, "192.0.2.1", "a", start + 301s));
  CHECK(admits(throttle, "192.0.2.1", "a", start + 500s));
}

TEST_CASE("a try that is taken back after its window has ended takes nothing from the next one") {
  LoginThrottle throttle({.tries = 1, .window = 300s});
  Attempt late{"192.0.2.1", "a"};
  CHECK(throttle.admit(late, start) == 0s);
  CHECK(admits(throttle, "192.0.2.1", "a", start + 300s));
  throttle.not_checked(late);
  CHECK_FALSE(admits(throttle, "192.0.2.1", "a", start + 301s));
}

TEST_CASE("one network has a hundred wrong passwords, whatever the accounts") {
  LoginThrottle throttle({});
  for (int i = 0; i < 100; ++i) CHECK(admits(throttle, "2001:db8::/64", "a" + std::to_string(i), start));
  CHECK(wait_of(throttle, "2001:db8::/64", "somebody else", start + 1s) == 299s);
  CHECK(admits(throttle, "2001:db8:0:1::/64", "somebody else", start + 1s));
}

TEST_CASE("one account has fifty wrong passwords, whatever the networks, and its owner signs in where it did before") {
  LoginThrottle throttle({});
  Attempt owner{"198.51.100.7", "a@x.example"};
  REQUIRE(throttle.admit(owner, start) == 0s);
  throttle.succeeded(owner);
  for (int i = 0; i < 50; ++i) CHECK(admits(throttle, "192.0.2." + std::to_string(i), "a@x.example", start));
  CHECK_FALSE(admits(throttle, "203.0.113.1", "a@x.example", start));
  CHECK(admits(throttle, "203.0.113.1", "b@x.example", start));
  // Also when somebody has spent what that network may try.
  for (int i = 0; i < 100; ++i) CHECK(admits(throttle, "198.51.100.7", "guess " + std::to_string(i), start));
  CHECK_FALSE(admits(throttle, "198.51.100.7", "one more", start));
  for (int i = 0; i < 10; ++i) CHECK(admits(throttle, "198.51.100.7", "a@x.example", start));
  CHECK_FALSE(admits(throttle, "198.51.100.7", "a@x.example", start));
}

TEST_CASE("an account knows its last sixteen networks") {
  LoginThrottle throttle({});
  for (int i = 0; i <= 16; ++i) {
    Attempt owner{"192.0.2." + std::to_string(i), "a"};
    REQUIRE(throttle.admit(owner, start) == 0s);
    throttle.succeeded(owner);
  }
  const auto is_known = [&throttle](const std::string& network) {
    Attempt attempt{network, "a"};
    REQUIRE(throttle.admit(attempt, start) == 0s);
    return attempt.is_known;
  };
  CHECK_FALSE(is_known("192.0.2.0"));
  CHECK(is_known("192.0.2.1"));
  CHECK(is_known("192.0.2.16"));
}

TEST_CASE("made-up accounts by the thousand free nobody who is blocked, and block nobody else") {
  LoginThrottle throttle({});
  Attempt owner{"198.51.100.7", "maya@x.example"};
  REQUIRE(throttle.admit(owner, start) == 0s);
  throttle.succeeded(owner);
  for (int i = 0; i < 10; ++i) CHECK(admits(throttle, "192.0.2.1", "maya@x.example", start));
  // Ninety connections, which get 503 for nearly all of it: of every hundred, three are checked.
  auto now = start;
  int refused = 0;
  for (int i = 0; i < 10'050; ++i, now += 750us) {
    Attempt attempt{"192.0.2.1", "nobody-" + std::to_string(i) + "@x.example"};
    if (throttle.admit(attempt, now) > 0s) {
      ++refused;
    } else if (i % 100 >= 3) {
      throttle.not_checked(attempt);
    }
    if (i % 500 == 0) CHECK_FALSE(admits(throttle, "192.0.2.1", "maya@x.example", now));
  }
  // Ninety checked ones and the ten before them are what the network has.
  CHECK(refused > 5'000);
  CHECK_FALSE(admits(throttle, "192.0.2.1", "maya@x.example", now));
  // Who is elsewhere does not notice, whether the account knows the place or not.
  for (const char* network : {"198.51.100.7", "203.0.113.1"}) {
    Attempt honest{network, "maya@x.example"};
    CHECK(throttle.admit(honest, now) == 0s);
    throttle.succeeded(honest);
  }
}

TEST_CASE("where no more can be remembered, whom nobody knows waits, and nobody is forgotten") {
  LoginThrottle throttle({.tries = 1, .window = 300s, .max_windows = 2});
  Attempt owner{"198.51.100.7", "a"};
  REQUIRE(throttle.admit(owner, start) == 0s);
  throttle.succeeded(owner);
  CHECK(admits(throttle, "192.0.2.1", "b", start));
  CHECK(admits(throttle, "192.0.2.2", "c", start + 1s));
  CHECK(wait_of(throttle, "192.0.2.3", "d", start + 2s) == 298s);
  CHECK_FALSE(admits(throttle, "192.0.2.1", "b", start + 2s));
  CHECK(admits(throttle, "198.51.100.7", "a", start + 2s));
  CHECK(admits(throttle, "192.0.2.3", "d", start + 301s));
}

TEST_CASE("every spelling of an address is one network, and an IPv6 network is 64 bits") {
  CHECK(network_of("192.0.2.1") == "192.0.2.1");
  CHECK(network_of("::ffff:192.0.2.1") == "192.0.2.1");
  CHECK(network_of("::FFFF:c000:201") == "192.0.2.1");
  CHECK(network_of("2a01:4f8::1") == network_of("2a01:4f8::2"));
  CHECK(network_of("2a01:4f8::1") == network_of("2a01:04f8:0000:0000:ffff:0:0:1"));
  CHECK(network_of("2a01:4f8::1") == "2a01:4f8::/64");
  CHECK(network_of("2a01:4f8:0:1::1") != network_of("2a01:4f8::1"));
  CHECK(network_of("::1") == "::/64");
  CHECK(network_of("somewhere") == "somewhere");
}

TEST_CASE("those who ask for work take turns") {
  std::vector<std::string> done;
  {
    Gate gate;
    FairPool pool(1, 8);
    pool.submit("x", FairPool::Standing::stranger, {gate.job(), [] {}});
    gate.wait_until_entered();
    const auto ask = [&](const std::string& asker, const std::string& what) {
      pool.submit(asker, FairPool::Standing::stranger,
                  {[&done, what] { done.push_back(what); }, [] { FAIL("dropped"); }});
    };
    for (const char* what : {"a1", "a2", "a3"}) ask("a", what);
    ask("b", "b1");
    ask("c", "c1");
    ask("b", "b2");
    gate.open();
  }
  CHECK(done == std::vector<std::string>{"a1", "b1", "c1", "a2", "b2", "a3"});
}

TEST_CASE("a full queue makes room for whoever has less waiting, at the cost of whoever has most") {
  std::vector<std::string> done;
  std::vector<std::string> dropped;
  {
    Gate gate;
    FairPool pool(1, 4);
    pool.submit("x", FairPool::Standing::stranger, {gate.job(), [] {}});
    gate.wait_until_entered();
    const auto ask = [&](const std::string& asker, const std::string& what,
                         FairPool::Standing standing = FairPool::Standing::stranger) {
      pool.submit(asker, standing,
                  {[&done, what] { done.push_back(what); }, [&dropped, what] { dropped.push_back(what); }});
    };
    for (const char* what : {"a1", "a2", "a3", "a4", "a5"}) ask("a", what);
    CHECK(dropped == std::vector<std::string>{"a5"});
    ask("b", "b1");
    ask("c", "c1");
    ask("d", "d1");
    CHECK(dropped == std::vector<std::string>{"a5", "a4", "a3", "a2"});
    // Everybody has one: no stranger gets the place of another.
    ask("e", "e1");
    CHECK(dropped.back() == "e1");
    ask("f", "f1", FairPool::Standing::known);
    CHECK(dropped.back() == "d1");
    ask("f", "f2", FairPool::Standing::known);
    CHECK(dropped.back() == "f2");
    gate.open();
  }
  CHECK(done == std::vector<std::string>{"a1", "b1", "c1", "f1"});
}

TEST_CASE("a full worker pool refuses work, and finishes what it took before it ends") {
  std::atomic<int> done = 0;
  std::promise<void> begun;
  std::promise<void> release;
  {
    WorkerPool pool(1, 2);
    REQUIRE(pool.submit([&] {
      begun.set_value();
      release.get_future().wait();
      ++done;
    }));
    begun.get_future().wait();
    CHECK(pool.submit([&] { ++done; }));
    CHECK(pool.submit([&] { ++done; }));
    CHECK_FALSE(pool.submit([&] { ++done; }));
    release.set_value();
  }
  CHECK(done == 3);
}

TEST_CASE("names are compared without regard to case") {
  CHECK(fold_case("ÉLODIE Žák-ŁUKASZ") == "élodie žák-łukasz");
  CHECK(fold_case("ÿ Ÿ ß × ÷") == "ÿ ÿ ß × ÷");
  CHECK(fold_case("日本 😀") == "日本 😀");
  CHECK(fold_case("\xC3") == "\xC3");
}

TEST_CASE("secrets compare by content, whatever their length") {
  CHECK(equal_in_constant_time("abc", "abc"));
  CHECK(equal_in_constant_time("", ""));
  CHECK_FALSE(equal_in_constant_time("abc", "abd"));
  CHECK_FALSE(equal_in_constant_time("abc", "ab"));
  CHECK(random_hex(32).size() == 64);
  CHECK(random_hex(32) != random_hex(32));
}

TEST_CASE("an avatar shows the initials of the first and the last word, as text") {
  CHECK(draw_avatar("1", "Amelia van Dijk").find(">AD</text>") != std::string::npos);
  CHECK(draw_avatar("1", "Émile").find(">É</text>") != std::string::npos);
  CHECK(draw_avatar("1", "<script> &").find(">&lt;&amp;</text>") != std::string::npos);
}
