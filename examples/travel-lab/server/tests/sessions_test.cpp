#include "sessions.hpp"

#include "data_fixture.hpp"
#include "open_database.hpp"
#include "secrets.hpp"

#include <catch.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace travel_lab;
using travelchat::TimePoint;

constexpr TimePoint now{1'800'000'000s};

// As a request is answered: from memory, which is read again when it has no answer.
std::optional<Session> find(Sessions& sessions, const std::string& token, TimePoint at) {
  const auto found = sessions.recall(token, at);
  if (found) return found;
  REQUIRE_FALSE(sessions.reread(token, at));
  return sessions.recall(token, at);
}

}  // namespace

TEST_CASE("a session is found until it expires or is closed, also after a restart") {
  ON_EVERY_DATABASE(data);
  add_advisor(data.database(), "a");
  std::string kept;
  std::string closed;
  {
    Sessions sessions(data.database(), 1h);
    REQUIRE_FALSE(sessions.load(now));
    kept = sessions.open("a", now)->token;
    closed = sessions.open("a", now)->token;
    REQUIRE(find(sessions, kept, now + 59min));
    CHECK(find(sessions, kept, now)->advisor_id == "a");
    CHECK_FALSE(find(sessions, kept, now + 1h));
    CHECK_FALSE(sessions.close(closed));
    CHECK_FALSE(find(sessions, closed, now));
    CHECK_FALSE(find(sessions, "", now));
    CHECK_FALSE(find(sessions, std::string(64, '0'), now));
  }
  data.close();
  data.open();
  Sessions sessions(data.database(), 1h);
  REQUIRE_FALSE(sessions.load(now));
  CHECK(find(sessions, kept, now));
  CHECK_FALSE(find(sessions, closed, now));
}

TEST_CASE("the database holds digests of sessions, never their tokens") {
  ON_EVERY_DATABASE(data);
  add_advisor(data.database(), "a");
  Sessions sessions(data.database(), 1h);
  const std::string token = sessions.open("a", now)->token;
  REQUIRE(token.size() == 64);
  std::size_t rows = 0;
  const auto ec = data.database().read([&](Connection& connection) {
    Statement all(connection, "SELECT digest FROM sessions");
    for (all.run(); all.next(); ++rows) {
      const auto digest = sha256(token);
      const auto stored = all.bytes(0);
      CHECK(std::equal(stored.begin(), stored.end(), digest.begin(), digest.end()));
    }
  });
  CHECK_FALSE(ec);
  CHECK(rows == 1);
}

TEST_CASE("one session too many ends the advisor's oldest, and nobody else's") {
  ON_EVERY_DATABASE(data);
  add_advisor(data.database(), "a");
  add_advisor(data.database(), "b");
  Sessions sessions(data.database(), 1h);
  const std::string other = sessions.open("b", now)->token;
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i <= Sessions::max_per_advisor; ++i) {
    tokens.push_back(sessions.open("a", now + std::chrono::milliseconds{i})->token);
  }
  CHECK_FALSE(find(sessions, tokens.front(), now));
  CHECK(find(sessions, tokens[1], now));
  CHECK(find(sessions, tokens.back(), now));
  CHECK(find(sessions, other, now));
}

TEST_CASE("a session of an unknown advisor is not opened") {
  ON_EVERY_DATABASE(data);
  Sessions sessions(data.database(), 1h);
  CHECK(sessions.open("nobody", now).has_error());
}

TEST_CASE("a second process is told that the database is in use") {
  Data data(Kind::sqlite);
  CHECK_THROWS_WITH(open_sqlite(data.path()), Catch::Contains("in use"));
}

TEST_CASE("tables of a newer version are not touched") {
  ON_EVERY_DATABASE(data);
  const auto ec = data.database().write([](Connection& connection) {
    Statement(connection, "INSERT INTO host_migrations (version, applied_at) VALUES (1000, 0)").execute();
  });
  REQUIRE_FALSE(ec);
  data.close();
  CHECK_THROWS_WITH(data.open(), Catch::Contains("newer version"));
}
