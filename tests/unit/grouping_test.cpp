#include <travelchat/grouping.hpp>
#include <travelchat/wire.hpp>

#include "catch.hpp"
#include "vectors.hpp"

using namespace travelchat;
using test::text_of;

TEST_CASE("threads are laid out as the shared vectors say") {
  const auto vectors = test::load_vectors("grouping.json");
  const auto& cases = vectors.at("layouts").as_array();
  REQUIRE(cases.size() >= 10);
  for (const auto& example : cases) {
    INFO(text_of(example.at("description")));
    std::vector<Message> messages;
    for (const auto& row : example.at("messages").as_array()) {
      Message& message = messages.emplace_back();
      message.sender_type = parse_role(text_of(row.at("senderType"))).value();
      message.sender_id = text_of(row.at("senderId"));
      message.created_at = wire::parse_time(text_of(row.at("createdAt"))).value();
    }
    std::vector<RowLayout> expected;
    for (const auto& row : example.at("expected").as_array()) {
      expected.push_back({.has_divider = row.at("hasDivider").as_bool(),
                          .is_first_in_group = row.at("isFirstInGroup").as_bool(),
                          .is_last_in_group = row.at("isLastInGroup").as_bool()});
    }
    const auto rows = lay_out(messages);
    REQUIRE(rows.size() == expected.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      INFO("message " << i);
      CHECK(rows[i].has_divider == expected[i].has_divider);
      CHECK(rows[i].is_first_in_group == expected[i].is_first_in_group);
      CHECK(rows[i].is_last_in_group == expected[i].is_last_in_group);
    }
  }
}

TEST_CASE("dividers are labelled as the shared vectors say") {
  const auto vectors = test::load_vectors("grouping.json");
  const auto& cases = vectors.at("labels").as_array();
  REQUIRE(cases.size() >= 10);
  for (const auto& example : cases) {
    INFO(text_of(example.at("description")));
    CHECK(divider_label(
              wire::parse_time(text_of(example.at("at"))).value(), wire::parse_time(text_of(example.at("now"))).value(),
              std::chrono::minutes(example.at("utcOffsetMinutes").as_int64())) == text_of(example.at("expected")));
  }
}

TEST_CASE("a divider stands before the first message, and after more than five minutes") {
  const TimePoint noon = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + std::chrono::hours(12);
  CHECK(needs_divider(std::nullopt, noon));
  CHECK_FALSE(needs_divider(noon, noon));
  CHECK_FALSE(needs_divider(noon, noon + divider_gap));
  CHECK(needs_divider(noon, noon + divider_gap + std::chrono::milliseconds(1)));
  CHECK_FALSE(needs_divider(noon, noon - std::chrono::hours(1)));
}

TEST_CASE("a label of a time before 1970 keeps its day") {
  using namespace std::chrono;
  const TimePoint at = sys_days(year(1969) / 12 / 31) + hours(23) + minutes(59);
  CHECK(divider_label(at, at + minutes(2), minutes(0)) == "Yesterday 11:59 PM");
  CHECK(divider_label(at, sys_days(year(2026) / 1 / 1), minutes(0)) == "Wed Dec 31, 1969, 11:59 PM");
}
