#include "fixture.hpp"

namespace travelchat::conformance {
namespace {

std::vector<Emoji> emojis(const std::vector<Reaction>& reactions) {
  std::vector<Emoji> list;
  for (const auto& reaction : reactions) list.push_back(reaction.emoji);
  return list;
}

}  // namespace

TEST_CASE("a reaction is answered and read back as it was written") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto message = chat.send(conversation.id, advisor(), "hello");
  const PutReaction write{make_uuid(chat.tick()), conversation.id, message.id, client(), Emoji::heart, chat.now()};
  const auto put = chat.write(write);
  REQUIRE(put);
  CHECK(put->changed);

  Reaction expected;
  expected.id = write.reaction_id;
  expected.message_id = message.id;
  expected.conversation_id = conversation.id;
  expected.org_id = "org-1";
  expected.reactor_type = Role::client;
  expected.reactor_id = "client-1";
  expected.reactor_name = "Clio Client";
  expected.emoji = Emoji::heart;
  expected.created_at = write.now;
  CHECK(put->reactions == std::vector{expected});

  auto changed = message;
  changed.rev = 2;
  changed.reactions = {expected};
  CHECK(chat.messages(conversation.id) == std::vector{changed});
  CHECK(put->conversation.rev == 2);
  CHECK(put->conversation == chat.conversation(conversation.id));
  CHECK(put->conversation.last_message_at == message.created_at);
}

TEST_CASE("a second reaction replaces the first, keeps its id and moves to the end") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto message = chat.send(conversation.id, advisor(), "hello");
  const auto first = chat.react(message, advisor("advisor-1"), Emoji::heart);
  REQUIRE(first);
  REQUIRE(chat.react(message, advisor("advisor-2"), Emoji::joy));
  auto renamed = advisor("advisor-1");
  renamed.name = "Ada Newname";
  const auto replaced = chat.react(message, renamed, Emoji::sad);
  REQUIRE(replaced);
  CHECK(replaced->changed);
  CHECK(emojis(replaced->reactions) == std::vector{Emoji::joy, Emoji::sad});
  CHECK(replaced->reactions[1].id == first->reactions[0].id);
  CHECK(replaced->reactions[1].created_at == chat.now());
  CHECK(replaced->reactions[1].reactor_name == "Ada Newname");
  CHECK(chat.message(conversation.id, 1).reactions == replaced->reactions);
}

TEST_CASE("reactions stand in the order of their commits, even when the clock stands still or steps back") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto message = chat.send(conversation.id, advisor(), "hello");
  const TimePoint at = chat.tick();
  const auto put = [&](const std::string& who, Emoji emoji, TimePoint when) {
    return PutReaction{make_uuid(when), conversation.id, message.id, advisor(who), emoji, when};
  };
  const auto results = chat.commit({put("c", Emoji::heart, at), put("a", Emoji::joy, at),
                                    put("b", Emoji::sad, at - seconds{5}), put("c", Emoji::thumbs_up, at)});
  REQUIRE(results.back());
  const std::vector expected{Emoji::joy, Emoji::sad, Emoji::thumbs_up};
  CHECK(emojis(results.back()->reactions) == expected);
  chat.reopen();
  CHECK(emojis(chat.message(conversation.id, 1).reactions) == expected);
}

TEST_CASE("setting what is set and removing what is not there change nothing") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto message = chat.send(conversation.id, advisor(), "hello");
  const auto nothing = chat.react(message, client(), std::nullopt);
  REQUIRE(nothing);
  CHECK_FALSE(nothing->changed);
  CHECK(nothing->reactions.empty());
  CHECK(nothing->conversation.rev == 1);

  const auto set = chat.react(message, client(), Emoji::joy);
  REQUIRE(set);
  const auto again = chat.react(message, client(), Emoji::joy);
  REQUIRE(again);
  CHECK_FALSE(again->changed);
  CHECK(again->reactions == set->reactions);
  CHECK(again->conversation == set->conversation);
  CHECK(chat.message(conversation.id, 1).rev == 2);
}

TEST_CASE("a removed reaction is gone and may be set anew") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto message = chat.send(conversation.id, advisor(), "hello");
  REQUIRE(chat.react(message, advisor(), Emoji::heart));
  REQUIRE(chat.react(message, client(), Emoji::joy));
  const auto removed = chat.react(message, advisor(), std::nullopt);
  REQUIRE(removed);
  CHECK(removed->changed);
  CHECK(emojis(removed->reactions) == std::vector{Emoji::joy});
  CHECK(removed->conversation.rev == 4);
  CHECK(chat.message(conversation.id, 1).rev == 4);
  const auto anew = chat.react(message, advisor(), Emoji::heart);
  REQUIRE(anew);
  CHECK(emojis(anew->reactions) == std::vector{Emoji::joy, Emoji::heart});
}

TEST_CASE("an advisor and a client of the same id react apart") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open("same");
  const auto message = chat.send(conversation.id, advisor("same"), "hello");
  REQUIRE(chat.react(message, advisor("same"), Emoji::heart));
  const auto both = chat.react(message, client("same"), Emoji::joy);
  REQUIRE(both);
  CHECK(both->reactions.size() == 2);
}

TEST_CASE("a reaction to what the reactor cannot reach is not found") {
  ON_EVERY_BACKEND(chat);
  const auto own = chat.open("client-1");
  const auto other = chat.open("client-2");
  const auto message = chat.send(own.id, advisor(), "hello");
  auto elsewhere = message;
  elsewhere.conversation_id = other.id;
  auto unknown = message;
  unknown.id = make_uuid(chat.tick());
  auto nowhere = message;
  nowhere.conversation_id = make_uuid(chat.tick());

  const auto emoji = GENERATE(std::optional<Emoji>(Emoji::heart), std::optional<Emoji>());
  CHECK(failed_with(chat.react(elsewhere, advisor(), emoji), errc::not_found));
  CHECK(failed_with(chat.react(unknown, advisor(), emoji), errc::not_found));
  CHECK(failed_with(chat.react(nowhere, advisor(), emoji), errc::not_found));
  CHECK(failed_with(chat.react(message, client("client-2"), emoji), errc::not_found));
  CHECK(failed_with(chat.react(message, advisor("advisor-1", "org-2"), emoji), errc::not_found));
  CHECK(chat.conversation(own.id).rev == 1);
  CHECK(chat.conversation(other.id).rev == 0);
}

}  // namespace travelchat::conformance
