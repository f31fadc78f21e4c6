#include "catch.hpp"
#include "storage/postgres/codec.hpp"

#include <limits>
#include <string>

namespace travelchat::postgres {

namespace {

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out.push_back(static_cast<char>(value));
  return out;
}

}  // namespace

TEST_CASE("an array is its header and its elements, as PostgreSQL receives it") {
  Array texts(Type::text);
  texts.add(std::string_view("ab"));
  texts.add_null();
  texts.add(std::string_view());
  // One dimension, with nulls, of type 25; three elements from index 1; each with its length.
  CHECK(texts.bytes() == bytes({0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 25, 0, 0, 0, 3, 0, 0, 0, 1}) +
                             bytes({0, 0, 0, 2, 'a', 'b', 255, 255, 255, 255, 0, 0, 0, 0}));
  Array numbers(Type::bigint);
  numbers.add(std::uint64_t{0x0102});
  CHECK(numbers.bytes() == bytes({0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 1}) +
                               bytes({0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1, 2}));
}

TEST_CASE("an empty array has no dimension") {
  CHECK(Array(Type::boolean).bytes() == bytes({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16}));
}

TEST_CASE("a number beyond PostgreSQL's integers is sent as the largest of them") {
  const Parameters parameters(std::numeric_limits<std::uint64_t>::max());
  CHECK(decode_integer(*parameters[0]) == std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("a time is sent and received to the millisecond, before 2000 and after") {
  for (const std::int64_t count : {0LL, 1LL, -1LL, 946'684'799'999LL, 946'684'800'000LL, 1'764'000'000'123LL}) {
    const TimePoint time{std::chrono::milliseconds{count}};
    CHECK(decode_time(*Parameters(time)[0]) == time);
  }
  // 2000-01-01 is zero; what lies between two milliseconds belongs to the earlier one.
  const TimePoint start_2000{std::chrono::milliseconds{946'684'800'000}};
  CHECK(decode_time(std::string(8, '\0')) == start_2000);
  CHECK(decode_time(bytes({0, 0, 0, 0, 0, 0, 3, 231})) == start_2000);
  CHECK(decode_time(std::string(8, '\xff')) == start_2000 - std::chrono::milliseconds{1});
}

TEST_CASE("an integer is received in any of its widths") {
  CHECK(decode_integer(bytes({255, 254})) == -2);
  CHECK(decode_integer(bytes({0, 1, 0, 0})) == 65536);
  CHECK(decode_integer(bytes({128, 0, 0, 0, 0, 0, 0, 0})) == std::numeric_limits<std::int64_t>::min());
}

TEST_CASE("what is no such value is not received") {
  CHECK_FALSE(decode_integer("abc"));
  CHECK_FALSE(decode_integer(""));
  CHECK_FALSE(decode_boolean(""));
  CHECK_FALSE(decode_time("1234"));
  CHECK_FALSE(decode_digest(std::string(63, 'a')));
  CHECK_FALSE(decode_digest(std::string(64, 'g')));
  CHECK(decode_digest(std::string(64, 'a'))->front() == 0xaa);
}

}  // namespace travelchat::postgres
