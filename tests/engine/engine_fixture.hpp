// A running engine over a memory storage, with the calls of the tests turned into plain ones.
#pragma once

#include "catch.hpp"
#include "recorder.hpp"
#include "use_future.hpp"

#include <travelchat/engine.hpp>
#include <travelchat/memory_storage.hpp>

#include <atomic>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace travelchat::test {

inline const Participant advisor{"org-1", Role::advisor, "advisor-1", "Ada"};
inline const Participant client{"org-1", Role::client, "client-1", "Clara"};

inline Draft draft(const Uuid& conversation, std::string content, std::optional<std::string> key = std::nullopt) {
  Draft out;
  out.conversation_id = conversation;
  out.content = std::move(content);
  out.client_message_id = std::move(key);
  return out;
}

// A memory storage whose commits can be held, made to fail, or made to throw.
class Gate : public Storage {
 public:
  error_code commit(std::span<const Write> writes, std::vector<result<Written>>& results) override {
    {
      std::unique_lock lock(mutex);
      ++commits_begun;
      changed.notify_all();
      changed.wait(lock, [&] { return !held; });
    }
    if (throwing) throw std::runtime_error("a storage of somebody else's");
    if (const std::optional<errc> code = failing) return *code;
    return inner->commit(writes, results);
  }
  result<std::optional<Conversation>> find_conversation(const Uuid& id) override {
    if (throwing) throw std::runtime_error("a storage of somebody else's");
    return inner->find_conversation(id);
  }
  result<std::vector<ConversationSummary>> list_conversations(const ConversationQuery& query) override {
    return inner->list_conversations(query);
  }
  result<MessagePage> list_messages(const MessageQuery& query) override { return inner->list_messages(query); }
  result<ChangeList> list_changes(const Uuid& id, std::uint64_t since, std::size_t limit) override {
    if (const std::optional<errc> code = failing) return *code;
    return inner->list_changes(id, since, limit);
  }
  result<Revisions> list_revisions(const RevisionQuery& query) override {
    if (const std::optional<errc> code = failing) return *code;
    return inner->list_revisions(query);
  }
  result<std::uint64_t> count_unread(const std::string& org_id) override { return inner->count_unread(org_id); }
  result<std::optional<TokenClaims>> find_token(const Sha256Digest& digest, TimePoint now) override {
    return inner->find_token(digest, now);
  }
  error_code ping() override { return inner->ping(); }

  void hold(bool on) {
    const std::lock_guard lock(mutex);
    held = on;
    changed.notify_all();
  }
  void wait_for_commit(int count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return commits_begun >= count; });
  }

  std::unique_ptr<Storage> inner = make_memory_storage();
  std::mutex mutex;
  std::condition_variable changed;
  bool held = false;
  int commits_begun = 0;
  std::atomic<bool> throwing{false};
  std::atomic<std::optional<errc>> failing{std::nullopt};  // also read by the engine's own threads, for its polls
};

struct Running {
  explicit Running(EngineOptions options = {}, std::unique_ptr<Storage> storage = make_memory_storage())
      : engine(std::move(storage), with_two_shards(options)) {}

  static EngineOptions with_two_shards(EngineOptions options) {
    if (options.shards == 0) options.shards = 2;
    return options;
  }

  Uuid open(std::string client_id = "client-1") {
    return get(engine.async_open_conversation("org-1", std::move(client_id), use_future)).value().id;
  }
  result<Sent> send(const Participant& sender, Draft what) {
    return get(engine.async_send(sender, std::move(what), use_future));
  }
  Subscription subscribe(const Participant& who, const Uuid& conversation, std::shared_ptr<Subscriber> subscriber,
                         std::optional<std::uint64_t> since = std::nullopt) {
    return get(engine.async_subscribe(who, conversation, std::move(subscriber), SubscribeOptions{since}, use_future))
        .value();
  }
  std::optional<Uuid> epoch(const Uuid& conversation) {
    MessageQuery query;
    query.conversation_id = conversation;
    return get(engine.async_list_messages(advisor, query, use_future)).value().epoch;
  }
  std::vector<Message> messages(const Uuid& conversation) {
    MessageQuery query;
    query.conversation_id = conversation;
    query.limit = 200;
    return get(engine.async_list_messages(advisor, query, use_future)).value().messages;
  }

  ChatEngine engine;
};

}  // namespace travelchat::test
