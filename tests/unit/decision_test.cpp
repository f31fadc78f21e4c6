// What is decided on some writes, without a storage. That its answers are the storages' is what the conformance suite
// shows; here is what is to be written.

#include "core/decision.hpp"
#include "catch.hpp"

#include <algorithm>

namespace travelchat::detail {

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
  Decision batch(two_messages());
  REQUIRE(batch.apply(append(20, clio)).has_value());
  const auto marked = batch.apply(MarkConversation{id(1), ada, at});
  CHECK(marked->count == 2);
  REQUIRE(batch.apply(append(21, clio)).has_value());
  const Effects effects = batch.take_effects();
  REQUIRE(effects.messages.size() == 2);
  CHECK(effects.messages[0].message.is_read);
  CHECK(effects.messages[0].message.rev == 4);
  CHECK(effects.messages[0].created_rev == 3);
  CHECK_FALSE(effects.messages[1].message.is_read);
  // Also the message that came in the same batch and stands marked among the effects.
  REQUIRE(effects.marks.size() == 1);
  CHECK(effects.marks[0].after_seq == 0);
  CHECK(effects.marks[0].up_to_seq == 3);
  CHECK(effects.marks[0].rev == 4);
  REQUIRE(effects.conversations.size() == 1);
  CHECK(effects.conversations[0].value.unread_count == 1);
  CHECK(effects.conversations[0].value.rev == 5);
  CHECK(effects.conversations[0].read_seq == 3);
}

TEST_CASE("a second mark in a batch begins behind the first") {
  Decision batch(two_messages());
  REQUIRE(batch.apply(MarkConversation{id(1), ada, at})->changed);
  REQUIRE(batch.apply(append(20, clio)).has_value());
  REQUIRE(batch.apply(MarkConversation{id(1), ada, at})->changed);
  CHECK_FALSE(batch.apply(MarkConversation{id(1), ada, at})->changed);
  const Effects effects = batch.take_effects();
  REQUIRE(effects.marks.size() == 2);
  CHECK(effects.marks[0].after_seq == 0);
  CHECK(effects.marks[0].up_to_seq == 2);
  CHECK(effects.marks[1].after_seq == 2);
  CHECK(effects.marks[1].up_to_seq == 3);
  CHECK(effects.changes.empty());
}

TEST_CASE("a reaction that is set and removed in a batch leaves a removal and two revisions") {
  Decision batch(two_messages());
  REQUIRE(batch.apply(PutReaction{id(30), id(1), id(11), ada, Emoji::joy, at})->changed);
  REQUIRE(batch.apply(PutReaction{id(31), id(1), id(11), ada, std::nullopt, at})->changed);
  const Effects effects = batch.take_effects();
  CHECK(effects.reactions.empty());
  CHECK(effects.removed_reactions.size() == 1);
  CHECK(effects.changes.size() == 2);
  REQUIRE(effects.touched.size() == 1);
  CHECK(effects.touched[0].message_id == id(11));
  CHECK(effects.touched[0].seq == 1);
  CHECK(effects.touched[0].rev == 4);
}

TEST_CASE("a reaction to a message of the same batch touches no stored row") {
  Decision batch(two_messages());
  REQUIRE(batch.apply(append(20, clio)).has_value());
  REQUIRE(batch.apply(PutReaction{id(30), id(1), id(20), ada, Emoji::joy, at})->changed);
  const Effects effects = batch.take_effects();
  CHECK(effects.touched.empty());
  CHECK(effects.messages[0].message.rev == 4);
  CHECK(effects.reactions.size() == 1);
}

TEST_CASE("what an attempt of unknown outcome has left counts as this write's own") {
  Facts facts = two_messages();
  facts.messages[0].client_message_id = "c-1";
  Decision batch(std::move(facts));
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
  CHECK(batch.take_effects().messages.empty());
}

