// What listeners are told when the storage is restored from a backup, and when changes are no longer kept.
#include "engine_fixture.hpp"

#include <travelchat/local_backplane.hpp>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <thread>

using namespace travelchat;
using namespace travelchat::test;
using namespace std::chrono_literals;

namespace {

// A storage beneath a running engine that can be replaced by what a backup held.
class Restorable final : public Storage {
 public:
  explicit Restorable(std::shared_ptr<Storage> inner) : inner_(std::move(inner)) {}

  void restore(std::shared_ptr<Storage> backup) {
    const std::lock_guard lock(mutex_);
    inner_ = std::move(backup);
  }

  error_code commit(std::span<const Write> writes, std::vector<result<Written>>& results) override {
    return now()->commit(writes, results);
  }
  result<std::optional<Conversation>> find_conversation(const Uuid& id) override {
    return now()->find_conversation(id);
  }
  result<std::vector<ConversationSummary>> list_conversations(const ConversationQuery& query) override {
    return now()->list_conversations(query);
  }
  result<MessagePage> list_messages(const MessageQuery& query) override { return now()->list_messages(query); }
  result<ChangeList> list_changes(const Uuid& id, std::uint64_t since, std::size_t limit) override {
    return now()->list_changes(id, since, limit);
  }
  result<Revisions> list_revisions(const RevisionQuery& query) override { return now()->list_revisions(query); }
  result<std::uint64_t> count_unread(const std::string& org_id) override { return now()->count_unread(org_id); }
  result<std::optional<TokenClaims>> find_token(const Sha256Digest& digest, TimePoint at) override {
    return now()->find_token(digest, at);
  }
  error_code ping() override { return now()->ping(); }

 private:
  std::shared_ptr<Storage> now() {
    const std::lock_guard lock(mutex_);
    return inner_;
  }

  std::mutex mutex_;
  std::shared_ptr<Storage> inner_;
};

std::optional<Uuid> epoch_of(Storage& storage) {
  return storage.list_revisions({}).value().epoch;
}

// A storage with this conversation and so many messages in it.
std::shared_ptr<Storage> backup_of(const Uuid& conversation, int messages) {
  std::shared_ptr<Storage> storage = make_memory_storage();
  std::vector<result<Written>> results;
  const TimePoint at{1'764'000'000'000ms};
  std::vector<Write> writes{OpenConversation{conversation, "org-1", "client-1", at}};
  for (int i = 0; i < messages; ++i) {
    AppendMessage append;
    append.message_id = make_uuid(at);
    append.conversation_id = conversation;
    append.sender = advisor;
    append.content = "from the backup";
    append.now = at;
    writes.push_back(std::move(append));
  }
  REQUIRE_FALSE(storage->commit(writes, results));
  return storage;
}

struct Restoring {
  explicit Restoring(EngineOptions options = {}, std::unique_ptr<Backplane> backplane = nullptr)
      : original(make_memory_storage()) {
    auto owned = std::make_unique<Restorable>(original);
    storage = owned.get();
    engine = std::make_unique<ChatEngine>(std::move(owned), Running::with_two_shards(options), std::move(backplane));
    conversation = get(engine->async_open_conversation("org-1", "client-1", use_future)).value().id;
  }

  Message send(std::string content) {
    return get(engine->async_send(advisor, draft(conversation, std::move(content)), use_future)).value().message;
  }
  result<MessagePage> page(std::optional<Uuid> epoch = std::nullopt) {
    MessageQuery query;
    query.conversation_id = conversation;
    query.epoch = epoch;
    return get(engine->async_list_messages(advisor, query, use_future));
  }
  Subscription subscribe(std::shared_ptr<Subscriber> subscriber, SubscribeOptions options = {}) {
    return get(engine->async_subscribe(client, conversation, std::move(subscriber), options, use_future)).value();
  }

  std::shared_ptr<Storage> original;
  Restorable* storage = nullptr;
  std::unique_ptr<ChatEngine> engine;
  Uuid conversation;
};

bool has_resync(const std::vector<Event>& events, const std::optional<Uuid>& epoch) {
  return std::any_of(events.begin(), events.end(), [&](const Event& event) {
    const auto* resync = std::get_if<Resync>(&event);
    return resync != nullptr && resync->epoch == epoch;
  });
}

// Within a listener's events.
std::vector<Event> after_resync(const std::vector<Event>& events) {
  const auto at = std::find_if(events.rbegin(), events.rend(),
                               [](const Event& event) { return std::holds_alternative<Resync>(event); });
  return {at.base() - 1, events.end()};
}

}  // namespace

