#include <travelchat/types.hpp>

#include "catch.hpp"
#include "core/digest.hpp"
#include "core/uuid.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

using namespace travelchat;

namespace {

TimePoint at_milliseconds(std::int64_t count) {
  return TimePoint(std::chrono::milliseconds(count));
}

std::uint64_t milliseconds_of(const Uuid& id) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 6; ++i) value = (value << 8) | id.bytes[i];
  return value;
}

}  // namespace

TEST_CASE("the version 7 example of RFC 9562 is made from its parts") {
  // Appendix A.6: 2022-02-22T19:22:22.000Z, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
  const Uuid id = make_uuid_v7((std::uint64_t{0x017F22E279B0} << 12) | 0xCC3, 0x18C4DC0C0C07398F);
  CHECK(to_string(id) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  CHECK(parse_uuid("017f22e2-79b0-7cc3-98c4-dc0c0c07398f") == id);
}

TEST_CASE("an id carries version 7, the RFC's variant and the time it was made") {
  UuidClock clock;
  const Uuid id = make_uuid_v7(clock.tick(at_milliseconds(1645557742000)), ~std::uint64_t{0});
  CHECK(milliseconds_of(id) == 0x017F22E279B0);
  CHECK((id.bytes[6] >> 4) == 7);
  CHECK((id.bytes[8] >> 6) == 2);
  CHECK(to_string(id) == "017f22e2-79b0-7000-bfff-ffffffffffff");
}

TEST_CASE("ticks strictly increase when the clock stands still or steps back") {
  UuidClock clock;
  std::uint64_t last = clock.tick(at_milliseconds(1000));
  for (const std::int64_t now : {1000, 1000, 999, 0, -5, 1000, 1001, 500}) {
    const std::uint64_t next = clock.tick(at_milliseconds(now));
    CHECK(next > last);
    last = next;
  }
  CHECK((last >> 12) == 1001);
}

TEST_CASE("more than 4,096 ids in one millisecond run on into the next") {
  UuidClock clock;
  std::uint64_t last = 0;
  for (int i = 0; i < 4096; ++i) last = clock.tick(at_milliseconds(1000));
  CHECK((last >> 12) == 1000);
  CHECK((clock.tick(at_milliseconds(1000)) >> 12) == 1001);
  CHECK((clock.tick(at_milliseconds(2000)) >> 12) == 2000);
}

TEST_CASE("a time before 1970 gives an id of time zero, not of the far future") {
  UuidClock clock;
  CHECK((clock.tick(at_milliseconds(-1)) >> 12) == 0);
}

TEST_CASE("ids of one process strictly increase also when the clock steps back") {
  Uuid last = make_uuid(at_milliseconds(1'700'000'000'000));
  for (int i = 0; i < 20'000; ++i) {
    const Uuid next = make_uuid(at_milliseconds(1'700'000'000'000 - i));
    REQUIRE(last < next);
    last = next;
  }
}

TEST_CASE("threads that make ids at once never make the same one, and each sees its own increase") {
  constexpr int threads = 4;
  constexpr int per_thread = 20'000;
  std::vector<std::vector<Uuid>> made(threads);
  {
    std::vector<std::jthread> running;
    for (auto& ids : made) {
      running.emplace_back([&ids] {
        for (int i = 0; i < per_thread; ++i) ids.push_back(make_uuid(at_milliseconds(1'700'000'000'000)));
      });
    }
  }
  std::set<Uuid> all;
  for (const auto& ids : made) {
    CHECK(std::is_sorted(ids.begin(), ids.end()));
    all.insert(ids.begin(), ids.end());
  }
  CHECK(all.size() == threads * per_thread);
}

TEST_CASE("the last eight bytes of ids differ, so that hashes and shards spread") {
  std::unordered_set<std::size_t> hashes;
  std::array<int, 16> shards{};
  constexpr int count = 16'000;
  for (int i = 0; i < count; ++i) {
    const std::size_t hash = std::hash<Uuid>{}(make_uuid(at_milliseconds(1'700'000'000'000)));
    hashes.insert(hash);
    ++shards[hash % shards.size()];
  }
  CHECK(hashes.size() == count);
  // 1,000 expected in each, standard deviation 31.
  for (const int in_shard : shards) CHECK((in_shard > 750 && in_shard < 1250));
}

TEST_CASE("a forked child does not make its parent's ids") {
  make_uuid(at_milliseconds(1000));  // fills this thread's block of random words
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const Uuid id = make_uuid(at_milliseconds(1000));
    const bool written = write(ends[1], id.bytes.data(), id.bytes.size()) == static_cast<ssize_t>(id.bytes.size());
    _exit(written ? 0 : 1);
  }
  const Uuid of_parent = make_uuid(at_milliseconds(1000));
  Uuid of_child;
  REQUIRE(read(ends[0], of_child.bytes.data(), of_child.bytes.size()) == 16);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  close(ends[0]);
  close(ends[1]);
  CHECK(status == 0);
  CHECK(std::hash<Uuid>{}(of_child) != std::hash<Uuid>{}(of_parent));
}

