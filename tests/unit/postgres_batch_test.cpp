// What a transaction of the PostgreSQL storage decides, without a server. That its answers are the storage's is what
// the conformance suite shows; here is what it writes.

#include "storage/postgres_batch.hpp"
#include "catch.hpp"

#include <algorithm>

namespace travelchat::postgres {

namespace {

const TimePoint at{std::chrono::milliseconds{1'764'000'000'000}};
const Participant ada{"org", Role::advisor, "ada", "Ada"};
const Participant clio{"org", Role::client, "clio", "Clio"};

Uuid id(std::uint8_t n) {
  Uuid uuid;
  uuid.bytes.back() = n;
  return uuid;
}

// A conversation with two messages, the client's unread and the advisor's unseen.
Facts two_messages() {
  Facts facts;
  ConversationRow& row = facts.conversations.emplace_back();
  row.value = {id(1), "org", "clio", at, at, 2, 2, 1};
  row.unseen_count = 1;
  for (std::uint8_t seq = 1; seq <= 2; ++seq) {
    Message& message = facts.messages.emplace_back();
    message.id = id(static_cast<std::uint8_t>(10 + seq));
    message.conversation_id = id(1);
    message.org_id = "org";
    message.sender_type = seq == 1 ? Role::client : Role::advisor;
    message.sender_id = seq == 1 ? "clio" : "ada";
    message.content = "text";
    message.seq = message.rev = seq;
  }
  return facts;
}

AppendMessage append(std::uint8_t n, const Participant& sender) {
  AppendMessage write;
  write.message_id = id(n);
  write.conversation_id = id(1);
  write.sender = sender;
  write.content = "text";
  write.now = at;
  return write;
}

}  // namespace

TEST_CASE("a message that is marked in the batch that brought it is inserted as marked") {
  Batch batch(two_messages());
  REQUIRE(batch.apply(append(20, clio)).has_value());
  const auto marked = batch.apply(MarkConversation{id(1), ada, at});
  CHECK(marked->count == 2);
  REQUIRE(batch.apply(append(21, clio)).has_value());
  const Effects effects = batch.effects();
  REQUIRE(effects.messages.size() == 2);
  CHECK(effects.messages[0].message.is_read);
  CHECK(effects.messages[0].message.rev == 4);
  CHECK(effects.messages[0].created_rev == 3);
  CHECK_FALSE(effects.messages[1].message.is_read);
  // The rows that were there are marked up to the last of them.
  REQUIRE(effects.marks.size() == 1);
  CHECK(effects.marks[0].after_seq == 0);
  CHECK(effects.marks[0].up_to_seq == 2);
  CHECK(effects.marks[0].rev == 4);
  REQUIRE(effects.conversations.size() == 1);
  CHECK(effects.conversations[0].value.unread_count == 1);
  CHECK(effects.conversations[0].value.rev == 5);
  CHECK(effects.conversations[0].read_seq == 3);
}

TEST_CASE("a second mark in a batch leaves the stored messages to the first") {
  Batch batch(two_messages());
  REQUIRE(batch.apply(MarkConversation{id(1), ada, at})->changed);
  REQUIRE(batch.apply(append(20, clio)).has_value());
  REQUIRE(batch.apply(MarkConversation{id(1), ada, at})->changed);
  CHECK_FALSE(batch.apply(MarkConversation{id(1), ada, at})->changed);
  const Effects effects = batch.effects();
  CHECK(effects.marks.size() == 1);
  REQUIRE(effects.changes.size() == 2);
  CHECK(effects.changes[1].first_seq == 3);
  CHECK(effects.changes[1].last_seq == 3);
}

TEST_CASE("a reaction that is set and removed in a batch leaves a removal and two revisions") {
  Batch batch(two_messages());
  REQUIRE(batch.apply(PutReaction{id(30), id(1), id(11), ada, Emoji::joy, at})->changed);
  REQUIRE(batch.apply(PutReaction{id(31), id(1), id(11), ada, std::nullopt, at})->changed);
  const Effects effects = batch.effects();
  CHECK(effects.reactions.empty());
  CHECK(effects.removed_reactions.size() == 1);
  CHECK(effects.changes.size() == 2);
  REQUIRE(effects.touched.size() == 1);
  CHECK(effects.touched[0] == std::pair(id(11), std::uint64_t{4}));
}

TEST_CASE("a reaction to a message of the same batch touches no stored row") {
  Batch batch(two_messages());
  REQUIRE(batch.apply(append(20, clio)).has_value());
  REQUIRE(batch.apply(PutReaction{id(30), id(1), id(20), ada, Emoji::joy, at})->changed);
  const Effects effects = batch.effects();
  CHECK(effects.touched.empty());
  CHECK(effects.messages[0].message.rev == 4);
  CHECK(effects.reactions.size() == 1);
}

TEST_CASE("what an attempt of unknown outcome has left counts as this write's own") {
  Facts facts = two_messages();
  facts.messages[0].client_message_id = "c-1";
  Batch batch(std::move(facts));
  AppendMessage again = append(11, clio);
  again.client_message_id = "c-1";
  const auto own = batch.apply(again);
  CHECK(own->changed);
  CHECK(own->message->seq == 1);
  // Another write with the same client message id is a repeat, and another content under the same id an error.
  again.message_id = id(20);
  CHECK_FALSE(batch.apply(again)->changed);
  AppendMessage other = append(12, clio);
  CHECK(batch.apply(other).error() == errc::internal);
  CHECK(batch.effects().messages.empty());
}

TEST_CASE("a conversation is not there before the write that opens it") {
  Facts facts = two_messages();
  facts.made.insert(id(1));
  Batch batch(std::move(facts));
  CHECK(batch.apply(append(20, clio)).error() == errc::not_found);
  CHECK(batch.apply(OpenConversation{id(1), "org", "clio", at})->changed);
  CHECK(batch.apply(append(20, clio)).has_value());
  CHECK_FALSE(batch.apply(OpenConversation{id(2), "org", "clio", at})->changed);
}

TEST_CASE("a token that makes no room for itself is never written") {
  Batch batch(two_messages());
  const auto put = [&](std::uint8_t n) {
    PutToken write;
    write.digest.fill(n);
    write.claims = {"org", "clio", "trip", id(1), at + std::chrono::hours{1}};
    write.now = at;
    write.max_live = 2;
    return batch.apply(write);
  };
  CHECK(put(1)->evicted.empty());
  CHECK(put(2)->evicted.empty());
  CHECK(put(3)->evicted.size() == 1);
  const Effects effects = batch.effects();
  CHECK(effects.tokens.size() == 2);
  CHECK(effects.removed_tokens.empty());
}

TEST_CASE("every transaction asks for its conversations in one order, each once") {
  std::vector<Write> writes;
  for (const std::uint8_t n : {3, 1, 2, 1}) writes.emplace_back(MarkConversation{id(n), ada, at});
  writes.emplace_back(OpenConversation{id(9), "org", "b", at});
  writes.emplace_back(OpenConversation{id(8), "org", "a", at});
  writes.emplace_back(OpenConversation{id(7), "org", "b", at});
  std::vector<const Write*> pointers;
  for (const Write& write : writes) pointers.push_back(&write);
  const Questions questions = questions_of(pointers, false);
  CHECK(questions.conversations == std::vector<Uuid>{id(1), id(2), id(3)});
  REQUIRE(questions.openings.size() == 2);
  CHECK(questions.openings[0]->client_id == "a");
  CHECK(questions.openings[1]->conversation_id == id(9));
}

}  // namespace travelchat::postgres
