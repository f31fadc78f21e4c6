// Two nodes on one PostgreSQL.
#include "accounts.hpp"
#include "clock.hpp"
#include "data_fixture.hpp"
#include "demo_data.hpp"
#include "live_directory.hpp"
#include "postgres_database.hpp"
#include "sign_jwt.hpp"
#include "travel_lab_host.hpp"
#include "vapid.hpp"

#include <catch.hpp>

#include <future>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace travel_lab;
using travelchat::errc;

// What a process has of the host.
class Node {
 public:
  explicit Node(const Data& data) : database_(data.open_another()) { host_.reread_on(readers_); }

  Database& database() { return *database_; }
  Sessions& sessions() { return sessions_; }
  LiveDirectory& directory() { return directory_; }

  std::optional<std::string> who_signed_in(const std::string& token) {
    const auto found = ask<std::optional<travelchat::Advisor>>([&](auto reply) {
      host_.authenticate({"travelchat_session=" + token, {}}, std::move(reply));
    });
    REQUIRE(found.has_value());
    return *found ? std::optional((*found)->id) : std::nullopt;
  }
  std::optional<travelchat::Advisor> who_has_jwt(const std::string& claims) {
    return *ask<std::optional<travelchat::Advisor>>([&](auto reply) {
      host_.authenticate({{}, "Bearer " + sign(hs256, claims)}, std::move(reply));
    });
  }
  std::vector<std::string> live_of(std::vector<std::string> session_ids) {
    return *ask<std::vector<std::string>>([&](auto reply) { host_.check_sessions(session_ids, std::move(reply)); });
  }
  std::optional<travelchat::SharedTrip> find_trip(const std::string& id) {
    return *ask<std::optional<travelchat::SharedTrip>>([&](auto reply) { host_.find_trip(id, std::move(reply)); });
  }
  std::vector<travelchat::ClientCard> find_client(const std::string& org_id, const std::string& id) {
    return *ask<std::vector<travelchat::ClientCard>>(
        [&](auto reply) { host_.find_clients(org_id, {id}, std::move(reply)); });
  }

 private:
  template <class T, class Question>
  travelchat::result<T> ask(Question question) {
    std::promise<travelchat::result<T>> answer;
    question(travelchat::Reply<T>([&answer](travelchat::result<T> given) { answer.set_value(std::move(given)); }));
    return answer.get_future().get();
  }

  std::unique_ptr<Database> database_;
  Log log_{LogLevel::off};
  LiveDirectory directory_{*database_, DemoAccounts::refused};
  Sessions sessions_{*database_, 24h, 1h};
  TravelLabHost host_{directory_, sessions_, JwtVerifier(secret, "travelchat", 24h), false, log_};
  WorkerPool readers_{2, 64};
};

void add_trip(Database& database, const std::string& id, const std::string& advisor_id) {
  REQUIRE_FALSE(database.write([&](Connection& connection) {
    Statement(connection, "INSERT INTO clients (id, org_id, advisor_id, full_name) VALUES (?, 'o', ?, 'Cleo')")
        .execute("client of " + id, advisor_id);
    Statement(connection,
              "INSERT INTO trips (id, org_id, advisor_id, client_id, title, destination, starts_on, ends_on, summary, "
              "share_enabled, share_token, created_at) VALUES (?, 'o', ?, ?, 'Title', '', '', '', '', 1, 's', 0)")
        .execute(id, advisor_id, "client of " + id);
  }));
}

}  // namespace

TEST_CASE("who signed in at one node is signed in at the other at once") {
  Data data(Kind::postgres);
  add_advisor(data.database(), "ada");
  Node first(data);
  Node second(data);
  const auto session = first.sessions().open("ada", current_time());
  REQUIRE(session.has_value());
  CHECK(first.who_signed_in(session->token) == "ada");
  CHECK(second.who_signed_in(session->token) == "ada");
  CHECK_FALSE(second.who_signed_in(std::string(64, '0')));
  CHECK_FALSE(second.who_signed_in("malformed"));
}

