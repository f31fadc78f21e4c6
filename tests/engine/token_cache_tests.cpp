// Which tokens are remembered when there are more than fit.
#include "catch.hpp"

#include "core/token_cache.hpp"

using namespace std::chrono_literals;

namespace travelchat::test {
namespace {

Sha256Digest digest(std::uint8_t number) {
  Sha256Digest out{};
  out[0] = number;
  return out;
}

struct Cache {
  explicit Cache(std::size_t entries) : tokens(entries, 30s) {}

  void put(std::uint8_t number) { tokens.put(digest(number), {}, now, tokens.generation()); }
  bool has(std::uint8_t number) { return tokens.find(digest(number), now).has_value(); }

  detail::TokenCache tokens;
  detail::TokenCache::Time now{};
};

}  // namespace

TEST_CASE("a full cache forgets the token that was not used for the longest") {
  Cache cache(3);
  for (const std::uint8_t number : {1, 2, 3}) cache.put(number);
  REQUIRE(cache.has(1));
  cache.put(4);
  CHECK_FALSE(cache.has(2));
  for (const std::uint8_t number : {1, 3, 4}) CHECK(cache.has(number));
  // Whoever has just come is remembered, however full it is.
  for (std::uint8_t number = 5; number < 200; ++number) {
    cache.put(number);
    REQUIRE(cache.has(number));
  }
  CHECK_FALSE(cache.has(4));
}

TEST_CASE("a token that is authenticated again is not kept twice") {
  Cache cache(2);
  for (int i = 0; i < 5; ++i) cache.put(1);
  cache.put(2);
  CHECK(cache.has(1));
  CHECK(cache.has(2));
  cache.tokens.erase(digest(1));
  CHECK_FALSE(cache.has(1));
  cache.put(3);
  CHECK(cache.has(2));
}

TEST_CASE("a token is forgotten after its time, used or not") {
  Cache cache(2);
  cache.put(1);
  cache.now += 29s;
  CHECK(cache.has(1));
  cache.now += 1s;
  CHECK_FALSE(cache.has(1));
}

TEST_CASE("a cache without room remembers nothing") {
  Cache cache(0);
  cache.put(1);
  CHECK_FALSE(cache.has(1));
}

}  // namespace travelchat::test