TEST_CASE("a conversation is not there before the write that opens it") {
  Facts facts = two_messages();
  facts.made = {id(1)};
  Decision batch(std::move(facts));
  CHECK(batch.apply(append(20, clio)).error() == errc::not_found);
  CHECK(batch.apply(OpenConversation{id(1), "org", "clio", at})->changed);
  CHECK(batch.apply(append(20, clio)).has_value());
  CHECK_FALSE(batch.apply(OpenConversation{id(2), "org", "clio", at})->changed);
}

TEST_CASE("a token that makes no room for itself is never written") {
  Decision batch(two_messages());
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
  const Effects effects = batch.take_effects();
  CHECK(effects.tokens.size() == 2);
  CHECK(effects.removed_tokens.empty());
}

TEST_CASE("an advisor reaches every conversation of the organization and a client its own, with every write") {
  const auto outcomes = [](const Participant& who) {
    Decision decision(two_messages());
    std::vector<error_code> errors;
    const auto keep = [&](const result<Written>& answer) {
      errors.push_back(answer.has_error() ? answer.error() : error_code());
    };
    keep(decision.apply(append(20, who)));
    keep(decision.apply(PutReaction{id(30), id(1), id(11), who, Emoji::joy, at}));
    keep(decision.apply(MarkConversation{id(1), who, at}));
    return errors;
  };
  const std::vector<error_code> reached(3);
  const std::vector<error_code> not_found(3, errc::not_found);
  CHECK(outcomes(ada) == reached);
  CHECK(outcomes({"org", Role::advisor, "bea", "Bea"}) == reached);
  CHECK(outcomes(clio) == reached);
  CHECK(outcomes({"org-2", Role::advisor, "ada", "Ada"}) == not_found);
  CHECK(outcomes({"org", Role::client, "dora", "Dora"}) == not_found);
  CHECK(outcomes({"org-2", Role::client, "clio", "Clio"}) == not_found);
}

TEST_CASE("a message takes the next seq and revision, and counts for the other side") {
  Decision decision(two_messages());
  const auto first = decision.apply(append(20, clio));
  CHECK(first->message->seq == 3);
  CHECK(first->message->rev == 3);
  CHECK(first->conversation.unread_count == 2);
  CHECK(first->conversation.last_message_at == at);
  const auto second = decision.apply(append(21, ada));
  CHECK(second->message->seq == 4);
  CHECK(second->message->rev == 4);
  CHECK(second->conversation.unread_count == 2);
  const Effects effects = decision.take_effects();
  REQUIRE(effects.conversations.size() == 1);
  const ConversationRow& row = effects.conversations[0];
  CHECK(row.value == second->conversation);
  CHECK(row.unseen_count == 2);
  CHECK(row.read_seq == 0);
  CHECK(row.seen_seq == 0);
  CHECK(effects.changes.empty());
}

TEST_CASE("a repeat brings the first message with its reactions and changes nothing") {
  Facts facts = two_messages();
  facts.messages[0].client_message_id = "c-1";
  facts.messages[0].reactions.emplace_back().emoji = Emoji::sad;
  const Message stored = facts.messages[0];
  Decision decision(std::move(facts));
  AppendMessage repeat = append(20, clio);
  repeat.client_message_id = "c-1";
  const auto again = decision.apply(repeat);
  CHECK_FALSE(again->changed);
  CHECK(again->message == stored);
  CHECK(again->conversation.rev == 2);
  // One that the same commit brought is as good.
  repeat.client_message_id = "c-2";
  CHECK(decision.apply(repeat)->changed);
  repeat.message_id = id(21);
  CHECK_FALSE(decision.apply(repeat)->changed);
  CHECK(decision.take_effects().messages.size() == 1);
}

