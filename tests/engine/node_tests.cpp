// Several engines on one storage, with a backplane that loses what it is told to lose.
#include "engine_fixture.hpp"

#include <travelchat/local_backplane.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

using namespace travelchat;
using namespace travelchat::test;
using namespace std::chrono_literals;

namespace {

// One storage for several engines. It can answer that a write failed although it did not.
class Shared : public Storage {
 public:
  explicit Shared(std::shared_ptr<Storage> inner) : inner_(std::move(inner)) {}

  error_code commit(std::span<const Write> writes, std::vector<result<Written>>& results) override {
    const error_code failed = inner_->commit(writes, results);
    if (doubtful_commits > 0 && doubtful_commits-- > 0) return errc::storage_failed;
    return failed;
  }
  result<std::optional<Conversation>> find_conversation(const Uuid& id) override {
    return inner_->find_conversation(id);
  }
  result<std::vector<ConversationSummary>> list_conversations(const ConversationQuery& query) override {
    return inner_->list_conversations(query);
  }
  result<MessagePage> list_messages(const MessageQuery& query) override { return inner_->list_messages(query); }
  result<ChangeList> list_changes(const Uuid& id, std::uint64_t since, std::size_t limit) override {
    {
      std::unique_lock lock(mutex_);
      ++replays_begun_;
      changed_.notify_all();
      changed_.wait(lock, [&] { return !are_replays_held_; });
    }
    return inner_->list_changes(id, since, limit);
  }
  void hold_replays(bool on) {
    const std::lock_guard lock(mutex_);
    are_replays_held_ = on;
    if (on) replays_begun_ = 0;
    changed_.notify_all();
  }
  // Whether as many have begun since they were held, within `patience`.
  bool replays_reach(int count, std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return replays_begun_ >= count; });
  }
  result<Revisions> list_revisions(const RevisionQuery& query) override {
    if (failing_polls > 0 && failing_polls-- > 0) return errc::storage_failed;
    return inner_->list_revisions(query);
  }
  result<std::uint64_t> count_unread(const std::string& org_id) override { return inner_->count_unread(org_id); }
  result<std::optional<TokenClaims>> find_token(const Sha256Digest& digest, TimePoint now) override {
    return inner_->find_token(digest, now);
  }
  result<std::vector<Sha256Digest>> list_live_tokens(std::span<const Sha256Digest> digests, TimePoint now) override {
    if (failing_checks > 0 && failing_checks-- > 0) return errc::storage_failed;
    return inner_->list_live_tokens(digests, now);
  }
  error_code ping() override { return inner_->ping(); }

  std::atomic<int> doubtful_commits{0};
  std::atomic<int> failing_checks{0};
  std::atomic<int> failing_polls{0};

 private:
  std::shared_ptr<Storage> inner_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool are_replays_held_ = false;
  int replays_begun_ = 0;
};

class WithOtherWriters : public Shared {
 public:
  using Shared::Shared;
  bool has_other_writers() const noexcept override { return true; }
};

class Lossy : public Backplane {
 public:
  explicit Lossy(std::unique_ptr<Backplane> inner) : inner_(std::move(inner)) {}

  void start(BackplaneListener& heard) override {
    listener = &heard;
    inner_->start(heard);
  }
  void stop() noexcept override { inner_->stop(); }
  void join(const Uuid& topic) noexcept override { inner_->join(topic); }
  void leave(const Uuid& topic) noexcept override { inner_->leave(topic); }
  void publish(const Uuid& topic, std::string_view payload) noexcept override {
    const unsigned every = drop_every;
    if (!up || (every > 0 && published_++ % every == 0)) return;
    inner_->publish(topic, payload);
  }
  bool is_up() const noexcept override { return up; }
  std::size_t max_payload() const noexcept override { return inner_->max_payload(); }

  std::atomic<bool> up{true};
  std::atomic<unsigned> drop_every{0};  // of what this node says; 0: none, 1: all
  BackplaneListener* listener = nullptr;

 private:
  std::unique_ptr<Backplane> inner_;
  std::atomic<unsigned> published_{0};
};

