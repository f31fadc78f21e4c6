#include "fixture.hpp"

namespace travelchat::conformance {

TEST_CASE("a client's mark sets seen_at on the advisors' messages that have none") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  chat.send(conversation.id, advisor(), "1");
  chat.send(conversation.id, client(), "2");
  chat.send(conversation.id, advisor("advisor-2"), "3");
  const auto first = chat.mark(conversation.id, client());
  REQUIRE(first);
  const TimePoint first_at = chat.now();
  CHECK(first->changed);
  CHECK(first->count == 2);
  CHECK(first->conversation.rev == 4);
  CHECK(first->conversation.unread_count == 1);
  CHECK(first->conversation == chat.conversation(conversation.id));

  chat.send(conversation.id, advisor(), "4");
  const auto second = chat.mark(conversation.id, client());
  REQUIRE(second);
  CHECK(second->count == 1);
  const auto all = chat.messages(conversation.id);
  REQUIRE(all.size() == 4);
  CHECK(all[0].seen_at == first_at);
  CHECK(all[0].rev == 4);
  CHECK_FALSE(all[1].seen_at);
  CHECK(all[1].rev == 2);
  CHECK(all[2].seen_at == first_at);
  CHECK(all[2].rev == 4);
  CHECK(all[3].seen_at == chat.now());
  CHECK(all[3].rev == 6);
  for (const auto& message : all) CHECK_FALSE(message.is_read);
}

TEST_CASE("an advisor's mark reads the client's messages and clears the unread count") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  chat.send(conversation.id, client(), "1");
  chat.send(conversation.id, advisor(), "2");
  const auto last = chat.send(conversation.id, client(), "3");
  REQUIRE(chat.react(last, advisor(), Emoji::joy));
  const auto marked = chat.mark(conversation.id, advisor("advisor-2"));
  REQUIRE(marked);
  CHECK(marked->changed);
  CHECK(marked->count == 2);
  CHECK(marked->conversation.rev == 5);
  CHECK(marked->conversation.unread_count == 0);
  CHECK(marked->conversation == chat.conversation(conversation.id));
  const auto all = chat.messages(conversation.id);
  CHECK(all[0].is_read);
  CHECK(all[0].rev == 5);
  CHECK_FALSE(all[1].is_read);
  CHECK(all[1].rev == 2);
  CHECK(all[2].is_read);
  CHECK(all[2].rev == 5);
  for (const auto& message : all) CHECK_FALSE(message.seen_at);

  // For the organization's list: the newest message, without its reactions.
  auto newest = all[2];
  newest.reactions.clear();
  CHECK(marked->last_message == newest);
}

TEST_CASE("a mark that finds nothing to mark changes nothing") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto viewer = GENERATE(advisor(), client());
  const auto empty = chat.mark(conversation.id, viewer);
  REQUIRE(empty);
  CHECK_FALSE(empty->changed);
  CHECK(empty->count == 0);
  CHECK(empty->conversation == conversation);
  CHECK_FALSE(empty->last_message);

  chat.send(conversation.id, viewer, "one's own message is not marked by oneself");
  const auto own = chat.mark(conversation.id, viewer);
  REQUIRE(own);
  CHECK_FALSE(own->changed);
  CHECK(own->conversation.rev == 1);
  CHECK(own->last_message.has_value() == (viewer.role == Role::advisor));
  CHECK(chat.conversation(conversation.id) == own->conversation);
}

TEST_CASE("a second mark at once changes nothing") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  chat.send(conversation.id, advisor(), "1");
  chat.send(conversation.id, client(), "2");
  const auto viewer = GENERATE(advisor(), client());
  const MarkConversation mark{conversation.id, viewer, chat.tick()};
  const auto results = chat.commit({mark, mark});
  REQUIRE(results[0]);
  REQUIRE(results[1]);
  CHECK(results[0]->changed);
  CHECK_FALSE(results[1]->changed);
  CHECK(results[1]->count == 0);
  CHECK(results[0]->conversation == results[1]->conversation);
}

TEST_CASE("a mark by somebody who cannot reach the conversation is not found") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  chat.send(conversation.id, advisor(), "1");
  chat.send(conversation.id, client(), "2");
  const auto before = chat.conversation(conversation.id);
  CHECK(failed_with(chat.mark(conversation.id, client("client-2")), errc::not_found));
  CHECK(failed_with(chat.mark(conversation.id, client("client-1", "org-2")), errc::not_found));
  CHECK(failed_with(chat.mark(conversation.id, advisor("advisor-1", "org-2")), errc::not_found));
  CHECK(failed_with(chat.mark(make_uuid(chat.tick()), advisor()), errc::not_found));
  CHECK(chat.conversation(conversation.id) == before);
}

}  // namespace travelchat::conformance
