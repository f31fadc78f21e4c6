#include "avatar.hpp"
#include "directory.hpp"
#include "login_throttle.hpp"
#include "passwords.hpp"
#include "secrets.hpp"
#include "worker_pool.hpp"

#include <sodium.h>
#include <catch.hpp>

#include <atomic>
#include <chrono>
#include <ctime>
#include <future>
#include <string>

namespace {

using namespace std::chrono_literals;
using namespace travel_lab;

const LoginThrottle::Clock::time_point start{};

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

TEST_CASE("the eleventh try within five minutes is refused, for this address and e-mail only") {
  LoginThrottle throttle({});
  for (int i = 0; i < 10; ++i) CHECK(throttle.admit("192.0.2.1", "a@x.example", start));
  CHECK_FALSE(throttle.admit("192.0.2.1", "a@x.example", start + 299s));
  CHECK(throttle.admit("192.0.2.2", "a@x.example", start + 299s));
  CHECK(throttle.admit("192.0.2.1", "b@x.example", start + 299s));
  CHECK(throttle.admit("192.0.2.1", "a@x.example", start + 300s));
}

TEST_CASE("a login that succeeds is not counted") {
  LoginThrottle throttle({});
  for (int i = 0; i < 100; ++i) {
    REQUIRE(throttle.admit("192.0.2.1", "a@x.example", start));
    throttle.succeeded("192.0.2.1", "a@x.example");
  }
}

TEST_CASE("a window that began anew is not ended by its predecessor's turn") {
  LoginThrottle throttle({.tries = 1, .window = 300s, .max_pairs = 10});
  CHECK(throttle.admit("192.0.2.1", "a", start));
  throttle.succeeded("192.0.2.1", "a");
  CHECK(throttle.admit("192.0.2.1", "a", start + 200s));
  CHECK_FALSE(throttle.admit("192.0.2.1", "a", start + 301s));
  CHECK(throttle.admit("192.0.2.1", "a", start + 500s));
}

TEST_CASE("with more pairs than may be remembered, the longest counted is forgotten") {
  LoginThrottle throttle({.tries = 1, .window = 300s, .max_pairs = 2});
  CHECK(throttle.admit("192.0.2.1", "a", start));
  CHECK(throttle.admit("192.0.2.1", "b", start + 1s));
  CHECK(throttle.admit("192.0.2.1", "c", start + 2s));
  CHECK_FALSE(throttle.admit("192.0.2.1", "c", start + 3s));
  CHECK(throttle.admit("192.0.2.1", "a", start + 4s));
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
