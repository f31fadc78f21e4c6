#include "fixture.hpp"

#include <atomic>
#include <latch>
#include <thread>

namespace travelchat::conformance {

// Assertions are counted and made on the test's own thread: Catch2's are for one thread.
TEST_CASE("readers see whole batches only while commits run") {
  ON_EVERY_BACKEND(chat);
  constexpr int batches = 150;
  constexpr std::size_t batch_size = 8;
  const auto conversation = chat.open();
  Storage& storage = chat.storage();

  std::atomic<bool> done{false};
  std::atomic<int> failures{0};
  std::atomic<int> torn{0};
  std::atomic<std::uint64_t> rounds{0};
  constexpr int readers = 3;
  std::latch started(readers + 1);
  const auto read = [&] {
    started.arrive_and_wait();
    std::uint64_t last_rev = 0;
    do {
      const auto list = storage.list_changes(conversation.id, last_rev, 1'000'000);
      const auto page = storage.list_messages({conversation.id, std::nullopt, std::nullopt, 200});
      const auto row = storage.find_conversation(conversation.id);
      const auto rows = storage.list_conversations({"org-1", std::nullopt, {}});
      if (!list || !page || !row || !*row || !rows || rows->size() != 1) {
        ++failures;
        return;
      }
      // A batch is `batch_size` revisions: a snapshot between two of them would not be a multiple of it.
      if (list->current_rev % batch_size != 0 || (*row)->rev % batch_size != 0) ++torn;
      if (list->too_many || list->changes.size() != list->current_rev - last_rev) ++torn;
      for (const auto& change : list->changes) {
        if (change.rev != ++last_rev) ++torn;
      }
      if ((*row)->rev < list->current_rev) ++torn;
      for (std::size_t i = 1; i < page->messages.size(); ++i) {
        if (page->messages[i].seq != page->messages[i - 1].seq + 1) ++torn;
      }
      const auto& summary = rows->front();
      if (summary.conversation.last_seq > 0 &&
          (!summary.last_message || summary.last_message->seq != summary.conversation.last_seq)) {
        ++torn;
      }
      ++rounds;
    } while (!done);
    // The last look comes after the last commit.
    const auto list = storage.list_changes(conversation.id, 0, 1'000'000);
    if (!list || list->current_rev != batches * batch_size) ++torn;
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < readers; ++i) threads.emplace_back(read);

  started.arrive_and_wait();
  for (int i = 0; i < batches; ++i) {
    std::vector<Write> batch;
    batch.emplace_back(chat.draft(conversation.id, client(), "x"));
    const Uuid message_id = std::get<AppendMessage>(batch.front()).message_id;
    batch.emplace_back(MarkConversation{conversation.id, advisor(), chat.tick()});
    batch.emplace_back(
        PutReaction{make_uuid(chat.now()), conversation.id, message_id, advisor(), Emoji::joy, chat.tick()});
    while (batch.size() < batch_size) batch.emplace_back(chat.draft(conversation.id, advisor(), "y"));
    for (const auto& written : chat.commit(batch)) CHECK(written);
  }
  done = true;
  threads.clear();
  CHECK(failures == 0);
  CHECK(torn == 0);
  CHECK(rounds > 0);
  CHECK(chat.conversation(conversation.id).last_seq == batches * (batch_size - 2));
}

}  // namespace travelchat::conformance
