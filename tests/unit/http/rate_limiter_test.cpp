#include "http/rate_limiter.hpp"

#include "catch.hpp"

#include <string>

using namespace std::chrono_literals;
using travelchat::RateLimit;
using travelchat::http::RateLimiter;

namespace {

// Some time after the clock's beginning.
const RateLimiter::Clock::time_point start{1h};

}  // namespace

TEST_CASE("A limiter allows its count within the window and tells how long to wait") {
  RateLimiter limiter({3, 10s});
  CHECK(limiter.take("ann", start) == 0ms);
  CHECK(limiter.take("ann", start + 1s) == 0ms);
  CHECK(limiter.take("ann", start + 2s) == 0ms);
  CHECK(limiter.take("ann", start + 4s) == 6s);
}

TEST_CASE("The window slides: each event frees its own place") {
  RateLimiter limiter({2, 10s});
  CHECK(limiter.take("ann", start) == 0ms);
  CHECK(limiter.take("ann", start + 6s) == 0ms);
  CHECK(limiter.take("ann", start + 9999ms) == 1ms);
  CHECK(limiter.take("ann", start + 10s) == 0ms);
  // The one at 6 s still counts.
  CHECK(limiter.take("ann", start + 10s) == 6s);
  CHECK(limiter.take("ann", start + 16s) == 0ms);
}

TEST_CASE("A refused event does not count") {
  RateLimiter limiter({1, 10s});
  CHECK(limiter.take("ann", start) == 0ms);
  for (auto t = 1s; t < 10s; t += 1s) CHECK(limiter.take("ann", start + t) == 10s - t);
  CHECK(limiter.take("ann", start + 10s) == 0ms);
}

TEST_CASE("A wait is never told as zero") {
  RateLimiter limiter({1, 10s});
  CHECK(limiter.take("ann", start) == 0ms);
  CHECK(limiter.take("ann", start + 10s - 1ns) == 1ms);
}

TEST_CASE("Keys do not limit each other") {
  RateLimiter limiter({1, 10s});
  CHECK(limiter.take("ann", start) == 0ms);
  CHECK(limiter.take("bob", start) == 0ms);
  CHECK(limiter.take("ann", start) > 0ms);
}

TEST_CASE("A count of zero is no limit") {
  RateLimiter limiter({0, 10s});
  for (int i = 0; i < 1000; ++i) CHECK(limiter.take("ann", start) == 0ms);
}

TEST_CASE("A limiter that is full of idle keys forgets those first") {
  RateLimiter limiter({1, 10s}, 2);
  CHECK(limiter.take("idle", start) == 0ms);
  CHECK(limiter.take("busy", start + 9s) == 0ms);
  CHECK(limiter.take("new", start + 11s) == 0ms);
  CHECK(limiter.take("busy", start + 11s) > 0ms);
}

TEST_CASE("A flood of keys makes a limiter forget, not grow") {
  RateLimiter limiter({1, 10s}, 4);
  for (int i = 0; i < 100; ++i) CHECK(limiter.take("key" + std::to_string(i), start) == 0ms);
  // The newest is still limited.
  CHECK(limiter.take("key99", start) > 0ms);
}

TEST_CASE("A key at its limit is not forgotten for a flood of keys that are below it") {
  RateLimiter limiter({3, 10s}, 8);
  for (int i = 0; i < 3; ++i) CHECK(limiter.take("blocked", start) == 0ms);
  for (int i = 0; i < 1'000; ++i) CHECK(limiter.take("key" + std::to_string(i), start + 1s) == 0ms);
  CHECK(limiter.take("blocked", start + 2s) == 8s);
  // Each of the flood's keys has to be brought to the limit, too, before it goes.
  for (int i = 0; i < 8; ++i) {
    for (int n = 0; n < 3; ++n) CHECK(limiter.take("full" + std::to_string(i), start + 3s) == 0ms);
  }
  CHECK(limiter.take("blocked", start + 4s) == 0ms);
  CHECK(limiter.take("full7", start + 4s) == 9s);
}

TEST_CASE("Of keys below the limit the one that was quiet for the longest time is forgotten first") {
  RateLimiter limiter({2, 10s}, 3);
  CHECK(limiter.take("ann", start) == 0ms);
  CHECK(limiter.take("ben", start + 1s) == 0ms);
  CHECK(limiter.take("cid", start + 2s) == 0ms);
  CHECK(limiter.take("ben", start + 3s) == 0ms);  // at its limit now
  CHECK(limiter.take("dan", start + 4s) == 0ms);  // ann is forgotten
  CHECK(limiter.take("cid", start + 5s) == 0ms);
  CHECK(limiter.take("cid", start + 6s) > 0ms);
  CHECK(limiter.take("ben", start + 6s) > 0ms);
}

TEST_CASE("Asking how long to wait counts nothing") {
  RateLimiter limiter({2, 10s});
  for (int i = 0; i < 10; ++i) CHECK(limiter.delay("ann", start) == 0ms);
  CHECK(limiter.take("ann", start) == 0ms);
  CHECK(limiter.delay("ann", start) == 0ms);
  CHECK(limiter.take("ann", start + 1s) == 0ms);
  CHECK(limiter.delay("ann", start + 1s) == 9s);
  CHECK(limiter.take("ann", start + 10s) == 0ms);
}

TEST_CASE("A limiter that is full of keys does as little for a new one as any other") {
  // With each new key the whole of it was looked through before: 65,536 keys, once for each of these.
  RateLimiter limiter({1, 1h});
  const std::size_t keys = 65'536;
  for (std::size_t i = 0; i < keys; ++i) limiter.take("key" + std::to_string(i), start);
  const auto began = RateLimiter::Clock::now();
  for (std::size_t i = 0; i < keys; ++i) limiter.take("new" + std::to_string(i), start + 1s);
  // 4,294,967,296 entries take minutes; this takes a tenth of a second.
  CHECK(RateLimiter::Clock::now() - began < 20s);
}