TEST_CASE("a client message id with another content or attachment is a conflict, and is one sender's") {
  Facts facts = two_messages();
  facts.messages[0].client_message_id = "c-1";
  Decision decision(std::move(facts));
  AppendMessage write = append(20, clio);
  write.client_message_id = "c-1";
  const auto conflicts = [&](auto change) {
    AppendMessage other = write;
    change(other);
    return decision.apply(other).error() == errc::idempotency_conflict;
  };
  CHECK(conflicts([](AppendMessage& other) { other.content = "other"; }));
  CHECK(conflicts([](AppendMessage& other) { other.attachment_url = "https://example.org/a"; }));
  CHECK(conflicts([](AppendMessage& other) { other.attachment_type = "image/png"; }));
  CHECK(conflicts([](AppendMessage& other) { other.attachment_name = "a.png"; }));
  write.sender = {"org", Role::advisor, "clio", "An advisor of that name"};
  CHECK(decision.apply(write)->changed);
}

TEST_CASE("a reaction that replaces another keeps its id and goes to the end") {
  Decision decision(two_messages());
  const auto react = [&](std::uint8_t n, const Participant& who, std::optional<Emoji> emoji) {
    return decision.apply(PutReaction{id(n), id(1), id(11), who, emoji, at});
  };
  CHECK_FALSE(react(30, ada, std::nullopt)->changed);
  CHECK(react(30, ada, Emoji::joy)->changed);
  CHECK(react(31, clio, Emoji::joy)->changed);
  CHECK_FALSE(react(32, ada, Emoji::joy)->changed);
  const auto replaced = react(33, ada, Emoji::sad);
  CHECK(replaced->conversation.rev == 5);
  REQUIRE(replaced->reactions.size() == 2);
  CHECK(replaced->reactions[0].id == id(31));
  CHECK(replaced->reactions[1].id == id(30));
  CHECK(replaced->reactions[1].emoji == Emoji::sad);
  const Effects effects = decision.take_effects();
  CHECK(effects.reactions.size() == 2);
  CHECK(effects.changes.size() == 3);
  REQUIRE(effects.touched.size() == 1);
  CHECK(effects.touched[0].rev == 5);
}

TEST_CASE("a reaction to a message of another conversation is not found") {
  Facts facts = two_messages();
  facts.conversations.push_back(facts.conversations[0]);
  facts.conversations[1].value.id = id(2);
  facts.conversations[1].value.client_id = "dora";
  Decision decision(std::move(facts));
  CHECK(decision.apply(PutReaction{id(30), id(2), id(11), ada, Emoji::joy, at}).error() == errc::not_found);
  CHECK(decision.apply(PutReaction{id(30), id(1), id(19), ada, Emoji::joy, at}).error() == errc::not_found);
}

TEST_CASE("a mark counts what it marks, takes one revision, and none where there is nothing to mark") {
  Decision decision(two_messages());
  const auto read = decision.apply(MarkConversation{id(1), ada, at});
  CHECK(read->count == 1);
  CHECK(read->conversation.rev == 3);
  CHECK(read->conversation.unread_count == 0);
  REQUIRE(read->last_message);
  CHECK(read->last_message->seq == 2);
  CHECK_FALSE(decision.apply(MarkConversation{id(1), ada, at})->changed);
  const auto seen = decision.apply(MarkConversation{id(1), clio, at});
  CHECK(seen->count == 1);
  CHECK(seen->conversation.rev == 4);
  CHECK_FALSE(seen->last_message);
  const auto nothing = decision.apply(MarkConversation{id(1), clio, at});
  CHECK_FALSE(nothing->changed);
  CHECK(nothing->count == 0);
  CHECK(nothing->conversation.rev == 4);
  const Effects effects = decision.take_effects();
  REQUIRE(effects.marks.size() == 2);
  CHECK(effects.marks[0].viewer == Role::advisor);
  CHECK(effects.marks[1].viewer == Role::client);
  CHECK(effects.marks[0].rev == 3);
  CHECK(effects.marks[1].rev == 4);
  CHECK(effects.conversations[0].seen_seq == 2);
}