TEST_CASE("a session that is used at one node does not end at the other for being idle there") {
  Data data(Kind::postgres);
  add_advisor(data.database(), "ada");
  Node first(data);
  Node second(data);
  const auto now = current_time();
  const std::string token = first.sessions().open("ada", now)->token;
  REQUIRE_FALSE(second.sessions().reread(token, now));
  REQUIRE_FALSE(first.sessions().note_use(token, now + 50min));
  const auto later = now + 109min;
  REQUIRE_FALSE(second.sessions().reread(token, later));
  CHECK(second.sessions().recall(token, later));
  REQUIRE_FALSE(first.sessions().reread(token, later));
  CHECK(first.sessions().recall(token, later));
}

TEST_CASE("who signed out at one node is believed by the other for five seconds at most") {
  Data data(Kind::postgres);
  add_advisor(data.database(), "ada");
  Node first(data);
  Node second(data);
  const auto now = current_time();
  const std::string token = first.sessions().open("ada", now)->token;
  REQUIRE_FALSE(second.sessions().reread(token, now));
  REQUIRE_FALSE(first.sessions().close(token));
  CHECK_FALSE(first.sessions().recall(token, now));
  CHECK(second.sessions().recall(token, now + Sessions::trust - 1ms));
  CHECK_FALSE(second.sessions().recall(token, now + Sessions::trust));
  CHECK_FALSE(second.sessions().reread(token, now + Sessions::trust));
  CHECK_FALSE(second.sessions().recall(token, now + Sessions::trust));
  CHECK_FALSE(second.sessions().recall(token, now));
}

TEST_CASE("an advisor who is disabled, gone or of another organization has no open socket by JWT either") {
  Data data(Kind::postgres);
  for (const char* id : {"ada", "bea", "cleo", "dora"}) add_advisor(data.database(), id);
  add_advisor(data.database(), "emil", "other");
  Node node(data);
  const std::string expires_at = std::to_string(current_time().time_since_epoch().count() / 1000 + 3600);
  std::vector<std::string> sessions;
  for (const std::string id : {"ada", "bea", "cleo", "dora"}) {
    const auto advisor =
        node.who_has_jwt(R"({"sub":")" + id + R"(","org":"o","aud":"travelchat","exp":)" + expires_at + "}");
    REQUIRE(advisor);
    CHECK_FALSE(advisor->by_cookie);
    sessions.push_back(advisor->session_id);
  }
  const auto cookie = node.sessions().open("dora", current_time());
  sessions.push_back(Sessions::id_of(cookie->token));
  CHECK(node.live_of(sessions).size() == sessions.size());
  REQUIRE_FALSE(data.database().write([](Connection& connection) {
    Statement(connection, "UPDATE advisors SET disabled_at = 1 WHERE id = ?").execute("ada");
    Statement(connection, "UPDATE advisors SET org_id = ? WHERE id = ?").execute("other", "bea");
    Statement(connection, "DELETE FROM advisors WHERE id = ?").execute("cleo");
  }));
  CHECK(node.live_of(sessions) == std::vector{sessions[4], sessions[3]});
}

TEST_CASE("a session that is used on another node can be closed on any, also on one that has not seen it") {
  Data data(Kind::postgres);
  add_advisor(data.database(), "ada");
  Node first(data);
  Node second(data);
  const std::string token = first.sessions().open("ada", current_time())->token;
  REQUIRE_FALSE(second.sessions().close(token));
  CHECK_FALSE(Node(data).who_signed_in(token));
}

TEST_CASE("an advisor who was added while a node runs can use it at once") {
  Data data(Kind::postgres);
  Node running(data);
  add_advisor(data.database(), "new");
  const std::string token = Node(data).sessions().open("new", current_time())->token;
  CHECK(running.who_signed_in(token) == "new");
}

TEST_CASE("a trip and a client that were added while a node runs are found at once") {
  Data data(Kind::postgres);
  add_advisor(data.database(), "ada");
  Node running(data);
  CHECK_FALSE(running.find_trip("t"));
  add_trip(data.database(), "t", "ada");
  const auto trip = running.find_trip("t");
  REQUIRE(trip);
  CHECK(trip->client_name == "Cleo");
  CHECK(trip->advisor_name == "Name ada");
  add_trip(data.database(), "u", "ada");
  CHECK(running.find_client("o", "client of u").size() == 1);
  CHECK(running.find_client("another", "client of u").empty());
}