TEST_CASE("only the canonical lower-case form is an id") {
  CHECK(parse_uuid("00000000-0000-0000-0000-000000000000") == Uuid{});
  CHECK(parse_uuid("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));  // other versions too
  for (const std::string_view bad : {
           "",
           "f81d4fae-7dec-11d0-a765-00a0c91e6bf",
           "f81d4fae-7dec-11d0-a765-00a0c91e6bf66",
           "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6",
           "f81d4fae-7dec-11d0-a765-00a0c91e6bfg",
           "f81d4fae07dec-11d0-a765-00a0c91e6bf6",
           "f81d4fae-7dec-11d0-a76-500a0c91e6bf6",
           "f81d4fae7dec11d0a76500a0c91e6bf6",
           "{f81d4fae-7dec-11d0-a765-00a0c91e6bf6}",
           "-81d4fae-7dec-11d0-a765-00a0c91e6bf6",
           "' OR 1=1 --                         ",
       }) {
    INFO(bad);
    CHECK_FALSE(parse_uuid(bad));
  }
  CHECK_FALSE(parse_uuid(std::string(1 << 20, 'a')));
  CHECK_FALSE(parse_uuid(std::string_view("f81d4fae-7dec-11d0-a765-00a0c91e6b\0f", 36)));
}

TEST_CASE("roles are advisor and client and nothing else") {
  CHECK(to_string(Role::advisor) == "advisor");
  CHECK(to_string(Role::client) == "client");
  CHECK(parse_role("advisor") == Role::advisor);
  CHECK(parse_role("client") == Role::client);
  for (const std::string_view bad : {"", "admin", "Advisor", "client ", "clien"}) CHECK_FALSE(parse_role(bad));
}

TEST_CASE("the heart is accepted with and without U+FE0F and stored with it") {
  CHECK(parse_emoji("\u2764\uFE0F") == Emoji::heart);
  CHECK(parse_emoji("\u2764") == Emoji::heart);
  CHECK(to_string(Emoji::heart) == "\u2764\uFE0F");
}

TEST_CASE("the other five emoji lose a trailing U+FE0F") {
  const std::vector<std::pair<std::string, Emoji>> five = {{"\U0001F44D", Emoji::thumbs_up},
                                                           {"\U0001F602", Emoji::joy},
                                                           {"\U0001F62E", Emoji::open_mouth},
                                                           {"\U0001F622", Emoji::sad},
                                                           {"\U0001F44E", Emoji::thumbs_down}};
  for (const auto& [text, emoji] : five) {
    INFO(text);
    CHECK(parse_emoji(text) == emoji);
    CHECK(parse_emoji(text + "\uFE0F") == emoji);
    CHECK(to_string(emoji) == text);
    CHECK_FALSE(parse_emoji(text + "\uFE0F\uFE0F"));
    CHECK_FALSE(parse_emoji(text + "\uFE0E"));
    CHECK_FALSE(parse_emoji(text + " "));
    CHECK_FALSE(parse_emoji(" " + text));
    CHECK_FALSE(parse_emoji(text + text));
  }
}

TEST_CASE("what is not one of the six emoji is refused") {
  for (const std::string_view bad : {
           "", " ", "\uFE0F",
           "\u2764\uFE0E",                  // the heart as text
           "\u2764\uFE0F\uFE0F",            // two selectors
           "\U0001F44D\U0001F3FD",          // a skin tone
           "\u2764\uFE0F\u200D\U0001F525",  // heart on fire, a ZWJ sequence
           "\u2764\uFE0F\u200D",            // a ZWJ left over
           "\U0001F44D\U0001F602",          // two emoji
           "\u2764\uFE0F ",
           "\U0001F44F",  // another emoji
           "\U0001F9E1",  // another heart
           ":heart:", "heart",
           "\u00E2\u009D\u00A4\u00EF\u00B8\u008F",  // the heart's bytes read as Latin-1: mojibake
           "\u00F0\u0178\u2018\u008D",              // thumbs up as Windows-1252
           "\xE2\x9D",                              // cut short
           "\xED\xA0\xBD\xED\xB1\x8D",              // thumbs up as CESU-8
       }) {
    INFO(bad);
    CHECK_FALSE(parse_emoji(bad));
  }
  CHECK_FALSE(parse_emoji(std::string_view("\u2764\0", 4)));
}

TEST_CASE("SHA-256 gives the answers of FIPS 180-4's examples") {
  CHECK(to_hex(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(to_hex(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")) ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST_CASE("random bytes fill the whole of what they are given") {
  std::array<std::uint8_t, 64> first{};
  std::array<std::uint8_t, 64> second{};
  random_bytes(first);
  random_bytes(second);
  CHECK(first != second);
  // 64 bytes with fewer than 30 different values: less than once in 10^20.
  CHECK(std::set<std::uint8_t>(first.begin(), first.end()).size() >= 30);
  random_bytes({});
}
