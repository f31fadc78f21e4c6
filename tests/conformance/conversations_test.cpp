#include "fixture.hpp"

#include <algorithm>

namespace travelchat::conformance {
namespace {

std::vector<Uuid> list(Chat& chat, const std::string& org_id, std::optional<std::string> text = std::nullopt,
                       std::vector<std::string> client_ids = {}) {
  const auto found = chat.storage().list_conversations({org_id, std::move(text), std::move(client_ids)});
  REQUIRE(found);
  std::vector<Uuid> ids;
  for (const auto& row : *found) ids.push_back(row.conversation.id);
  return ids;
}

}  // namespace

TEST_CASE("opening a conversation makes it empty at revision 0") {
  ON_EVERY_BACKEND(chat);
  const TimePoint at = chat.tick();
  const Uuid id = make_uuid(at);
  const auto opened = chat.write(OpenConversation{id, "org-1", "client-1", at});
  REQUIRE(opened);
  CHECK(opened->changed);
  CHECK_FALSE(opened->last_message);
  Conversation expected;
  expected.id = id;
  expected.org_id = "org-1";
  expected.client_id = "client-1";
  expected.created_at = at;
  CHECK(opened->conversation == expected);
  CHECK(chat.conversation(id) == expected);
}

TEST_CASE("there is one conversation for an organization and a client") {
  ON_EVERY_BACKEND(chat);
  const auto first = chat.open("client-1", "org-1");
  const auto sent = chat.send(first.id, client(), "hello");
  REQUIRE(chat.react(sent, advisor(), Emoji::joy));

  const TimePoint later = chat.tick();
  const auto again = chat.write(OpenConversation{make_uuid(later), "org-1", "client-1", later});
  REQUIRE(again);
  CHECK_FALSE(again->changed);
  CHECK(again->conversation == chat.conversation(first.id));
  REQUIRE(again->last_message);
  CHECK(again->last_message->id == sent.id);
  CHECK(again->last_message->reactions.empty());

  CHECK(chat.open("client-1", "org-2").id != first.id);
  CHECK(chat.open("client-2", "org-1").id != first.id);
}

TEST_CASE("two openings of one conversation in a batch meet in it") {
  ON_EVERY_BACKEND(chat);
  const TimePoint at = chat.tick();
  const auto opened = chat.commit({OpenConversation{make_uuid(at), "org-1", "client-1", at},
                                   OpenConversation{make_uuid(at), "org-1", "client-1", at}});
  REQUIRE(opened[0]);
  REQUIRE(opened[1]);
  CHECK(opened[0]->changed);
  CHECK_FALSE(opened[1]->changed);
  CHECK(opened[0]->conversation == opened[1]->conversation);
}

TEST_CASE("a conversation id that is taken fails alone") {
  ON_EVERY_BACKEND(chat);
  const auto taken = chat.open("client-1");
  const auto failed = chat.write(OpenConversation{taken.id, "org-1", "client-2", chat.tick()});
  CHECK(failed_with(failed, errc::internal));
  CHECK(list(chat, "org-1") == std::vector{taken.id});
}

TEST_CASE("a conversation that does not exist is not found") {
  ON_EVERY_BACKEND(chat);
  const Uuid unknown = make_uuid(chat.tick());
  const auto found = chat.storage().find_conversation(unknown);
  REQUIRE(found);
  CHECK_FALSE(*found);
  CHECK(chat.page({unknown, std::nullopt, std::nullopt, 10}).messages.empty());
  CHECK(chat.page({unknown, std::nullopt, 0, 10}).messages.empty());
  CHECK(failed_with(chat.storage().list_changes(unknown, 0, 10), errc::not_found));
}

TEST_CASE("a list shows its organization only, newest activity first") {
  ON_EVERY_BACKEND(chat);
  const auto a = chat.open("client-a");
  const auto b = chat.open("client-b");
  const auto c = chat.open("client-c");
  const auto other = chat.open("client-a", "org-2");
  CHECK(list(chat, "org-1") == std::vector{c.id, b.id, a.id});
  chat.send(a.id, client("client-a"), "up");
  CHECK(list(chat, "org-1") == std::vector{a.id, c.id, b.id});
  chat.send(b.id, advisor(), "higher");
  CHECK(list(chat, "org-1") == std::vector{b.id, a.id, c.id});
  CHECK(list(chat, "org-2") == std::vector{other.id});
  CHECK(list(chat, "org").empty());
}

TEST_CASE("conversations of equal activity are listed by id, descending") {
  ON_EVERY_BACKEND(chat);
  const TimePoint at = chat.tick();
  std::vector<Uuid> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(make_uuid(at));
  for (const int i : {3, 0, 4, 1, 2}) {
    REQUIRE(chat.write(OpenConversation{ids[static_cast<std::size_t>(i)], "org-1", "c" + std::to_string(i), at}));
  }
  std::sort(ids.rbegin(), ids.rend());
  CHECK(list(chat, "org-1") == ids);
}

TEST_CASE("a list row carries the conversation and its newest message without reactions") {
  ON_EVERY_BACKEND(chat);
  const auto empty = chat.open("client-empty");
  const auto busy = chat.open("client-1");
  chat.send(busy.id, client(), "first");
  const auto last = chat.send(busy.id, client(), "last");
  REQUIRE(chat.react(last, advisor(), Emoji::heart));

  const auto rows = chat.storage().list_conversations({"org-1", std::nullopt, {}});
  REQUIRE(rows);
  REQUIRE(rows->size() == 2);
  CHECK((*rows)[0].conversation == chat.conversation(busy.id));
  REQUIRE((*rows)[0].last_message);
  auto expected = chat.message(busy.id, 2);
  CHECK(expected.reactions.size() == 1);
  expected.reactions.clear();
  CHECK(*(*rows)[0].last_message == expected);
  CHECK((*rows)[1].conversation == empty);
  CHECK_FALSE((*rows)[1].last_message);
}

TEST_CASE("a search finds text in any message") {
  ON_EVERY_BACKEND(chat);
  const auto rome = chat.open("client-rome");
  const auto oslo = chat.open("client-oslo");
  const auto foreign = chat.open("client-rome", "org-2");
  chat.send(rome.id, advisor(), "Your flight to ROME is booked");
  chat.send(rome.id, advisor(), "See you");
  chat.send(oslo.id, advisor(), "Your flight to Oslo, Übersee");
  chat.send(foreign.id, advisor("advisor-2", "org-2"), "rome too");

  CHECK(list(chat, "org-1", "rome") == std::vector{rome.id});
  CHECK(list(chat, "org-1", "FLIGHT") == std::vector{oslo.id, rome.id});
  CHECK(list(chat, "org-1", "Übersee") == std::vector{oslo.id});
  CHECK(list(chat, "org-1", "paris").empty());
  CHECK(list(chat, "org-2", "flight").empty());
}

TEST_CASE("a search takes every character as itself") {
  ON_EVERY_BACKEND(chat);
  const auto percent = chat.open("client-percent");
  const auto underscore = chat.open("client-underscore");
  const auto quote = chat.open("client-quote");
  const auto backslash = chat.open("client-backslash");
  chat.send(percent.id, advisor(), "100% sure");
  chat.send(underscore.id, advisor(), "snake_case");
  chat.send(quote.id, advisor(), "it's \"quoted\"; DROP TABLE messages; --");
  chat.send(backslash.id, advisor(), "C:\\temp");

  CHECK(list(chat, "org-1", "%") == std::vector{percent.id});
  CHECK(list(chat, "org-1", "0% s") == std::vector{percent.id});
  CHECK(list(chat, "org-1", "_") == std::vector{underscore.id});
  CHECK(list(chat, "org-1", "e_c") == std::vector{underscore.id});
  CHECK(list(chat, "org-1", "t's") == std::vector{quote.id});
  CHECK(list(chat, "org-1", "\"quoted\"; drop") == std::vector{quote.id});
  CHECK(list(chat, "org-1", "\\") == std::vector{backslash.id});
  CHECK(list(chat, "org-1", "\\%").empty());
  CHECK(list(chat, "org-1", std::string("100\0", 4)).empty());
  CHECK(list(chat, "org-1", std::string(60'000, '%')).empty());
}

TEST_CASE("a search also finds the conversations of the given clients") {
  ON_EVERY_BACKEND(chat);
  const auto by_text = chat.open("client-1");
  const auto by_client = chat.open("client-2");
  const auto neither = chat.open("client-3");
  chat.open("client-2", "org-2");
  chat.send(by_text.id, advisor(), "anna");
  CHECK(list(chat, "org-1", "anna", {"client-2", "client-unknown"}) == std::vector{by_text.id, by_client.id});
  CHECK(list(chat, "org-1", "nobody", {"client-2"}) == std::vector{by_client.id});
  // Without a text there is nothing to match.
  CHECK(list(chat, "org-1", std::nullopt, {"client-2"}) == std::vector{by_text.id, neither.id, by_client.id});
}

TEST_CASE("the unread count is the sum over the organization") {
  ON_EVERY_BACKEND(chat);
  const auto a = chat.open("client-a");
  const auto b = chat.open("client-b");
  const auto other = chat.open("client-a", "org-2");
  const auto count = [&](const std::string& org_id) {
    const auto unread = chat.storage().count_unread(org_id);
    REQUIRE(unread);
    return *unread;
  };
  CHECK(count("org-1") == 0);
  chat.send(a.id, client("client-a"), "1");
  chat.send(a.id, client("client-a"), "2");
  chat.send(b.id, client("client-b"), "3");
  chat.send(b.id, advisor(), "an advisor's own message is not unread");
  chat.send(other.id, client("client-a", "org-2"), "4");
  CHECK(count("org-1") == 3);
  CHECK(count("org-2") == 1);
  CHECK(count("org-3") == 0);
  REQUIRE(chat.mark(a.id, advisor()));
  CHECK(count("org-1") == 1);
}

TEST_CASE("a probe finds a working storage well") {
  ON_EVERY_BACKEND(chat);
  CHECK_FALSE(chat.storage().ping());
}

TEST_CASE("revisions tell what has changed since") {
  ON_EVERY_BACKEND(chat);
  const auto one = chat.open("client-1");
  const auto two = chat.open("client-2");
  const auto other = chat.open("client-1", "org-2");
  const Uuid nobody = make_uuid(chat.tick());
  const auto look = [&] {
    auto found =
        chat.storage().list_revisions({{two.id, nobody, one.id, two.id, other.id}, {"org-2", "org-1", "org-none"}});
    REQUIRE(found);
    REQUIRE(found->organizations.size() == 3);
    return std::move(*found);
  };
  const Revisions empty = look();
  CHECK(empty.conversations == std::vector<std::uint64_t>{0, 0, 0, 0, 0});
  CHECK(empty.organizations[2] == 0);

  const auto message = chat.send(two.id, client("client-2"), "1");
  REQUIRE(chat.react(message, advisor(), Emoji::heart));
  chat.send(one.id, advisor(), "1");
  const Revisions written = look();
  CHECK(written.conversations == std::vector<std::uint64_t>{2, 0, 1, 2, 0});
  CHECK(written.organizations[0] == empty.organizations[0]);
  CHECK(written.organizations[1] != empty.organizations[1]);

  REQUIRE(chat.mark(two.id, advisor()));
  const Revisions read = look();
  CHECK(read.conversations == std::vector<std::uint64_t>{3, 0, 1, 3, 0});
  CHECK(read.organizations[1] != written.organizations[1]);

  chat.open("client-3");
  const Revisions opened = look();
  CHECK(opened.organizations[1] != read.organizations[1]);
  CHECK(look().organizations == opened.organizations);
  CHECK(chat.storage().list_revisions({})->conversations.empty());
}

TEST_CASE("an empty commit succeeds") {
  ON_EVERY_BACKEND(chat);
  std::vector<result<Written>> results(3, errc::internal);
  CHECK_FALSE(chat.storage().commit({}, results));
  CHECK(results.empty());
}

}  // namespace travelchat::conformance