struct Node {
  Node(std::shared_ptr<Storage> shared, const std::shared_ptr<LocalBus>& bus, EngineOptions options)
      : Node(std::make_unique<Shared>(std::move(shared)), std::make_unique<Lossy>(make_local_backplane(bus)), options) {
  }
  Node(std::unique_ptr<Shared> own_storage, std::unique_ptr<Lossy> own_backplane, EngineOptions options)
      : storage(*own_storage),
        backplane(*own_backplane),
        engine(std::move(own_storage), Running::with_two_shards(options), std::move(own_backplane)) {}

  result<Sent> send(const Participant& sender, const Uuid& conversation, std::string content,
                    std::optional<std::string> key = std::nullopt) {
    return get(engine.async_send(sender, draft(conversation, std::move(content), std::move(key)), use_future));
  }
  Subscription subscribe(const Participant& who, const Uuid& conversation, std::shared_ptr<Subscriber> subscriber,
                         std::optional<std::uint64_t> since = std::nullopt) {
    return get(engine.async_subscribe(who, conversation, std::move(subscriber), SubscribeOptions{since}, use_future))
        .value();
  }
  Uuid open(std::string client_id = "client-1") {
    return get(engine.async_open_conversation("org-1", std::move(client_id), use_future)).value().id;
  }

  Shared& storage;
  Lossy& backplane;
  ChatEngine engine;
};

// Far beyond a test's patience: what is heard was not found by polling.
EngineOptions without_polling() {
  EngineOptions options;
  options.poll_interval = options.poll_interval_down = 1h;
  return options;
}
EngineOptions with_fast_polling() {
  EngineOptions options;
  options.poll_interval = options.poll_interval_down = 20ms;
  return options;
}

struct Pair {
  explicit Pair(EngineOptions options) : a(shared, bus, options), b(shared, bus, options) {}

  std::shared_ptr<Storage> shared = make_memory_storage();
  std::shared_ptr<LocalBus> bus = make_local_bus();
  Node a;
  Node b;
};

std::vector<std::uint64_t> revisions(const std::vector<Event>& events) {
  std::vector<std::uint64_t> out;
  for (const Event& event : events) {
    if (revision(event) > 0) out.push_back(revision(event));
  }
  return out;
}

bool is_dense(const std::vector<std::uint64_t>& revs, std::uint64_t first) {
  for (std::size_t i = 0; i < revs.size(); ++i) {
    if (revs[i] != first + i) return false;
  }
  return true;
}

// Whether this is the last that was told of typing. What was written may come behind it: hints of two nodes come in no
// order.
bool ends_with_typing(const std::vector<Event>& events, TypingChanged typing) {
  const auto last = std::find_if(events.rbegin(), events.rend(),
                                 [](const Event& event) { return std::holds_alternative<TypingChanged>(event); });
  return last != events.rend() && *last == Event(typing);
}

}  // namespace

