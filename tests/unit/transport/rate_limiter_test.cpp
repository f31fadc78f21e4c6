#include "transport/rate_limiter.hpp"

#include "catch.hpp"

#include <string>

using namespace std::chrono_literals;
using travelchat::RateLimit;
using travelchat::transport::RateLimiter;

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