TEST_CASE("a mark raises the watermarks of who makes it, also where nothing is left to mark") {
  const Participant bob{"org", Role::advisor, "bob", "Bob"};
  Facts facts = two_messages();
  facts.members.push_back({id(1), {Role::client, "clio", "Clio", 2, 2}});
  Decision decision(std::move(facts));
  REQUIRE(decision.apply(MarkConversation{id(1), ada, at})->changed);
  CHECK_FALSE(decision.apply(MarkConversation{id(1), bob, at})->changed);
  REQUIRE(decision.apply(MarkConversation{id(1), clio, at})->changed);  // whose row says so already
  const Effects effects = decision.take_effects();
  REQUIRE(effects.members.size() == 2);
  CHECK(effects.members[0].conversation_id == id(1));
  CHECK(effects.members[0].member == Member{Role::advisor, "ada", "Ada", 2, 2});
  CHECK(effects.members[1].member == Member{Role::advisor, "bob", "Bob", 2, 2});
}

TEST_CASE("a client reaches the conversations in which it is a member, and no others") {
  const Participant dora{"org", Role::client, "dora", "Dora"};
  SECTION("without a row it does not") {
    Decision decision(two_messages());
    CHECK(decision.apply(append(20, dora)).error() == errc::not_found);
    CHECK(decision.apply(PutReaction{id(30), id(1), id(11), dora, Emoji::joy, at}).error() == errc::not_found);
    CHECK(decision.apply(MarkConversation{id(1), dora, at}).error() == errc::not_found);
    const Effects effects = decision.take_effects();
    CHECK(effects.messages.empty());
    CHECK(effects.members.empty());
  }
  SECTION("with one it does, within its organization") {
    Facts facts = two_messages();
    facts.members.push_back({id(1), {Role::client, "dora", "Dora", 0, 0}});
    Decision decision(std::move(facts));
    CHECK(decision.apply(append(20, dora)).has_value());
    CHECK(decision.apply(MarkConversation{id(1), dora, at})->changed);
    CHECK(decision.apply(append(21, {"org-2", Role::client, "dora", "Dora"})).error() == errc::not_found);
  }
  SECTION("a row of an advisor's is none of a client's") {
    Facts facts = two_messages();
    facts.members.push_back({id(1), {Role::advisor, "dora", "Dora", 0, 0}});
    Decision decision(std::move(facts));
    CHECK(decision.apply(append(20, dora)).error() == errc::not_found);
  }
}

TEST_CASE("a conversation is opened once for a client, with what the same commit writes to it") {
  Decision decision({});
  const auto opened = decision.apply(OpenConversation{id(1), "org", "clio", at});
  CHECK(opened->changed);
  CHECK(opened->conversation.id == id(1));
  CHECK_FALSE(opened->last_message);
  CHECK(decision.apply(append(20, clio))->changed);
  const auto again = decision.apply(OpenConversation{id(2), "org", "clio", at});
  CHECK_FALSE(again->changed);
  CHECK(again->conversation.id == id(1));
  REQUIRE(again->last_message);
  CHECK(again->last_message->id == id(20));
  CHECK(decision.apply(OpenConversation{id(3), "org", "dora", at})->changed);
  CHECK(decision.apply(OpenConversation{id(3), "org-2", "clio", at}).error() == errc::internal);
  const Effects effects = decision.take_effects();
  CHECK(effects.conversations.empty());
  REQUIRE(effects.opened.size() == 2);
  CHECK(effects.opened[0].value.last_seq == 1);
  CHECK(effects.opened[0].value.unread_count == 1);
  CHECK(effects.opened[1].value.id == id(3));
  CHECK(effects.messages.size() == 1);
}