TEST_CASE("every change reaches the listeners of every node in the order of its revision") {
  Pair nodes(without_polling());
  const Uuid conversation = nodes.a.open();
  const auto here = std::make_shared<Recorder>();
  const auto there = std::make_shared<Recorder>();
  const Subscription one = nodes.a.subscribe(advisor, conversation, here);
  const Subscription two = nodes.b.subscribe(client, conversation, there);
  const Message message = nodes.a.send(advisor, conversation, "Hello").value().message;
  get(nodes.b.engine.async_react(client, conversation, message.id, Emoji::heart, use_future)).value();
  get(nodes.b.engine.async_mark(client, conversation, use_future)).value();
  nodes.b.send(client, conversation, std::string(9'000, 'x')).value();
  std::string wide;
  for (int i = 0; i < 10'000; ++i) wide += "\xf0\x9f\x98\x82";
  nodes.a.send(advisor, conversation, wide).value();  // 40,000 bytes: too long for a hint
  get(nodes.a.engine.async_mark(advisor, conversation, use_future)).value();
  for (const auto& recorder : {here, there}) {
    const std::vector<Event> heard = recorder->wait_for_rev(6);
    CHECK(revisions(heard) == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6});
    CHECK(std::get<MessageCreated>(heard[5]).message.content == wide);
  }
}

TEST_CASE("two nodes that write to one conversation at once are heard alike, also when hints are lost") {
  const unsigned drop_every = GENERATE(0u, 3u);
  Pair nodes(with_fast_polling());
  const Uuid conversation = nodes.a.open();
  std::vector<std::shared_ptr<Recorder>> recorders;
  std::vector<Subscription> subscriptions;
  for (Node* node : {&nodes.a, &nodes.b, &nodes.a, &nodes.b}) {
    recorders.push_back(std::make_shared<Recorder>());
    subscriptions.push_back(node->subscribe(client, conversation, recorders.back()));
  }
  nodes.a.backplane.drop_every = drop_every;
  nodes.b.backplane.drop_every = drop_every;
  constexpr std::uint64_t each = 300;
  const auto write = [&](Node& node) {
    for (std::uint64_t i = 0; i < each; ++i) node.send(advisor, conversation, "m").value();
  };
  std::thread first([&] { write(nodes.a); });
  std::thread second([&] { write(nodes.b); });
  first.join();
  second.join();
  for (const auto& recorder : recorders) {
    const auto revs = revisions(recorder->wait_for_rev(2 * each));
    CHECK(revs.size() == 2 * each);
    CHECK(is_dense(revs, 1));
  }
}

TEST_CASE("what was committed while nothing got through is told once the nodes hear of each other again") {
  Pair nodes(without_polling());
  const Uuid conversation = nodes.a.open();
  const auto listener = std::make_shared<Recorder>();
  const auto inbox = std::make_shared<Recorder>();
  const Subscription subscription = nodes.b.subscribe(client, conversation, listener);
  const Subscription list = get(nodes.b.engine.async_subscribe_inbox("org-1", inbox, use_future)).value();
  nodes.a.send(client, conversation, "1").value();
  listener->wait_for_rev(1);
  inbox->wait_for(1);

  nodes.a.backplane.drop_every = 1;
  CHECK(nodes.b.engine.backplane_state() == BackplaneState::up);
  for (int i = 0; i < 5; ++i) nodes.a.send(client, conversation, "lost").value();
  nodes.a.open("client-2");
  nodes.b.send(advisor, conversation, "heard at once").value();  // 7, with a gap before it
  CHECK(is_dense(revisions(listener->wait_for_rev(7)), 1));

  for (int i = 0; i < 5; ++i) nodes.a.send(client, conversation, "lost, too").value();
  nodes.b.backplane.listener->missed();
  const auto revs = revisions(listener->wait_for_rev(12));
  CHECK(revs.size() == 12);
  CHECK(is_dense(revs, 1));
  const auto rows = inbox->wait([](const std::vector<Event>& events) {
    std::uint64_t newest = 0;
    bool has_new = false;
    for (const Event& event : events) {
      const Conversation& row = std::get<ConversationUpdated>(event).summary.conversation;
      newest = std::max(newest, row.rev);
      has_new = has_new || row.client_id == "client-2";
    }
    return newest == 12 && has_new;
  });
  CHECK(std::get<ConversationUpdated>(rows.front()).summary.conversation.rev == 1);
}

TEST_CASE("an outage that many conversations missed is made up for a few reads at a time") {
  constexpr int conversations = 40;
  constexpr int at_once = 16;
  EngineOptions options = without_polling();
  options.shards = 1;
  options.readers = 64;
  Pair nodes(options);
  std::vector<Uuid> ids;
  std::vector<std::shared_ptr<Recorder>> listeners;
  std::vector<Subscription> subscriptions;
  for (int i = 0; i < conversations; ++i) {
    ids.push_back(nodes.a.open("client-" + std::to_string(i)));
    listeners.push_back(std::make_shared<Recorder>());
    subscriptions.push_back(nodes.b.subscribe(advisor, ids.back(), listeners.back()));
  }
  nodes.a.backplane.drop_every = 1;
  for (const Uuid& id : ids) nodes.a.send(advisor, id, "lost").value();
  nodes.b.storage.hold_replays(true);
  nodes.b.backplane.listener->missed();
  CHECK(nodes.b.storage.replays_reach(at_once, 20s));
  CHECK_FALSE(nodes.b.storage.replays_reach(at_once + 1, 200ms));
  nodes.b.storage.hold_replays(false);
  for (const auto& listener : listeners) CHECK(revisions(listener->wait_for_rev(1)).size() == 1);
}

TEST_CASE("while the backplane is down, polling tells what other nodes have written") {
  Pair nodes(with_fast_polling());
  const Uuid conversation = nodes.a.open();
  const auto listener = std::make_shared<Recorder>();
  const auto inbox = std::make_shared<Recorder>();
  const Subscription subscription = nodes.b.subscribe(client, conversation, listener);
  const Subscription list = get(nodes.b.engine.async_subscribe_inbox("org-1", inbox, use_future)).value();
  nodes.a.backplane.up = false;
  nodes.b.backplane.up = false;
  CHECK(nodes.b.engine.backplane_state() == BackplaneState::down);
  nodes.b.storage.failing_polls = 3;
  for (int i = 0; i < 20; ++i) nodes.a.send(client, conversation, "m").value();
  const auto revs = revisions(listener->wait_for_rev(20));
  CHECK(revs.size() == 20);
  CHECK(is_dense(revs, 1));
  inbox->wait([](const std::vector<Event>& events) {
    return !events.empty() && std::get<ConversationUpdated>(events.back()).summary.conversation.rev == 20;
  });
}

TEST_CASE("a backplane that goes down is missed before the next poll of one that is up would be due") {
  EngineOptions options = without_polling();
  options.poll_interval_down = 20ms;
  Pair nodes(options);
  const Uuid conversation = nodes.a.open();
  const auto listener = std::make_shared<Recorder>();
  const Subscription subscription = nodes.b.subscribe(client, conversation, listener);
  nodes.a.send(client, conversation, "1").value();
  listener->wait_for_rev(1);
  nodes.a.backplane.up = false;
  nodes.a.send(client, conversation, "lost").value();
  nodes.b.backplane.up = false;
  CHECK(is_dense(revisions(listener->wait_for_rev(2)), 1));
}

TEST_CASE("further behind than a replay reaches, listeners are told to load the conversation again") {
  EngineOptions options = without_polling();
  options.max_replay = 4;
  Pair nodes(options);
  const Uuid conversation = nodes.a.open();
  const auto listener = std::make_shared<Recorder>();
  const Subscription subscription = nodes.b.subscribe(client, conversation, listener);
  nodes.a.send(advisor, conversation, "1").value();
  listener->wait_for_rev(1);
  nodes.a.backplane.drop_every = 1;
  for (int i = 0; i < 9; ++i) nodes.a.send(advisor, conversation, "lost").value();
  const Message last = nodes.b.send(advisor, conversation, "11").value().message;
  // A look at what came while the room was joined may find some of the lost ones first: then the last one follows.
  const auto reached = [](const Event& event) {
    const auto* resync = std::get_if<Resync>(&event);
    return resync != nullptr ? resync->rev : revision(event);
  };
  const std::vector<Event> heard =
      listener->wait([&](const std::vector<Event>& events) { return reached(events.back()) == last.rev; });
  MessageQuery query;
  query.conversation_id = conversation;
  const auto epoch = get(nodes.a.engine.async_list_messages(advisor, query, use_future)).value().epoch;
  const auto resync = std::find_if(heard.begin(), heard.end(),
                                   [](const Event& event) { return std::holds_alternative<Resync>(event); });
  REQUIRE(resync != heard.end());
  CHECK(std::get<Resync>(*resync).epoch == epoch);
  for (auto event = resync; event + 1 != heard.end(); ++event) CHECK(reached(*(event + 1)) == reached(*event) + 1);
  nodes.a.backplane.drop_every = 0;
  nodes.a.send(advisor, conversation, "12").value();
  CHECK(revision(listener->wait_for_rev(12).back()) == 12);
}

TEST_CASE("a resume on another node than before misses nothing and repeats nothing") {
  Pair nodes(without_polling());
  const Uuid conversation = nodes.a.open();
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) (i % 2 ? nodes.a : nodes.b).send(advisor, conversation, "m").value();
  });
  std::uint64_t since = 0;
  for (int round = 0; round < 40; ++round) {
    const auto listener = std::make_shared<Recorder>();
    const Subscription subscription = (round % 2 ? nodes.b : nodes.a).subscribe(client, conversation, listener, since);
    const std::uint64_t wanted = since + 1 + static_cast<std::uint64_t>(round % 7);
    const auto revs = revisions(listener->wait([&](const std::vector<Event>& events) {
      const auto heard = revisions(events);
      return !heard.empty() && heard.back() >= wanted;
    }));
    REQUIRE(is_dense(revs, since + 1));
    since = revs.back();
  }
  stop = true;
  writer.join();
}

