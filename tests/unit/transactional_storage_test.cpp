// How a commit is made of transactions, whatever storage carries these out.

#include <travelchat/transactional_storage.hpp>

#include "catch.hpp"

#include <algorithm>
#include <string>

namespace travelchat {

namespace {

const TimePoint at{std::chrono::milliseconds{1'764'000'000'000}};
const Participant ada{"org", Role::advisor, "ada", "Ada"};

Uuid id(std::uint8_t n) {
  Uuid uuid;
  uuid.bytes.back() = n;
  return uuid;
}

AppendMessage append(std::uint8_t n) {
  AppendMessage write;
  write.message_id = id(n);
  write.conversation_id = id(1);
  write.sender = ada;
  write.content = "text";
  write.now = at;
  return write;
}

// One conversation, and a list of what it was told to do.
class Told final : public TransactionalStorage {
 public:
  result<std::optional<Conversation>> find_conversation(const Uuid&) override { return errc::internal; }
  result<std::vector<ConversationSummary>> list_conversations(const ConversationQuery&) override {
    return errc::internal;
  }
  result<MessagePage> list_messages(const MessageQuery&) override { return errc::internal; }
  result<ChangeList> list_changes(const Uuid&, std::uint64_t, std::size_t) override { return errc::internal; }
  result<Revisions> list_revisions(const RevisionQuery&) override { return errc::internal; }
  result<std::uint64_t> count_unread(const std::string&) override { return errc::internal; }
  result<std::optional<TokenClaims>> find_token(const Sha256Digest&, TimePoint) override { return errc::internal; }
  error_code ping() override { return {}; }

  ConversationRow row{{id(1), "org", "clio", at, std::nullopt, 0, 0, 0}};
  std::vector<Message> stored;
  std::vector<std::string> told;
  std::optional<Uuid> refused;  // a message whose row the table refuses
  error_code refused_with = errc::internal;
  error_code failing;
  bool asks = true;
  int attempts = 1;

 private:
  error_code transact(const Questions& questions, const Decide& decide) override {
    Effects effects;
    if (asks) {
      for (int i = 0; i < attempts; ++i) {
        Facts facts;
        facts.conversations.push_back(row);
        for (const Message& message : stored) {
          const auto& ids = questions.messages;
          if (std::find(ids.begin(), ids.end(), message.id) != ids.end()) facts.messages.push_back(message);
        }
        effects = decide(std::move(facts));
      }
    }
    told.push_back(std::to_string(effects.messages.size()) + " messages");
    if (failing) return failing;
    for (const auto& created : effects.messages) {
      const auto is_it = [&](const Message& message) { return message.id == created.message.id; };
      if (created.message.id == refused) return refused_with;
      if (std::any_of(stored.begin(), stored.end(), is_it)) return errc::internal;
    }
    for (const auto& created : effects.messages) stored.push_back(created.message);
    for (const auto& changed : effects.conversations) row = changed;
    return {};
  }
  result<RemovedTokens> remove_tokens(const TokenRemoval&) override {
    told.push_back("a removal");
    if (failing) return failing;
    return RemovedTokens{2, {}};
  }
};

}  // namespace

TEST_CASE("writes are one transaction, but for what removes tokens") {
  Told storage;
  std::vector<result<Written>> results;
  const std::vector<Write> writes{append(10), append(11), SweepTokens{at}, append(12)};
  REQUIRE_FALSE(storage.commit(writes, results));
  CHECK(storage.told == std::vector<std::string>{"2 messages", "a removal", "1 messages"});
  REQUIRE(results.size() == 4);
  CHECK(results[1]->message->seq == 2);
  CHECK(results[2]->count == 2);
  CHECK(results[2]->changed);
  CHECK(results[3]->message->seq == 3);
}

TEST_CASE("a row that is refused fails its write, and the others are stored in their order") {
  Told storage;
  storage.refused = id(12);
  storage.refused_with = GENERATE(errc::internal, errc::not_found, errc::invalid_argument);
  std::vector<result<Written>> results;
  std::vector<Write> writes;
  for (std::uint8_t n = 10; n < 15; ++n) writes.emplace_back(append(n));
  REQUIRE_FALSE(storage.commit(writes, results));
  REQUIRE(results.size() == 5);
  CHECK(results[2].error() == storage.refused_with);
  std::vector<Uuid> ids;
  for (const Message& message : storage.stored) ids.push_back(message.id);
  CHECK(ids == std::vector{id(10), id(11), id(13), id(14)});
  CHECK(results[4]->message->seq == 4);
}

TEST_CASE("what an attempt of unknown outcome has stored is found by its id") {
  Told storage;
  std::vector<result<Written>> results;
  const std::vector<Write> writes{append(10)};
  REQUIRE_FALSE(storage.commit(writes, results));
  REQUIRE_FALSE(storage.commit(writes, results));
  CHECK(results[0]->changed);
  CHECK(results[0]->message->seq == 1);
  CHECK(storage.stored.size() == 1);
}

TEST_CASE("a storage that fails fails the commit, and part of it where the rest is stored") {
  Told storage;
  storage.failing = GENERATE(error_code(errc::storage_failed), error_code(errc::storage_full),
                             boost::system::errc::make_error_code(boost::system::errc::timed_out));
  std::vector<result<Written>> results;
  CHECK(storage.commit(std::vector<Write>{append(10), append(11)}, results) == storage.failing);
  CHECK(storage.told.size() == 1);
  CHECK(results.empty());
  CHECK(storage.commit(std::vector<Write>{append(10), SweepTokens{at}}, results) == storage.failing);
}

TEST_CASE("a transaction that is begun anew counts as it ended") {
  Told storage;
  storage.attempts = 3;
  std::vector<result<Written>> results;
  REQUIRE_FALSE(storage.commit(std::vector<Write>{append(10)}, results));
  REQUIRE(results.size() == 1);
  CHECK(results[0]->message->seq == 1);
  CHECK(storage.stored.size() == 1);
}

TEST_CASE("a storage that does not ask has failed") {
  Told storage;
  storage.asks = false;
  std::vector<result<Written>> results;
  CHECK(storage.commit(std::vector<Write>{append(10)}, results) == errc::storage_failed);
  CHECK_FALSE(storage.commit({}, results));
}

}  // namespace travelchat