TEST_CASE("each of many clients finds the conversation that the same commit opened for it") {
  // Too long for a string to keep without an allocation.
  const auto client = [](std::uint8_t n) { return std::string(60, 'c') + std::to_string(n); };
  Decision decision({});
  for (std::uint8_t n = 1; n < 50; ++n) {
    REQUIRE(decision.apply(OpenConversation{id(n), "org", client(n), at})->changed);
  }
  for (std::uint8_t n = 1; n < 50; ++n) {
    const auto again = decision.apply(OpenConversation{id(100), "org", client(n), at});
    CHECK_FALSE(again->changed);
    CHECK(again->conversation.id == id(n));
  }
}

TEST_CASE("a conversation that the storage makes and somebody deletes is not opened") {
  Facts facts;
  facts.made.emplace();
  Decision decision(std::move(facts));
  CHECK(decision.apply(OpenConversation{id(1), "org", "clio", at}).error() == errc::storage_failed);
}

TEST_CASE("of a client's tokens for a trip the oldest live ones make room") {
  Facts facts = two_messages();
  const auto token = [](std::uint8_t n, TimePoint expires_at) {
    TokenRow row;
    row.digest.fill(n);
    row.claims = {"org", "clio", "trip", id(1), expires_at};
    row.created_at = at;
    return row;
  };
  using std::chrono::hours;
  for (const auto& row : {token(1, at), token(2, at + hours{1}), token(3, at + hours{1})}) facts.tokens.push_back(row);
  Decision decision(std::move(facts));
  PutToken put;
  put.digest.fill(4);
  put.claims = {"org", "clio", "trip", id(1), at + hours{1}};
  put.now = at;
  put.max_live = 2;
  PutToken of_another = put;
  of_another.claims.client_id = "dora";
  CHECK(decision.apply(of_another).error() == errc::not_found);
  of_another = put;
  of_another.claims.org_id = "org-2";
  CHECK(decision.apply(of_another).error() == errc::not_found);
  // The first has expired already, and takes no room.
  CHECK(decision.apply(put)->evicted == std::vector{token(2, at).digest});
  CHECK(decision.apply(put).error() == errc::internal);  // the digest is taken
  const Effects effects = decision.take_effects();
  CHECK(effects.removed_tokens == std::vector{token(2, at).digest});
  REQUIRE(effects.tokens.size() == 1);
  CHECK(effects.tokens[0].digest == put.digest);
}

TEST_CASE("effects have each row once, conversation by conversation and by seq") {
  Facts facts = two_messages();
  facts.conversations.push_back(facts.conversations[0]);
  facts.conversations[1].value.id = id(2);
  facts.conversations[1].value.client_id = "dora";
  // Told twice, it does no harm.
  facts.conversations.push_back(facts.conversations[0]);
  facts.messages.push_back(facts.messages[0]);
  Decision decision(std::move(facts));
  for (const std::uint8_t n : {20, 21, 22, 23}) {
    AppendMessage write = append(n, ada);
    write.conversation_id = id(n % 2 == 0 ? 2 : 1);
    REQUIRE(decision.apply(write).has_value());
  }
  const Effects effects = decision.take_effects();
  REQUIRE(effects.conversations.size() == 2);
  CHECK(effects.conversations[0].value.id == id(1));
  CHECK(effects.conversations[1].value.rev == 4);
  std::vector<Uuid> messages;
  for (const auto& created : effects.messages) messages.push_back(created.message.id);
  CHECK(messages == std::vector{id(21), id(23), id(20), id(22)});
}

TEST_CASE("a write that fails alone leaves no effect") {
  Decision decision(two_messages());
  CHECK(decision.apply(append(20, {"org-2", Role::advisor, "ada", "Ada"})).error() == errc::not_found);
  CHECK(decision.apply(append(11, ada)).error() == errc::internal);  // the id is taken
  const Effects effects = decision.take_effects();
  CHECK(effects.conversations.empty());
  CHECK(effects.messages.empty());
  CHECK(effects.changes.empty());
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

}  // namespace travelchat::detail
