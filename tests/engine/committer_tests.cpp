// The one thread that writes, over a storage that postpones: others are not held up, nobody is overtaken within his
// conversation, and nothing is lost.

#include "catch.hpp"

#include "core/committer.hpp"

#include <travelchat/memory_storage.hpp>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>

namespace travelchat::detail {

namespace {

// A memory storage in which conversations can be locked.
class Lockable final : public Storage {
 public:
  error_code commit(std::span<const Write> writes, std::vector<result<Written>>& results) override {
    return inner->commit(writes, results);
  }
  error_code try_commit(std::span<const Write> writes, std::vector<result<Written>>& results) override {
    std::vector<Write> free;
    std::vector<std::size_t> places;
    {
      const std::lock_guard lock(mutex);
      ++calls;
      largest = std::max(largest, writes.size());
      for (std::size_t i = 0; i < writes.size(); ++i) {
        const auto* append = std::get_if<AppendMessage>(&writes[i]);
        if (append != nullptr && locked.contains(append->conversation_id)) continue;
        free.push_back(writes[i]);
        places.push_back(i);
      }
    }
    changed.notify_all();
    results.assign(writes.size(), postponed());
    std::vector<result<Written>> answers;
    const error_code failed = inner->commit(free, answers);
    for (std::size_t i = 0; i < places.size(); ++i) {
      results[places[i]] = failed ? result<Written>(failed) : std::move(answers[i]);
    }
    return {};
  }
  result<std::optional<Conversation>> find_conversation(const Uuid& id) override {
    return inner->find_conversation(id);
  }
  result<std::vector<ConversationSummary>> list_conversations(const ConversationQuery& query) override {
    return inner->list_conversations(query);
  }
  result<MessagePage> list_messages(const MessageQuery& query) override { return inner->list_messages(query); }
  result<ChangeList> list_changes(const Uuid& id, std::uint64_t since, std::size_t limit) override {
    return inner->list_changes(id, since, limit);
  }
  result<Revisions> list_revisions(const RevisionQuery& query) override { return inner->list_revisions(query); }
  result<std::uint64_t> count_unread(const std::string& org_id) override { return inner->count_unread(org_id); }
  result<std::optional<TokenClaims>> find_token(const Sha256Digest& digest, TimePoint now) override {
    return inner->find_token(digest, now);
  }
  error_code ping() override { return inner->ping(); }

  void lock(const Uuid& id, bool on) {
    const std::lock_guard guard(mutex);
    on ? static_cast<void>(locked.insert(id)) : static_cast<void>(locked.erase(id));
  }
  // Until it has been asked that often again.
  void wait_for_calls(int more) {
    std::unique_lock guard(mutex);
    const int until = calls + more;
    changed.wait(guard, [&] { return calls >= until; });
  }

  std::unique_ptr<Storage> inner = make_memory_storage();
  std::mutex mutex;
  std::condition_variable changed;
  std::set<Uuid> locked;
  int calls = 0;
  std::size_t largest = 0;
};

// A committer over it, and what it has answered.
struct Site {
  explicit Site(std::size_t max_queue = 100'000, std::size_t max_batch = 512)
      : committer(storage, max_queue, max_batch,
                  [this](auto jobs, error_code failed, auto& results) { settle(std::move(jobs), failed, results); }) {}

  void settle(std::vector<std::unique_ptr<Job>> jobs, error_code failed, std::vector<result<Written>>& results) {
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const auto* append = std::get_if<AppendMessage>(&jobs[i]->write);
      if (failed || !results[i]) {
        ++failures;
      } else if (append != nullptr) {
        seqs[append->conversation_id].push_back(results[i]->message->seq);
        contents[append->conversation_id].push_back(append->content);
      }
      ++answered;
    }
    changed.notify_all();
  }

  Uuid open(const std::string& client) {
    OpenConversation write;
    write.conversation_id = make_uuid({});
    write.org_id = "org-1";
    write.client_id = client;
    std::vector<Write> writes{write};
    std::vector<result<Written>> results;
    REQUIRE_FALSE(storage.inner->commit(writes, results));
    return write.conversation_id;
  }
  error_code push(const Uuid& id, const std::string& content) {
    AppendMessage write;
    write.message_id = make_uuid({});
    write.conversation_id = id;
    write.sender = {"org-1", Role::advisor, "advisor-1", "Ada"};
    write.content = content;
    auto job = std::make_unique<Job>(write);
    return committer.push(job);
  }
  void wait_for_answers(std::size_t count) {
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, std::chrono::seconds{60}, [&] { return answered >= count; }));
  }

