#include "push_subscriptions.hpp"

#include "data_fixture.hpp"
#include "database.hpp"

#include <catch.hpp>

#include <chrono>
#include <set>
#include <string>

namespace {

using namespace std::chrono_literals;
using namespace travel_lab;
using travelchat::errc;
using travelchat::TimePoint;

constexpr TimePoint now{1'800'000'000s};

// Two of one organization and one of another.
void add_advisors(Database& database) {
  add_advisor(database, "a", "o");
  add_advisor(database, "b", "o");
  add_advisor(database, "s", "p");
}

PushSubscription browser(const std::string& name, std::uint8_t secret = 1) {
  PushSubscription subscription{"https://push.example/" + name, {}};
  subscription.keys.p256dh.fill(secret);
  subscription.keys.auth.fill(secret);
  return subscription;
}

std::set<std::string> endpoints(const PushSubscriptions& subscriptions, const std::string& org_id) {
  const auto found = subscriptions.of_organization(org_id);
  REQUIRE(found.has_value());
  std::set<std::string> names;
  for (const PushSubscription& subscription : *found) names.insert(subscription.endpoint.substr(21));
  CHECK(names.size() == found->size());
  return names;
}

using Names = std::set<std::string>;

}  // namespace

TEST_CASE("an organization's browsers are those of its advisors, also after a restart") {
  ON_EVERY_DATABASE(data);
  add_advisors(data.database());
  {
    PushSubscriptions subscriptions(data.database());
    REQUIRE_FALSE(subscriptions.add("a", browser("1", 7), now));
    REQUIRE_FALSE(subscriptions.add("b", browser("2"), now));
    REQUIRE_FALSE(subscriptions.add("s", browser("3"), now));
  }
  data.close();
  data.open();
  const PushSubscriptions subscriptions(data.database());
  CHECK(endpoints(subscriptions, "o") == Names{"1", "2"});
  CHECK(endpoints(subscriptions, "p") == Names{"3"});
  CHECK(endpoints(subscriptions, "nobody").empty());
  for (const PushSubscription& found : *subscriptions.of_organization("o")) {
    if (found.endpoint == browser("1").endpoint) CHECK(found.keys == browser("1", 7).keys);
  }
}

TEST_CASE("a browser has one subscription, which follows whoever signs in there last") {
  ON_EVERY_DATABASE(data);
  add_advisors(data.database());
  PushSubscriptions subscriptions(data.database());
  REQUIRE_FALSE(subscriptions.add("a", browser("1"), now));
  REQUIRE_FALSE(subscriptions.add("a", browser("1", 2), now));
  CHECK(subscriptions.of_organization("o")->at(0).keys == browser("1", 2).keys);
  REQUIRE_FALSE(subscriptions.add("s", browser("1", 2), now));
  CHECK(endpoints(subscriptions, "o").empty());
  CHECK(endpoints(subscriptions, "p") == Names{"1"});
}

TEST_CASE("who knows only the endpoint cannot take another advisor's subscription, or remove it") {
  ON_EVERY_DATABASE(data);
  add_advisors(data.database());
  PushSubscriptions subscriptions(data.database());
  REQUIRE_FALSE(subscriptions.add("a", browser("1"), now));
  CHECK(subscriptions.add("s", browser("1", 2), now) == make_error_code(errc::forbidden));
  CHECK(endpoints(subscriptions, "p").empty());
  CHECK(subscriptions.of_organization("o")->at(0).keys == browser("1").keys);
  CHECK_FALSE(subscriptions.remove("b", browser("1").endpoint));
  CHECK(endpoints(subscriptions, "o") == Names{"1"});
  CHECK_FALSE(subscriptions.remove("a", browser("1").endpoint));
  CHECK(endpoints(subscriptions, "o").empty());
  CHECK_FALSE(subscriptions.remove("a", browser("1").endpoint));
}

TEST_CASE("an advisor's twenty-first browser ends the oldest") {
  ON_EVERY_DATABASE(data);
  add_advisors(data.database());
  PushSubscriptions subscriptions(data.database());
  REQUIRE_FALSE(subscriptions.add("b", browser("colleague"), now - 1h));
  Names expected{"colleague"};
  for (int i = 0; i < 25; ++i) {
    REQUIRE_FALSE(subscriptions.add("a", browser(std::to_string(i)), now + std::chrono::seconds{i}));
    if (i >= 5) expected.insert(std::to_string(i));
  }
  CHECK(endpoints(subscriptions, "o") == expected);
  // Subscribing anew makes it the newest.
  REQUIRE_FALSE(subscriptions.add("a", browser("5"), now + 1h));
  REQUIRE_FALSE(subscriptions.add("a", browser("25"), now + 2h));
  expected.erase("6");
  expected.insert("25");
  CHECK(endpoints(subscriptions, "o") == expected);
}

TEST_CASE("what a push service has forgotten is forgotten, unless the browser has subscribed anew") {
  ON_EVERY_DATABASE(data);
  add_advisors(data.database());
  PushSubscriptions subscriptions(data.database());
  REQUIRE_FALSE(subscriptions.add("a", browser("1"), now));
  CHECK_FALSE(subscriptions.forget(browser("1", 2)));
  CHECK(endpoints(subscriptions, "o") == Names{"1"});
  CHECK_FALSE(subscriptions.forget(browser("1")));
  CHECK(endpoints(subscriptions, "o").empty());
}

TEST_CASE("a database from before push gets its table") {
  Data data(Kind::sqlite);
  add_advisors(data.database());
  REQUIRE_FALSE(data.database().write([](Connection& connection) {
    Statement(connection, "DROP TABLE push_subscriptions").execute();
    Statement(connection, "DROP TABLE directory_version").execute();
    Statement(connection, "ALTER TABLE advisors DROP COLUMN disabled_at").execute();
    Statement(connection, "ALTER TABLE sessions DROP COLUMN used_at").execute();
    Statement(connection, "DELETE FROM host_migrations WHERE version >= 2").execute();
  }));
  data.close();
  data.open();
  PushSubscriptions subscriptions(data.database());
  CHECK_FALSE(subscriptions.add("a", browser("1"), now));
  CHECK(endpoints(subscriptions, "o") == Names{"1"});
}
