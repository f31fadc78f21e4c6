#include "fixture.hpp"

#include <limits>

namespace travelchat::conformance {

TEST_CASE("a change list has every revision in order, each as things stand now") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto one = chat.send(conversation.id, advisor(), "1");  // 1
  REQUIRE(chat.react(one, client(), Emoji::heart));             // 2
  REQUIRE(chat.mark(conversation.id, client()));                // 3
  const TimePoint seen_at = chat.now();
  chat.send(conversation.id, client(), "2");       // 4
  REQUIRE(chat.mark(conversation.id, advisor()));  // 5
  const TimePoint read_at = chat.now();
  REQUIRE(chat.react(one, client(), Emoji::joy));  // 6
  chat.reopen();

  const auto list = chat.changes(conversation.id, 0);
  CHECK_FALSE(list.too_many);
  CHECK(list.current_rev == 6);
  REQUIRE(list.changes.size() == 6);
  for (std::size_t i = 0; i < 6; ++i) CHECK(list.changes[i].rev == i + 1);
  const Message first = chat.message(conversation.id, 1);
  CHECK(first.reactions.front().emoji == Emoji::joy);
  for (const std::size_t i : {0, 1, 5}) {
    CHECK(list.changes[i].message == first);
    CHECK(list.changes[i].created_rev == 1);
    CHECK(list.changes[i].content_rev == 0);
    CHECK_FALSE(list.changes[i].mark);
  }
  REQUIRE(list.changes[2].mark);
  CHECK(list.changes[2].mark->viewer == Role::client);
  CHECK(list.changes[2].mark->at == seen_at);
  CHECK_FALSE(list.changes[2].message);
  CHECK(list.changes[3].message == chat.message(conversation.id, 2));
  CHECK(list.changes[3].created_rev == 4);
  REQUIRE(list.changes[4].mark);
  CHECK(list.changes[4].mark->viewer == Role::advisor);
  CHECK(list.changes[4].mark->at == read_at);

  const auto tail = chat.changes(conversation.id, 4);
  REQUIRE(tail.changes.size() == 2);
  CHECK(tail.changes[0].rev == 5);
  CHECK(tail.changes[1].rev == 6);
}

TEST_CASE("a removed reaction stands in the change list as the reactions that are left") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto message = chat.send(conversation.id, advisor(), "1");
  REQUIRE(chat.react(message, client(), Emoji::heart));
  REQUIRE(chat.react(message, client(), std::nullopt));
  const auto list = chat.changes(conversation.id, 2);
  REQUIRE(list.changes.size() == 1);
  REQUIRE(list.changes[0].message);
  CHECK(list.changes[0].message->id == message.id);
  CHECK(list.changes[0].message->reactions.empty());
  CHECK(list.changes[0].created_rev == 1);
}

TEST_CASE("nothing has changed since the current revision") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto empty = chat.changes(conversation.id, 0);
  CHECK_FALSE(empty.too_many);
  CHECK(empty.current_rev == 0);
  CHECK(empty.changes.empty());
  chat.send(conversation.id, advisor(), "1");
  const auto list = chat.changes(conversation.id, 1, 0);
  CHECK_FALSE(list.too_many);
  CHECK(list.current_rev == 1);
  CHECK(list.changes.empty());
}

TEST_CASE("more changes than the limit are too many, and so is a revision that does not exist yet") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  for (int i = 0; i < 5; ++i) chat.send(conversation.id, advisor(), "x");
  const auto exact = chat.changes(conversation.id, 0, 5);
  CHECK_FALSE(exact.too_many);
  CHECK(exact.changes.size() == 5);
  for (const auto& [since, limit] : std::vector<std::pair<std::uint64_t, std::size_t>>{
           {0, 4}, {4, 0}, {6, 1000}, {std::numeric_limits<std::uint64_t>::max(), 1000}}) {
    const auto list = chat.changes(conversation.id, since, limit);
    CHECK(list.too_many);
    CHECK(list.current_rev == 5);
    CHECK(list.changes.empty());
  }
}

}  // namespace travelchat::conformance
