#include "clock.hpp"
#include "data_fixture.hpp"
#include "database.hpp"
#include "demo_data.hpp"
#include "demo_dialogue.hpp"
#include "directory.hpp"
#include "passwords.hpp"

#include <catch.hpp>

#include <algorithm>
#include <set>
#include <string>

namespace {

using namespace std::chrono_literals;
using namespace travel_lab;

}  // namespace

TEST_CASE(
    "the demonstration has two organizations, four advisors, and a shared trip and a conversation for each client") {
  ON_EVERY_DATABASE(data);
  const auto now = current_time();
  REQUIRE_FALSE(load_demo(data.database(), 20, now));
  const auto directory = Directory::load(data.database(), DemoAccounts::admitted);
  const auto logins = find_demo_logins(data.database());
  REQUIRE(directory.has_value());
  REQUIRE(logins.has_value());

  REQUIRE(logins->size() == 4);
  std::set<std::string> organizations;
  for (const DemoLogin& login : *logins) {
    const Advisor* advisor = directory->find_advisor(login.advisor_id);
    REQUIRE(advisor != nullptr);
    CHECK(verify_password(login.password, advisor->password_hash));
    CHECK(directory->find_advisor_by_email(advisor->email) == advisor);
    organizations.insert(advisor->org_id);
  }
  CHECK(organizations.size() == 2);

  const auto trips = shared_demo_trips(*directory, *logins);
  CHECK(trips.size() == 20);
  std::set<std::string> clients;
  for (const Trip* trip : trips) {
    CHECK(trip->share_enabled);
    CHECK(trip->share_token.size() == 32);
    REQUIRE(trip->client_id);
    CHECK(clients.insert(*trip->client_id).second);
    REQUIRE(directory->find_client(*trip->client_id) != nullptr);
    CHECK(directory->find_client(*trip->client_id)->org_id == trip->org_id);
  }

  std::vector<std::uint64_t> lengths;
  std::uint64_t unread = 0;
  for (const std::string& org_id : organizations) {
    const auto rows = data.database().chat().list_conversations({org_id});
    REQUIRE(rows.has_value());
    for (const auto& row : *rows) {
      CHECK(clients.erase(row.conversation.client_id) == 1);
      REQUIRE(row.last_message);
      CHECK(row.last_message->created_at < now);
      CHECK(row.last_message->created_at > now - 7 * 24h);
      lengths.push_back(row.conversation.last_seq);
      unread += row.conversation.unread_count;
    }
  }
  CHECK(clients.empty());
  std::sort(lengths.begin(), lengths.end());
  REQUIRE(lengths.size() == 20);
  CHECK(lengths.front() >= 3);
  CHECK(lengths[18] <= 40);
  CHECK(lengths[19] == 5'000);
  CHECK(unread > 0);
}

TEST_CASE("without --demo its accounts cannot sign in, and its share links are closed") {
  ON_EVERY_DATABASE(data);
  REQUIRE_FALSE(load_demo(data.database(), 2, current_time()));
  add_advisor(data.database(), "real");
  const auto directory = Directory::load(data.database(), DemoAccounts::refused);
  const auto logins = find_demo_logins(data.database());
  REQUIRE(directory.has_value());
  REQUIRE(logins->size() == 4);
  for (const DemoLogin& login : *logins) {
    CHECK(directory->find_advisor(login.advisor_id)->access == Access::demonstration);
    for (const Trip* trip : directory->trips_of(directory->find_advisor(login.advisor_id)->org_id)) {
      CHECK_FALSE(trip->share_enabled);
    }
  }
  CHECK(directory->find_advisor("real")->access == Access::granted);
  CHECK(shared_demo_trips(*directory, *logins).empty());
}

TEST_CASE("a demonstration that was cut short is loaded anew, and one that is complete stays as it is") {
  ON_EVERY_DATABASE(data);
  REQUIRE_FALSE(data.database().write([](Connection& connection) {
    Statement(connection, "INSERT INTO organizations (id, name) VALUES ('left-over', 'left-over')").execute();
  }));
  REQUIRE_FALSE(load_demo(data.database(), 2, current_time()));
  const auto logins = find_demo_logins(data.database());
  REQUIRE(logins.has_value());
  REQUIRE(logins->size() == 4);
  REQUIRE_FALSE(load_demo(data.database(), 2, current_time()));
  CHECK(find_demo_logins(data.database())->size() == 4);
}

TEST_CASE("names of clients repeat for nobody") {
  std::set<std::string> names;
  for (std::size_t i = 0; i < demo::max_names; ++i) names.insert(demo::client_name(i));
  CHECK(names.size() == demo::max_names);
}

TEST_CASE("a demonstration reads the same every time, and has no blank left open") {
  const demo::Speakers speakers{"Maya Okafor", "Amelia Hartley"};
  for (const demo::Destination& destination : demo::destinations()) {
    demo::Random first(1);
    demo::Random second(1);
    const auto lines = demo::converse(speakers, destination, 300, first);
    const auto again = demo::converse(speakers, destination, 300, second);
    REQUIRE(lines.size() == 300);
    REQUIRE(again.size() == 300);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      REQUIRE(lines[i].text == again[i].text);
      REQUIRE_FALSE(lines[i].text.empty());
      REQUIRE(lines[i].text.find_first_of("{}") == std::string::npos);
    }
  }
}