TEST_CASE("who resumes names an epoch, and another one than the storage's is a resync") {
  Running f;
  const Uuid conversation = f.open();
  for (int i = 0; i < 3; ++i) f.send(advisor, draft(conversation, "m")).value();
  MessageQuery query;
  query.conversation_id = conversation;
  const std::optional<Uuid> epoch = get(f.engine.async_list_messages(advisor, query, use_future)).value().epoch;
  REQUIRE(epoch);
  const auto hear = [&](std::optional<Uuid> named) {
    const auto listener = std::make_shared<Recorder>();
    SubscribeOptions options;
    options.since_rev = 2;
    options.epoch = named;
    const Subscription subscription =
        get(f.engine.async_subscribe(client, conversation, listener, options, use_future)).value();
    return listener->wait([](const auto& events) {
      return std::holds_alternative<CaughtUp>(events.back()) || std::holds_alternative<Resync>(events.back());
    });
  };
  CHECK(hear(epoch).back() == Event(CaughtUp{3, epoch}));
  CHECK(hear(std::nullopt).back() == Event(CaughtUp{3, epoch}));
  const auto refused = hear(make_uuid(TimePoint{1ms}));
  CHECK(refused == std::vector<Event>{TypingChanged{}, Resync{3, epoch}});
}

TEST_CASE("a page for another epoch's copy is refused") {
  Restoring f;
  f.send("1");
  const auto epoch = f.page().value().epoch;
  CHECK(f.page(epoch).value().messages.size() == 1);
  const auto page = f.page(make_uuid(TimePoint{1ms}));
  REQUIRE(page.has_error());
  CHECK(page.error() == make_error_code(errc::epoch_changed));
}

TEST_CASE("a backup that was restored beneath its listeners is told to them, and what follows comes through") {
  Restoring f;
  for (int i = 0; i < 5; ++i) f.send("lost later");
  const auto old_epoch = f.page().value().epoch;
  const auto live = std::make_shared<Recorder>();
  const auto resumed = std::make_shared<Recorder>();
  const Subscription one = f.subscribe(live);
  SubscribeOptions options;
  options.since_rev = 5;
  options.epoch = old_epoch;
  const Subscription two = f.subscribe(resumed, options);
  resumed->wait([&](const auto& events) { return events.back() == Event(CaughtUp{5, old_epoch}); });
  f.send("6");
  resumed->wait_for_rev(6);

  const int kept = GENERATE(0, 2, 6, 9);
  const auto backup = backup_of(f.conversation, kept);
  f.storage->restore(backup);
  const auto epoch = epoch_of(*backup);
  REQUIRE(epoch != old_epoch);
  // Any read finds it out.
  const auto page = f.page(old_epoch);
  REQUIRE(page.has_error());
  const auto rev = static_cast<std::uint64_t>(kept);
  for (const auto& listener : {live, resumed}) {
    const auto heard = listener->wait([&](const auto& events) { return has_resync(events, epoch); });
    CHECK(after_resync(heard) == std::vector<Event>{Resync{rev, epoch}});
  }
  const Message next = f.send("after the restore");
  CHECK(next.rev == rev + 1);
  for (const auto& listener : {live, resumed}) {
    const auto heard = listener->wait([](const auto& events) {
      const auto* created = std::get_if<MessageCreated>(&events.back());
      return created != nullptr && created->message.content == "after the restore";
    });
    CHECK(after_resync(heard) == std::vector<Event>{Resync{rev, epoch}, MessageCreated{next, next.rev}});
  }
}

TEST_CASE("an inbox is told its list anew when a backup was restored") {
  Restoring f;
  for (int i = 0; i < 5; ++i) f.send("lost later");
  f.page().value();
  const auto listener = std::make_shared<Recorder>();
  const Subscription inbox = get(f.engine->async_subscribe_inbox("org-1", listener, use_future)).value();
  f.storage->restore(backup_of(f.conversation, 2));
  f.page().value();
  const auto heard = listener->wait_for(1);
  CHECK(std::get<ConversationUpdated>(heard.back()).summary.conversation.rev == 2);
}