  Lockable storage;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<Uuid, std::vector<std::uint64_t>> seqs;
  std::map<Uuid, std::vector<std::string>> contents;
  std::size_t answered = 0;
  std::size_t failures = 0;
  Committer committer;
};

std::vector<std::string> numbers(int count) {
  std::vector<std::string> all;
  for (int n = 0; n < count; ++n) all.push_back(std::to_string(n));
  return all;
}

}  // namespace

TEST_CASE("committer: what is postponed holds up nobody else, and comes in its order") {
  Site site;
  const Uuid locked = site.open("client-1");
  const Uuid free = site.open("client-2");
  site.storage.lock(locked, true);
  constexpr int count = 200;
  for (int n = 0; n < count; ++n) {
    REQUIRE_FALSE(site.push(locked, std::to_string(n)));
    REQUIRE_FALSE(site.push(free, std::to_string(n)));
    // All of the others, one after the other, while the first one waits.
    site.wait_for_answers(static_cast<std::size_t>(n) + 1);
  }
  CHECK(site.answered == count);
  CHECK(site.contents[free] == numbers(count));
  CHECK(site.committer.queued() == count);
  site.storage.lock(locked, false);
  site.wait_for_answers(2 * count);
  CHECK(site.contents[locked] == numbers(count));
  CHECK(std::is_sorted(site.seqs[locked].begin(), site.seqs[locked].end()));
  CHECK(site.failures == 0);
  CHECK(site.committer.queued() == 0);
}

TEST_CASE("committer: it is tried again when nobody else writes") {
  Site site;
  const Uuid locked = site.open("client-1");
  site.storage.lock(locked, true);
  REQUIRE_FALSE(site.push(locked, "0"));
  site.storage.wait_for_calls(5);
  site.storage.lock(locked, false);
  site.wait_for_answers(1);
  CHECK(site.failures == 0);
}

TEST_CASE("committer: many that wait get their turns, in batches that stay small") {
  Site site(100'000, 16);
  std::vector<Uuid> locked;
  for (int i = 0; i < 50; ++i) {
    locked.push_back(site.open("client-" + std::to_string(i)));
    site.storage.lock(locked.back(), true);
  }
  const Uuid free = site.open("free");
  for (int n = 0; n < 40; ++n) {
    for (const Uuid& id : locked) REQUIRE_FALSE(site.push(id, std::to_string(n)));
  }
  REQUIRE_FALSE(site.push(free, "0"));
  site.wait_for_answers(1);
  CHECK(site.contents[free].size() == 1);
  // The last one alone is free, whatever is before it.
  site.storage.lock(locked.back(), false);
  site.wait_for_answers(41);
  CHECK(site.contents[locked.back()] == numbers(40));
  for (const Uuid& id : locked) site.storage.lock(id, false);
  site.wait_for_answers(50 * 40 + 1);
  for (const Uuid& id : locked) CHECK(site.contents[id] == numbers(40));
  CHECK(site.failures == 0);
  CHECK(site.storage.largest <= 16);
}

TEST_CASE("committer: what waits counts for the bound of its queue") {
  Site site(3);
  const Uuid locked = site.open("client-1");
  site.storage.lock(locked, true);
  REQUIRE_FALSE(site.push(locked, "0"));
  site.storage.wait_for_calls(2);
  REQUIRE_FALSE(site.push(locked, "1"));
  REQUIRE_FALSE(site.push(locked, "2"));
  site.storage.wait_for_calls(2);
  CHECK(site.push(locked, "3") == errc::overloaded);
  site.storage.lock(locked, false);
  site.wait_for_answers(3);
  CHECK(site.contents[locked] == numbers(3));
}

TEST_CASE("committer: a stop answers what waits") {
  Site site;
  const Uuid locked = site.open("client-1");
  site.storage.lock(locked, true);
  for (int n = 0; n < 100; ++n) REQUIRE_FALSE(site.push(locked, std::to_string(n)));
  site.storage.wait_for_calls(2);
  std::thread stopping([&] { site.committer.stop(); });
  site.storage.wait_for_calls(2);
  site.storage.lock(locked, false);
  stopping.join();
  CHECK(site.answered == 100);
  CHECK(site.contents[locked] == numbers(100));
}

}  // namespace travelchat::detail