TEST_CASE("who types on one node is seen on the others, from the start and to the end") {
  EngineOptions options = without_polling();
  options.typing_timeout = 1h;
  Pair nodes(options);
  const Uuid conversation = nodes.a.open();
  const auto watcher = std::make_shared<Recorder>();
  const Subscription c = nodes.b.subscribe(client, conversation, watcher);
  Subscription a = nodes.a.subscribe(advisor, conversation, std::make_shared<Recorder>());
  a.set_typing(true);
  watcher->wait([](const auto& events) { return ends_with_typing(events, {true, false}); });

  // Whoever comes later asks.
  Node third(nodes.shared, nodes.bus, options);
  const auto late = std::make_shared<Recorder>();
  const Subscription l = third.subscribe(client, conversation, late);
  late->wait([](const auto& events) { return ends_with_typing(events, {true, false}); });

  // A message by another node ends its sender's typing here, and there.
  nodes.b.send(advisor, conversation, "sent from my other device").value();
  watcher->wait([](const auto& events) { return ends_with_typing(events, {}); });
  late->wait([](const auto& events) { return ends_with_typing(events, {}); });

  a.set_typing(true);
  watcher->wait([](const auto& events) { return ends_with_typing(events, {true, false}); });
  a.reset();
  watcher->wait([](const auto& events) { return ends_with_typing(events, {}); });
}