TEST_CASE("with other nodes a restored backup is found by polling") {
  const auto bus = make_local_bus();
  EngineOptions options;
  options.poll_interval = options.poll_interval_down = 20ms;
  Restoring f(options, make_local_backplane(bus));
  for (int i = 0; i < 5; ++i) f.send("lost later");
  f.page().value();
  const auto listener = std::make_shared<Recorder>();
  const auto list = std::make_shared<Recorder>();
  const Subscription subscription = f.subscribe(listener);
  const Subscription inbox = get(f.engine->async_subscribe_inbox("org-1", list, use_future)).value();
  listener->wait_for(1);
  const auto backup = backup_of(f.conversation, 2);
  f.storage->restore(backup);
  const auto epoch = epoch_of(*backup);
  const auto heard = listener->wait([&](const auto& events) { return has_resync(events, epoch); });
  CHECK(after_resync(heard).front() == Event(Resync{2, epoch}));
  list->wait([](const auto& events) {
    const auto* row = events.empty() ? nullptr : std::get_if<ConversationUpdated>(&events.back());
    return row != nullptr && row->summary.conversation.rev == 2;
  });
  const Message next = f.send("after the restore");
  listener->wait([&](const auto& events) { return events.back() == Event(MessageCreated{next, 3}); });
}

TEST_CASE("beginning an epoch tells every listener") {
  Running f;
  const Uuid conversation = f.open();
  f.send(advisor, draft(conversation, "1")).value();
  const auto listener = std::make_shared<Recorder>();
  const Subscription subscription = f.subscribe(client, conversation, listener);
  const Uuid epoch = get(f.engine.async_begin_epoch(use_future)).value();
  const auto heard = listener->wait([&](const auto& events) { return has_resync(events, epoch); });
  CHECK(heard.back() == Event(Resync{1, epoch}));
  f.send(advisor, draft(conversation, "2")).value();
  CHECK(revision(listener->wait_for_rev(2).back()) == 2);
}

TEST_CASE("a storage that keeps no epoch cannot begin one, and has nothing to prune") {
  Running f({}, std::make_unique<Gate>());
  const auto begun = get(f.engine.async_begin_epoch(use_future));
  REQUIRE(begun.has_error());
  CHECK(begun.error() == make_error_code(errc::not_found));
  CHECK(get(f.engine.async_prune_changes(use_future)).value() == 0);
}

TEST_CASE("changes beyond what is kept are pruned, and who resumes from before is told to resync") {
  EngineOptions options;
  options.max_kept_changes = 5;
  const bool by_itself = GENERATE(false, true);
  if (by_itself) options.sweep_interval = 1s;
  Running f(options);
  const Uuid conversation = f.open();
  const Message message = f.send(advisor, draft(conversation, "1")).value().message;
  for (int i = 0; i < 10; ++i) {
    get(f.engine.async_react(client, conversation, message.id, Emoji::heart, use_future)).value();
    get(f.engine.async_unreact(client, conversation, message.id, use_future)).value();
  }
  const auto hear = [&](std::uint64_t since) {
    const auto listener = std::make_shared<Recorder>();
    const Subscription subscription = f.subscribe(client, conversation, listener, since);
    return listener->wait([](const auto& events) {
      return std::holds_alternative<CaughtUp>(events.back()) || std::holds_alternative<Resync>(events.back());
    });
  };
  if (by_itself) {
    const auto patience = std::chrono::steady_clock::now() + 60s;
    while (!std::holds_alternative<Resync>(hear(1).back())) {
      REQUIRE(std::chrono::steady_clock::now() < patience);
      std::this_thread::yield();
    }
  } else {
    CHECK(std::holds_alternative<CaughtUp>(hear(1).back()));
    CHECK(get(f.engine.async_prune_changes(use_future)).value() == 15);
  }
  CHECK(std::holds_alternative<Resync>(hear(1).back()));
  CHECK(std::holds_alternative<Resync>(hear(15).back()));
  CHECK(hear(16).size() == 1 + 5 + 1);
}

TEST_CASE("an engine that is closed prunes nothing more") {
  Running f;
  f.engine.close();
  const auto pruned = get(f.engine.async_prune_changes(use_future));
  REQUIRE(pruned.has_error());
  CHECK(pruned.error() == make_error_code(errc::closed));
}
