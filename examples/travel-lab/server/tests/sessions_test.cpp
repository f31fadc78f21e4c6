#include "sessions.hpp"

#include "data_fixture.hpp"
#include "open_database.hpp"
#include "secrets.hpp"

#include <catch.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
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
    Sessions sessions(data.database(), 1h, 1h);
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
  Sessions sessions(data.database(), 1h, 1h);
  REQUIRE_FALSE(sessions.load(now));
  CHECK(find(sessions, kept, now));
  CHECK_FALSE(find(sessions, closed, now));
}

TEST_CASE("the database holds digests of sessions, never their tokens") {
  ON_EVERY_DATABASE(data);
  add_advisor(data.database(), "a");
  Sessions sessions(data.database(), 1h, 1h);
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
  Sessions sessions(data.database(), 1h, 1h);
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

TEST_CASE("a session that is not used ends, and one that is used goes on") {
  ON_EVERY_DATABASE(data);
  add_advisor(data.database(), "a");
  Sessions sessions(data.database(), 100h, 1h);
  REQUIRE_FALSE(sessions.load(now));
  const std::string used = sessions.open("a", now)->token;
  const std::string idle = sessions.open("a", now)->token;
  for (auto at = now; at < now + 3h; at += 50min) {
    const auto session = find(sessions, used, at);
    REQUIRE(session);
    if (session->is_use_due) REQUIRE_FALSE(sessions.note_use(used, at));
  }
  CHECK(find(sessions, used, now + 3h));
  CHECK_FALSE(find(sessions, idle, now + 1h));
  CHECK_FALSE(find(sessions, used, now + 4h));
}

TEST_CASE("that a session is in use is written down once in an eighth of the idle time-out, and outlives a restart") {
  ON_EVERY_DATABASE(data);
  add_advisor(data.database(), "a");
  std::string token;
  {
    Sessions sessions(data.database(), 100h, 8h);
    REQUIRE_FALSE(sessions.load(now));
    token = sessions.open("a", now)->token;
    CHECK_FALSE(find(sessions, token, now + 59min)->is_use_due);
    CHECK(find(sessions, token, now + 7h)->is_use_due);
    CHECK_FALSE(find(sessions, token, now + 7h)->is_use_due);
    REQUIRE_FALSE(sessions.note_use(token, now + 7h));
  }
  data.close();
  data.open();
  Sessions sessions(data.database(), 100h, 8h);
  REQUIRE_FALSE(sessions.load(now + 14h));
  CHECK(find(sessions, token, now + 14h));
  Sessions late(data.database(), 100h, 8h);
  REQUIRE_FALSE(late.load(now + 15h));
  CHECK_FALSE(find(late, token, now + 15h));
}

TEST_CASE("a session of before there was an idle time-out goes on, and its next use is written down") {
  ON_EVERY_DATABASE(data);
  add_advisor(data.database(), "a");
  const std::string token(64, 'a');
  REQUIRE_FALSE(data.database().write([&](Connection& connection) {
    Statement(connection, "INSERT INTO sessions (digest, advisor_id, expires_at) VALUES (?, 'a', ?)")
        .execute(sha256(token), (now + 100h).time_since_epoch().count());
  }));
  Sessions sessions(data.database(), 100h, 1h);
  REQUIRE_FALSE(sessions.load(now));
  const auto session = find(sessions, token, now);
  REQUIRE(session);
  CHECK(session->is_use_due);
}

TEST_CASE("the sockets of a session end when it has not been used for long enough") {
  ON_EVERY_DATABASE(data);
  add_advisor(data.database(), "a");
  Sessions sessions(data.database(), 100h, 8h);
  const std::string token = sessions.open("a", now)->token;
  const std::vector<std::string> ids{Sessions::id_of(token)};
  CHECK(sessions.find_live(ids, now + 7h).value() == ids);
  REQUIRE(find(sessions, token, now + 1h));
  CHECK(sessions.find_live(ids, now + 8h).value() == ids);
  CHECK(sessions.find_live(ids, now + 9h).value().empty());
}

TEST_CASE("of many sessions those that have not ended are told at once, and who ends one says so") {
  ON_EVERY_DATABASE(data);
  add_advisor(data.database(), "a");
  Sessions sessions(data.database(), 1h, 1h);
  std::vector<std::string> ended;
  sessions.when_ended([&](const std::string& id) { ended.push_back(id); });
  std::vector<std::string> ids;
  std::string first;
  for (int i = 0; i < 60; ++i) {
    const std::string token = sessions.open("a", now + std::chrono::milliseconds{i})->token;
    if (first.empty()) first = token;
    ids.push_back(Sessions::id_of(token));
    CHECK(ids.back().find(token) == std::string::npos);
  }
  std::vector<std::string> asked = ids;
  asked.insert(asked.end(), {"", "no id", std::string(64, 'z'), std::string(64, '0')});
  const auto live = [&](TimePoint at) {
    auto found = sessions.find_live(asked, at).value();
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  };
  std::vector<std::string> expected = ids;
  std::sort(expected.begin(), expected.end());
  CHECK(live(now) == expected);
  CHECK(live(now + 1h + 60ms).empty());
  CHECK(ended.empty());

  CHECK_FALSE(sessions.close(first));
  CHECK(ended == std::vector<std::string>{ids.front()});
  std::erase(expected, ids.front());
  CHECK(live(now) == expected);
  CHECK(sessions.find_live({}, now).value().empty());

  ended.clear();
  for (std::size_t i = 0; i <= Sessions::max_per_advisor - 59; ++i) sessions.open("a", now + 1s).value();
  CHECK(ended == std::vector<std::string>{ids[1]});
}

TEST_CASE("a session of an unknown advisor is not opened") {
  ON_EVERY_DATABASE(data);
  Sessions sessions(data.database(), 1h, 1h);
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

TEST_CASE("a node that had to wait for another one says why it does not start") {
  Data data(Kind::postgres);
  const auto ec = data.database().write([](Connection& connection) {
    Statement(connection, "INSERT INTO host_migrations (version, applied_at) VALUES (1000, 0)").execute();
  });
  REQUIRE_FALSE(ec);
  data.close();
  // Other tests have the same database, and so the same lock.
  auto other = std::make_unique<travelchat::conformance::Session>(data.url());
  while (other->value("SELECT pg_try_advisory_lock(8386658463977958772)") != "t") continue;
  bool waited = false;
  const auto hear = [&](std::string_view) {
    waited = true;
    other.reset();
  };
  CHECK_THROWS_WITH(open_postgres(data.url(), hear), Catch::Contains("newer version"));
  CHECK(waited);
}
