#include "fixture.hpp"

namespace travelchat::conformance {

namespace {

std::vector<Member> members(Chat& chat, const Uuid& conversation_id) {
  const auto found = chat.storage().list_members(conversation_id);
  REQUIRE(found);
  return *found;
}

}  // namespace

TEST_CASE("a conversation's client is a member from the start") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  CHECK(members(chat, conversation.id) == std::vector<Member>{{Role::client, "client-1", "", 0, 0}});
  CHECK(members(chat, make_uuid(chat.now())).empty());
}

TEST_CASE("a mark raises the watermarks of whoever makes it, and nobody else's") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  chat.send(conversation.id, client(), "1");
  chat.send(conversation.id, advisor(), "2");
  REQUIRE(chat.mark(conversation.id, advisor()));
  REQUIRE(chat.mark(conversation.id, client()));
  chat.send(conversation.id, client(), "3");
  REQUIRE(chat.mark(conversation.id, advisor("advisor-2")));
  chat.reopen();
  CHECK(members(chat, conversation.id) == std::vector<Member>{{Role::client, "client-1", "Clio Client", 2, 2},
                                                              {Role::advisor, "advisor-1", "Ada Advisor", 2, 2},
                                                              {Role::advisor, "advisor-2", "Ada Advisor", 3, 3}});
}

TEST_CASE("a mark that finds nothing to mark raises the watermarks all the same, and no revision") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  chat.send(conversation.id, client(), "1");
  REQUIRE(chat.mark(conversation.id, advisor()));
  const auto late = chat.mark(conversation.id, advisor("advisor-2"));
  REQUIRE(late);
  CHECK_FALSE(late->changed);
  CHECK(chat.conversation(conversation.id).rev == 2);
  REQUIRE(members(chat, conversation.id).size() == 3);
  CHECK(members(chat, conversation.id).back() == Member{Role::advisor, "advisor-2", "Ada Advisor", 1, 1});
}

TEST_CASE("a client who is no member reaches nothing of a conversation") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto message = chat.send(conversation.id, advisor(), "1");
  CHECK(failed_with(chat.write(chat.draft(conversation.id, client("client-2"), "2")), errc::not_found));
  CHECK(failed_with(chat.react(message, client("client-2"), Emoji::heart), errc::not_found));
  CHECK(failed_with(chat.mark(conversation.id, client("client-2")), errc::not_found));
  CHECK(members(chat, conversation.id).size() == 1);
}

}  // namespace travelchat::conformance