TEST_CASE("a node that dies leaves nobody typing") {
  EngineOptions options = without_polling();
  options.typing_timeout = 60ms;
  Pair nodes(options);
  const Uuid conversation = nodes.a.open();
  const auto watcher = std::make_shared<Recorder>();
  const Subscription c = nodes.b.subscribe(client, conversation, watcher);
  Subscription a = nodes.a.subscribe(advisor, conversation, std::make_shared<Recorder>());
  watcher->wait_for(1);
  a.set_typing(true);
  watcher->wait([](const auto& events) { return ends_with_typing(events, {true, false}); });
  nodes.a.backplane.up = false;  // its last words are lost
  a.reset();
  watcher->wait([](const auto& events) { return ends_with_typing(events, {}); });
}

TEST_CASE("a write of which nobody knows whether it was carried out is told when it was") {
  const bool alone = GENERATE(false, true);
  const std::shared_ptr<Storage> shared = make_memory_storage();
  const auto bus = make_local_bus();
  auto storage = std::make_unique<Shared>(shared);
  Shared& doubtful = *storage;
  ChatEngine one(std::move(storage), Running::with_two_shards(with_fast_polling()),
                 alone ? nullptr : make_local_backplane(bus));
  Node other(shared, bus, without_polling());
  const Uuid conversation = other.open();
  const auto listener = std::make_shared<Recorder>();
  const auto inbox = std::make_shared<Recorder>();
  const Subscription subscription =
      get(one.async_subscribe(client, conversation, listener, SubscribeOptions{}, use_future)).value();
  const Subscription list = get(one.async_subscribe_inbox("org-1", inbox, use_future)).value();
  const auto elsewhere = std::make_shared<Recorder>();
  const Subscription there = other.subscribe(client, conversation, elsewhere);

  doubtful.doubtful_commits = 1;
  const auto failed = get(one.async_send(client, draft(conversation, "kept", "k"), use_future));
  REQUIRE(failed.error() == make_error_code(errc::storage_failed));
  const auto told = [](const std::vector<Event>& events) {
    return std::any_of(events.begin(), events.end(), [](const Event& event) {
      return std::holds_alternative<MessageCreated>(event) || std::holds_alternative<Resync>(event);
    });
  };
  listener->wait(told);
  inbox->wait_for(1);
  if (!alone) CHECK(revisions(elsewhere->wait(told)) == std::vector<std::uint64_t>{1});

  const Sent repeated = get(one.async_send(client, draft(conversation, "kept", "k"), use_future)).value();
  CHECK_FALSE(repeated.created);
  CHECK(repeated.message.seq == 1);
}

