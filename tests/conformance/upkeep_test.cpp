// What a storage with StorageUpkeep promises: an epoch, and changes that are not kept for ever. Others pass by.
#include "fixture.hpp"

#include <set>

namespace travelchat::conformance {
namespace {

StorageUpkeep* upkeep_of(Chat& chat) {
  return dynamic_cast<StorageUpkeep*>(&chat.storage());
}

std::optional<Uuid> epoch_of(Chat& chat) {
  const auto revisions = chat.storage().list_revisions({});
  REQUIRE(revisions);
  return revisions->epoch;
}

// All steps; how many changes went, and in how many steps.
std::pair<std::uint64_t, std::size_t> prune(Chat& chat, PruneChanges step) {
  std::uint64_t count = 0;
  for (std::size_t steps = 1;; ++steps) {
    REQUIRE(steps < 1'000);
    const auto pruned = upkeep_of(chat)->prune_changes(step);
    REQUIRE(pruned);
    CHECK(pruned->count <= std::max<std::size_t>(step.max_changes, 1));
    CHECK(pruned->epoch == epoch_of(chat));
    count += pruned->count;
    if (!pruned->next) return {count, steps};
    step.after = *pruned->next;
  }
}

PruneChanges keeping(std::uint64_t revisions) {
  PruneChanges step;
  step.keep_revisions = revisions;
  return step;
}

std::set<std::uint64_t> seqs(const MessagePage& page) {
  std::set<std::uint64_t> out;
  for (const Message& message : page.messages) out.insert(message.seq);
  return out;
}

// Sets and removes a reaction.
void toggle(Chat& chat, const Message& message, int times) {
  for (int i = 0; i < times; ++i) {
    REQUIRE(chat.react(message, client(), i % 2 == 0 ? std::optional(Emoji::heart) : std::nullopt));
  }
}

}  // namespace

TEST_CASE("an epoch is made with the storage and told with every read of a conversation") {
  ON_EVERY_BACKEND(chat);
  if (upkeep_of(chat) == nullptr) return;
  const auto epoch = epoch_of(chat);
  REQUIRE(epoch);
  CHECK(*epoch != Uuid());
  const auto conversation = chat.open();
  CHECK(chat.page({conversation.id, std::nullopt, std::nullopt, 100}).epoch == epoch);
  chat.send(conversation.id, advisor(), "1");
  CHECK(chat.page({conversation.id, std::nullopt, std::nullopt, 100}).epoch == epoch);
  CHECK(chat.page({conversation.id, std::nullopt, 0, 100}).epoch == epoch);
  CHECK(chat.changes(conversation.id, 0).epoch == epoch);
  CHECK(chat.changes(conversation.id, 7).epoch == epoch);
  if (chat.reopen()) CHECK(epoch_of(chat) == epoch);
}

TEST_CASE("a new epoch is told from then on, and for good") {
  ON_EVERY_BACKEND(chat);
  if (upkeep_of(chat) == nullptr) return;
  const auto conversation = chat.open();
  chat.send(conversation.id, advisor(), "1");
  const Uuid epoch = make_uuid(chat.tick());
  REQUIRE_FALSE(upkeep_of(chat)->begin_epoch(epoch));
  for (int i = 0; i < 2; ++i) {
    CHECK(epoch_of(chat) == epoch);
    CHECK(chat.page({conversation.id, std::nullopt, std::nullopt, 100}).epoch == epoch);
    CHECK(chat.changes(conversation.id, 0).epoch == epoch);
    if (!chat.reopen()) break;
  }
  CHECK(chat.send(conversation.id, advisor(), "2").seq == 2);
}

TEST_CASE("changes beyond the newest revisions are deleted, and who resumes from before is told so") {
  ON_EVERY_BACKEND(chat);
  if (upkeep_of(chat) == nullptr) return;
  const auto conversation = chat.open();
  const auto message = chat.send(conversation.id, advisor(), "1");  // 1
  toggle(chat, message, 9);                                         // 2 to 10
  CHECK(prune(chat, keeping(4)).first == 5);                        // 2 to 6
  for (int i = 0; i < 2; ++i) {
    for (const std::uint64_t since : {0, 1, 5}) {
      const auto list = chat.changes(conversation.id, since);
      CHECK(list.too_many);
      CHECK(list.current_rev == 10);
      CHECK(list.changes.empty());
    }
    const auto kept = chat.changes(conversation.id, 6);
    CHECK_FALSE(kept.too_many);
    REQUIRE(kept.changes.size() == 4);
    CHECK(kept.changes.front().rev == 7);
    if (!chat.reopen()) break;
  }
  // A second time finds nothing, and what is written later is kept.
  CHECK(prune(chat, keeping(4)).first == 0);
  REQUIRE(chat.mark(conversation.id, client()));
  CHECK(chat.changes(conversation.id, 6).changes.size() == 5);
  CHECK(prune(chat, keeping(0)).first == 0);
}

TEST_CASE("changes that are too old are deleted, however few they are") {
  ON_EVERY_BACKEND(chat);
  if (upkeep_of(chat) == nullptr) return;
  const auto conversation = chat.open();
  const auto message = chat.send(conversation.id, advisor(), "1");
  toggle(chat, message, 3);  // 2 to 4
  const TimePoint until = chat.tick();
  toggle(chat, message, 2);  // 5 and 6: nothing at 5, since it was set, then set again
  PruneChanges step;
  step.older_than = until;
  CHECK(prune(chat, step).first == 3);
  CHECK(chat.changes(conversation.id, 3).too_many);
  CHECK_FALSE(chat.changes(conversation.id, 4).too_many);
}

TEST_CASE("a page of what has changed is complete after changes were deleted") {
  ON_EVERY_BACKEND(chat);
  if (upkeep_of(chat) == nullptr) return;
  const auto conversation = chat.open();
  const auto first = chat.send(conversation.id, advisor(), "1");
  const auto second = chat.send(conversation.id, advisor(), "2");
  const auto third = chat.send(conversation.id, client(), "3");
  toggle(chat, second, 1);                         // 4
  REQUIRE(chat.mark(conversation.id, client()));   // 5: the first and the second
  toggle(chat, third, 1);                          // 6
  REQUIRE(chat.mark(conversation.id, advisor()));  // 7: the third
  toggle(chat, first, 1);                          // 8
  const auto before = chat.page({conversation.id, std::nullopt, 3, 100});
  CHECK(seqs(before) == std::set<std::uint64_t>{1, 2, 3});
  CHECK(prune(chat, keeping(1)).first == 4);
  const auto after = chat.page({conversation.id, std::nullopt, 3, 100});
  CHECK(after.messages == before.messages);
  CHECK(after.has_more == before.has_more);
  // Page by page, too.
  const auto page = chat.page({conversation.id, std::nullopt, 3, 1});
  CHECK(seqs(page) == std::set<std::uint64_t>{2});
  CHECK(page.has_more);
  CHECK(seqs(chat.page({conversation.id, std::nullopt, 5, 100})) == std::set<std::uint64_t>{1, 3});
  CHECK(seqs(chat.page({conversation.id, std::nullopt, 7, 100})) == std::set<std::uint64_t>{1});
}

TEST_CASE("a page of what has changed has its bound after changes were deleted, too") {
  ON_EVERY_BACKEND(chat);
  if (upkeep_of(chat) == nullptr) return;
  const auto conversation = chat.open();
  const std::uint64_t last = chat.send_many(conversation.id, advisor(), max_changed_messages);
  REQUIRE(chat.mark(conversation.id, client()));  // last + 1
  chat.send(conversation.id, client(), "2");      // last + 2
  CHECK(prune(chat, keeping(1)).first == 1);
  const auto whole = chat.page({conversation.id, std::nullopt, last, 1});
  CHECK(whole.messages.size() == max_changed_messages);
  CHECK(whole.has_more);

  const auto other = chat.open("client-2");
  chat.send_many(other.id, advisor(), max_changed_messages + 1);
  REQUIRE(chat.mark(other.id, client("client-2")));
  chat.send(other.id, advisor(), "2");
  CHECK(prune(chat, keeping(1)).first == 1);
  CHECK(failed_with(chat.storage().list_messages({other.id, std::nullopt, last, 1}), errc::too_many_changes));
}

TEST_CASE("deleting changes takes steps of a bounded size and leaves nothing out") {
  ON_EVERY_BACKEND(chat);
  if (upkeep_of(chat) == nullptr) return;
  std::vector<Uuid> conversations;
  for (int i = 0; i < 7; ++i) {
    const auto conversation = chat.open("client-" + std::to_string(i));
    conversations.push_back(conversation.id);
    const auto message = chat.send(conversation.id, advisor(), "1");
    for (int n = 0; n < i; ++n) {
      REQUIRE(chat.react(message, advisor(), n % 2 == 0 ? std::optional(Emoji::joy) : std::nullopt));
    }
  }
  PruneChanges step = keeping(1);
  step.max_changes = 2;
  step.max_conversations = 3;
  const auto [count, steps] = prune(chat, step);
  // Of each conversation all but the newest.
  CHECK(count == 0 + 0 + 1 + 2 + 3 + 4 + 5);
  CHECK(steps >= 8);
  for (std::size_t i = 2; i < conversations.size(); ++i) {
    CHECK(chat.changes(conversations[i], i - 1).too_many);
    CHECK(chat.changes(conversations[i], i).changes.size() == 1);
  }
}

}  // namespace travelchat::conformance