TEST_CASE("a change of the directory by anybody changes its version, and other writes do not") {
  Data data(Kind::postgres);
  add_advisor(data.database(), "ada");
  Node node(data);
  const auto before = node.directory().current();
  REQUIRE(node.sessions().open("ada", current_time()).has_value());
  REQUIRE_FALSE(node.directory().refresh());
  CHECK(node.directory().current() == before);
  REQUIRE_FALSE(data.database().write([](Connection& connection) {
    Statement(connection, "UPDATE organizations SET name = ? WHERE id = ?").execute("Renamed", "o");
  }));
  REQUIRE_FALSE(node.directory().refresh());
  CHECK(node.directory().current()->find_organization("o")->name == "Renamed");
  CHECK(before->find_organization("o")->name == "Org o");
}

TEST_CASE("nodes that start at once with a demonstration load it once") {
  Data data(Kind::postgres);
  data.close();
  const auto start = [&data]() -> travelchat::result<std::vector<std::string>> {
    const auto database = data.open_another();
    travelchat::error_code ec;
    database->exclusively([&] { ec = load_demo(*database, 3, current_time()); });
    if (ec) return ec;
    std::vector<std::string> ids;
    for (const DemoLogin& login : find_demo_logins(*database).value()) ids.push_back(login.advisor_id);
    return ids;
  };
  auto other = std::async(std::launch::async, start);
  const auto mine = start();
  const auto theirs = other.get();
  REQUIRE(mine);
  REQUIRE(theirs);
  CHECK(mine->size() == 4);
  CHECK(*theirs == *mine);
}

TEST_CASE("nodes that start at once have the same key of web push, which a restart keeps") {
  Data data(Kind::postgres);
  const auto key = [&data] { return Vapid::load(*data.open_another(), "").public_key(); };
  auto other = std::async(std::launch::async, key);
  const std::string mine = key();
  CHECK(mine.size() == 87);
  CHECK(other.get() == mine);
  CHECK(key() == mine);
}

TEST_CASE("a push key in the database that cannot be used is refused, and kept") {
  Data data(Kind::postgres);
  const auto stored = [&data] {
    std::string pem;
    REQUIRE_FALSE(data.database().read([&pem](Connection& connection) {
      Statement rows(connection, "SELECT pem FROM push_key");
      if (rows.run().next()) pem = rows.text(0);
    }));
    return pem;
  };
  REQUIRE_FALSE(data.database().write([](Connection& connection) {
    Statement(connection, "INSERT INTO push_key (id, pem) VALUES (1, 'no key')").execute();
  }));
  CHECK_THROWS_WITH(Vapid::load(data.database(), ""), Catch::Contains("P-256"));
  CHECK(stored() == "no key");
}

TEST_CASE("a database of another application's is refused, and left as it is") {
  Data data(Kind::postgres);
  REQUIRE_FALSE(data.database().write(
      [](Connection& connection) { Statement(connection, "DROP TABLE host_migrations").execute(); }));
  data.close();
  CHECK_THROWS_WITH(data.open(), Catch::Contains("another application's") && Catch::Contains("organizations"));
}

TEST_CASE("a PostgreSQL that is not there is an error without the password, and not a wait") {
  const std::string url = "postgres://ada:the-password@127.0.0.1:1/db";
  try {
    open_postgres(url, {});
    FAIL("there is none");
  } catch (const std::exception& error) {
    CHECK_THAT(error.what(), Catch::Contains("cannot reach PostgreSQL") && Catch::Contains("127.0.0.1"));
    CHECK_THAT(error.what(), !Catch::Contains("the-password") && !Catch::Contains("\n"));
  }
}

TEST_CASE("a log is told where the database is, and no password") {
  CHECK(describe_postgres("postgres://ada:the-password@db.example:5433/chat?sslmode=require") ==
        "db.example:5433/chat");
  CHECK(describe_postgres("postgresql:///chat") == "local socket/chat");
  CHECK_THROWS_WITH(describe_postgres("postgres://ada:the-password@db.example:port:5/chat?x"),
                    !Catch::Contains("the-password"));
}