TEST_CASE("a repeat on another node tells what the first node could not") {
  Pair nodes(without_polling());
  const Uuid conversation = nodes.a.open();
  const auto listener = std::make_shared<Recorder>();
  const Subscription subscription = nodes.b.subscribe(advisor, conversation, listener);
  nodes.a.send(client, conversation, "1").value();
  listener->wait_for_rev(1);
  nodes.a.backplane.up = false;  // it ends after the commit
  nodes.a.send(client, conversation, "2", "k").value();
  CHECK_FALSE(nodes.b.send(client, conversation, "2", "k").value().created);
  CHECK(revisions(listener->wait_for_rev(2)) == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("what somebody wrote past the engine is told after a refresh, on every node") {
  Pair nodes(without_polling());
  const Uuid conversation = nodes.a.open();
  const auto here = std::make_shared<Recorder>();
  const auto there = std::make_shared<Recorder>();
  const auto inbox = std::make_shared<Recorder>();
  const Subscription one = nodes.a.subscribe(client, conversation, here);
  const Subscription two = nodes.b.subscribe(client, conversation, there);
  const Subscription list = get(nodes.b.engine.async_subscribe_inbox("org-1", inbox, use_future)).value();
  AppendMessage foreign;
  foreign.now = TimePoint{1'764'000'000'000ms};
  foreign.message_id = make_uuid(foreign.now);
  foreign.conversation_id = conversation;
  foreign.sender = client;
  foreign.content = "by another program";
  std::vector<result<Written>> results;
  REQUIRE_FALSE(nodes.shared->commit(std::vector<Write>{foreign}, results));
  nodes.a.engine.refresh(conversation);
  for (const auto& recorder : {here, there}) {
    CHECK(std::get<MessageCreated>(recorder->wait_for_rev(1).back()).message.content == "by another program");
  }
  CHECK(std::get<ConversationUpdated>(inbox->wait_for(1).front()).summary.conversation.unread_count == 1);
}

TEST_CASE("nodes that end while others write to them leave nothing behind") {
  Pair nodes(with_fast_polling());
  const Uuid conversation = nodes.a.open();
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) nodes.a.send(advisor, conversation, "m").value();
  });
  for (int round = 0; round < 15; ++round) {
    Node passing(nodes.shared, nodes.bus, with_fast_polling());
    const auto listener = std::make_shared<Recorder>();
    Subscription subscription = passing.subscribe(client, conversation, listener);
    subscription.set_typing(true);
    listener->wait_for(2);
    if (round % 2) passing.engine.close();
  }
  stop = true;
  writer.join();
}

namespace {

// A client of node `on` who listens by a chat token of node `of`.
struct ByToken {
  ByToken(Node& on, Node& of, const Uuid& conversation) {
    const TokenGrant grant{"org-1", "client-1", "trip-1", conversation};
    token = get(of.engine.async_issue_token(grant, use_future)).value().token;
    SubscribeOptions options;
    options.credential = Credential::of_chat_token(token, TimePoint::max());
    subscription = get(on.engine.async_subscribe(client, conversation, recorder, options, use_future)).value();
  }
  std::shared_ptr<Recorder> recorder = std::make_shared<Recorder>();
  std::string token;
  Subscription subscription;
};

}  // namespace

TEST_CASE("a credential that ends on one node ends its listeners on the others") {
  EngineOptions options = without_polling();
  options.credential_check_interval = 1h;
  Pair nodes(options);
  const Uuid conversation = nodes.a.open();
  const ByToken there(nodes.b, nodes.a, conversation);
  get(nodes.b.engine.async_authenticate_token(there.token, use_future)).value();
  const auto colleague = std::make_shared<Recorder>();
  SubscribeOptions by_session;
  by_session.credential = Credential::of_session("session-1");
  const Subscription listening =
      get(nodes.b.engine.async_subscribe(advisor, conversation, colleague, by_session, use_future)).value();

  get(nodes.a.engine.async_revoke_token(there.token, use_future)).value();
  CHECK(there.recorder->wait_for_close() == errc::unauthenticated);
  // Also for requests: the token was remembered there.
  CHECK(describe(get(nodes.b.engine.async_authenticate_token(there.token, use_future)).error()).code ==
        errc::unauthenticated);
  nodes.a.engine.end_session("session-1");
  CHECK(colleague->wait_for_close() == errc::unauthenticated);
}

TEST_CASE("a token that ends while the nodes do not hear of each other is found by looking") {
  EngineOptions options = without_polling();
  options.credential_check_interval = 20ms;
  Pair nodes(options);
  nodes.a.backplane.up = nodes.b.backplane.up = false;
  const Uuid conversation = nodes.a.open();
  const ByToken ends(nodes.b, nodes.a, conversation);
  const ByToken goes_on(nodes.b, nodes.a, conversation);
  get(nodes.a.engine.async_revoke_token(ends.token, use_future)).value();
  CHECK(ends.recorder->wait_for_close() == errc::unauthenticated);
  const std::uint64_t rev = nodes.b.send(advisor, conversation, "still here").value().message.rev;
  goes_on.recorder->wait_for_rev(rev);
}

TEST_CASE("a storage that does not answer ends nobody") {
  EngineOptions options = without_polling();
  options.credential_check_interval = 5ms;
  Pair nodes(options);
  const Uuid conversation = nodes.a.open();
  const ByToken there(nodes.b, nodes.a, conversation);
  nodes.b.storage.failing_checks = 5;
  while (nodes.b.storage.failing_checks > 0) std::this_thread::yield();
  const std::uint64_t rev = nodes.b.send(advisor, conversation, "still here").value().message.rev;
  there.recorder->wait_for_rev(rev);
}

// ---- Other writers, and no backplane ----

TEST_CASE("without a backplane, too, listeners get what others write to the storage, and no revision is left out") {
  for (const bool polls : {true, false}) {
    INFO((polls ? "found by looking" : "found when the engine goes on itself"));
    const std::shared_ptr<Storage> storage = make_memory_storage();
    Running here(polls ? with_fast_polling() : without_polling(), std::make_unique<WithOtherWriters>(storage));
    Running elsewhere({}, std::make_unique<Shared>(storage));
    CHECK(here.engine.backplane_state() == BackplaneState::none);
    const Uuid conversation = here.open();
    const auto listener = std::make_shared<Recorder>();
    const Subscription subscription = here.subscribe(client, conversation, listener);
    elsewhere.send(advisor, draft(conversation, "by another program")).value();
    if (polls) listener->wait_for_rev(1);
    here.send(advisor, draft(conversation, "by this one")).value();
    CHECK(revisions(listener->wait_for_rev(2)) == std::vector<std::uint64_t>{1, 2});
  }
}

class WithFurtherClient final : public WithOtherWriters {
 public:
  using WithOtherWriters::WithOtherWriters;
  result<std::vector<Member>> list_members(const Uuid&) override {
    before_members();
    return std::vector<Member>{{Role::client, "client-1", {}, 0, 0}, {Role::client, "client-2", {}, 0, 0}};
  }
  std::function<void()> before_members = [] {};
};

TEST_CASE("a listener whose room ends while its access is looked up hears only what comes from then on") {
  auto owned = std::make_unique<WithFurtherClient>(std::shared_ptr<Storage>(make_memory_storage()));
  WithFurtherClient& storage = *owned;
  Running f(without_polling(), std::move(owned));
  const Uuid conversation = f.open();
  f.send(advisor, draft(conversation, "before")).value();
  Subscription first = f.subscribe(advisor, conversation, std::make_shared<Recorder>());
  storage.before_members = [&] { first.reset(); };
  const auto listener = std::make_shared<Recorder>();
  const Subscription second = f.subscribe(Participant("org-1", Role::client, "client-2"), conversation, listener);
  f.send(advisor, draft(conversation, "after")).value();
  CHECK(revisions(listener->wait_for_rev(2)) == std::vector<std::uint64_t>{2});
}

TEST_CASE("without a backplane, too, a listener goes with a token that others have ended in the storage") {
  EngineOptions options = without_polling();
  options.credential_check_interval = 20ms;
  const std::shared_ptr<Storage> storage = make_memory_storage();
  Running here(options, std::make_unique<WithOtherWriters>(storage));
  Running elsewhere({}, std::make_unique<Shared>(storage));
  const Uuid conversation = here.open();
  const std::string token =
      get(here.engine.async_issue_token(TokenGrant{"org-1", "client-1", "trip-1", conversation}, use_future))
          .value()
          .token;
  SubscribeOptions by_token;
  by_token.credential = Credential::of_chat_token(token, TimePoint::max());
  const auto listener = std::make_shared<Recorder>();
  const Subscription subscription =
      get(here.engine.async_subscribe(client, conversation, listener, by_token, use_future)).value();
  get(elsewhere.engine.async_revoke_token(token, use_future)).value();
  CHECK(listener->wait_for_close() == errc::unauthenticated);
}
