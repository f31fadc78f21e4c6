#include "engine_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

using namespace travelchat;
using namespace travelchat::test;
using namespace std::chrono_literals;

namespace {

std::vector<std::uint64_t> revisions(const std::vector<Event>& events) {
  std::vector<std::uint64_t> out;
  for (const Event& event : events) {
    const bool is_control = std::holds_alternative<CaughtUp>(event) || std::holds_alternative<Resync>(event);
    if (!is_control && revision(event) > 0) out.push_back(revision(event));
  }
  return out;
}

}  // namespace

TEST_CASE("every change of a conversation reaches every listener in the order of its revision") {
  Running f;
  const Uuid conversation = f.open();
  const auto first = std::make_shared<Recorder>();
  const auto second = std::make_shared<Recorder>();
  const Subscription a = f.subscribe(advisor, conversation, first);
  const Subscription c = f.subscribe(client, conversation, second);
  const Message message = f.send(advisor, draft(conversation, "Hello")).value().message;
  get(f.engine.async_react(client, conversation, message.id, Emoji::heart, use_future)).value();
  get(f.engine.async_mark(client, conversation, use_future)).value();
  f.send(client, draft(conversation, "Hi")).value();
  get(f.engine.async_mark(advisor, conversation, use_future)).value();
  get(f.engine.async_unreact(client, conversation, message.id, use_future)).value();
  for (const auto& listener : {first, second}) {
    const std::vector<Event> heard = listener->wait_for(7);
    REQUIRE(std::holds_alternative<TypingChanged>(heard[0]));
    REQUIRE(std::get<MessageCreated>(heard[1]).message == message);
    REQUIRE(std::get<ReactionsChanged>(heard[2]).reactions.size() == 1);
    REQUIRE(std::holds_alternative<MessagesSeen>(heard[3]));
    REQUIRE(std::get<MessageCreated>(heard[4]).message.content == "Hi");
    REQUIRE(std::holds_alternative<MessagesRead>(heard[5]));
    REQUIRE(std::get<ReactionsChanged>(heard[6]).reactions.empty());
    const auto revs = revisions(heard);
    for (std::size_t i = 1; i < revs.size(); ++i) REQUIRE(revs[i] == revs[i - 1] + 1);
  }
}

TEST_CASE("what changes nothing is not broadcast") {
  Running f;
  const Uuid conversation = f.open();
  const Message message = f.send(client, draft(conversation, "once", "k")).value().message;
  get(f.engine.async_react(advisor, conversation, message.id, Emoji::joy, use_future)).value();
  const auto listener = std::make_shared<Recorder>();
  const Subscription subscription = f.subscribe(advisor, conversation, listener);
  f.send(client, draft(conversation, "once", "k")).value();
  get(f.engine.async_react(advisor, conversation, message.id, Emoji::joy, use_future)).value();
  get(f.engine.async_unreact(client, conversation, message.id, use_future)).value();
  REQUIRE(get(f.engine.async_mark(client, conversation, use_future)).value().count == 0);
  f.send(client, draft(conversation, "marker")).value();
  const std::vector<Event> heard = listener->wait_for(2);
  REQUIRE(std::get<MessageCreated>(heard[1]).message.content == "marker");
}

TEST_CASE("a listener that resumes while others write gets every change once and in order") {
  Running f;
  const Uuid conversation = f.open();
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> last{0};
  std::thread writer([&] {
    while (!stop) last = f.send(advisor, draft(conversation, "m")).value().message.rev;
  });
  std::uint64_t since = 0;
  for (int round = 0; round < 60; ++round) {
    const auto listener = std::make_shared<Recorder>();
    const Subscription subscription = f.subscribe(client, conversation, listener, since);
    const std::uint64_t wanted = since + 1 + static_cast<std::uint64_t>(round % 7);
    const std::vector<Event> heard = listener->wait([&](const auto& events) {
      const auto revs = revisions(events);
      return !revs.empty() && revs.back() >= wanted && std::any_of(events.begin(), events.end(), [](const Event& e) {
        return std::holds_alternative<CaughtUp>(e);
      });
    });
    const auto revs = revisions(heard);
    for (std::size_t i = 0; i < revs.size(); ++i) REQUIRE(revs[i] == since + 1 + i);
    since = revs.back();
  }
  stop = true;
  writer.join();
}

TEST_CASE("a listener too far behind, or ahead of the conversation, is told to resync") {
  EngineOptions options;
  options.max_replay = 3;
  Running f(options);
  const Uuid conversation = f.open();
  std::uint64_t rev = 0;
  for (int i = 0; i < 4; ++i) rev = f.send(advisor, draft(conversation, "m")).value().message.rev;
  const auto hear = [&](std::uint64_t since) {
    const auto listener = std::make_shared<Recorder>();
    const Subscription subscription = f.subscribe(client, conversation, listener, since);
    return listener->wait([](const auto& events) {
      return !events.empty() &&
             (std::holds_alternative<CaughtUp>(events.back()) || std::holds_alternative<Resync>(events.back()));
    });
  };
  const auto epoch = f.epoch(conversation);
  REQUIRE(hear(rev - 4) == std::vector<Event>{TypingChanged{}, Resync{rev, epoch}});
  REQUIRE(hear(rev + 1) == std::vector<Event>{TypingChanged{}, Resync{rev, epoch}});
  REQUIRE(hear(rev) == std::vector<Event>{TypingChanged{}, CaughtUp{rev, epoch}});
  REQUIRE(hear(rev - 3).size() == 5);
}

TEST_CASE("typing reaches the others of its own room only, expires, and ends with a message") {
  EngineOptions options;
  options.typing_timeout = 30ms;
  Running f(options);
  const Uuid conversation = f.open();
  const Uuid elsewhere = f.open("client-2");
  const auto watcher = std::make_shared<Recorder>();
  const auto outsider = std::make_shared<Recorder>();
  const Subscription c = f.subscribe(client, conversation, watcher);
  const Subscription o = f.subscribe(advisor, elsewhere, outsider);
  Subscription a = f.subscribe(advisor, conversation, std::make_shared<Recorder>());

  a.set_typing(true);
  REQUIRE(watcher->wait_for(3) ==
          std::vector<Event>{TypingChanged{}, TypingChanged{true, false}, TypingChanged{}});  // expired by itself

  a.set_typing(true);
  watcher->wait_for(4);
  const Message message = f.send(advisor, draft(conversation, "sent")).value().message;
  const std::vector<Event> heard = watcher->wait_for(6);
  REQUIRE(heard[4] == Event(MessageCreated{message, message.rev}));
  REQUIRE(heard[5] == Event(TypingChanged{}));

  a.set_typing(true);
  watcher->wait_for(7);
  a.reset();  // the tab is closed
  REQUIRE(watcher->wait_for(8).back() == Event(TypingChanged{}));

  const Message marker = f.send(advisor, draft(elsewhere, "marker")).value().message;
  REQUIRE(outsider->wait_for(2) == std::vector<Event>{TypingChanged{}, MessageCreated{marker, marker.rev}});
}

TEST_CASE("an inbox hears of new conversations, messages and reads of its own organization") {
  Running f;
  const auto inbox = std::make_shared<Recorder>();
  const Subscription subscription = get(f.engine.async_subscribe_inbox("org-1", inbox, use_future)).value();
  get(f.engine.async_open_conversation("org-2", "stranger", use_future)).value();
  const Uuid conversation = f.open();
  f.open();  // already there: no news
  const Message message = f.send(client, draft(conversation, "Hi")).value().message;
  get(f.engine.async_mark(advisor, conversation, use_future)).value();
  const std::vector<Event> heard = inbox->wait_for(3);
  const auto row = [&](std::size_t i) { return std::get<ConversationUpdated>(heard.at(i)).summary; };
  REQUIRE(row(0).conversation.id == conversation);
  REQUIRE_FALSE(row(0).last_message);
  REQUIRE(row(1).last_message == message);
  REQUIRE(row(1).conversation.unread_count == 1);
  REQUIRE(row(2).conversation.unread_count == 0);
  REQUIRE(row(2).last_message->is_read);
}

TEST_CASE("a listener may end its own subscription while it is delivered to") {
  struct Once : Subscriber {
    Subscription* own = nullptr;
    std::atomic<int> delivered{0};
    void deliver(const std::shared_ptr<const EventBatch>& batch) noexcept override {
      if (!std::holds_alternative<MessageCreated>(batch->events().front())) return;
      ++delivered;
      own->reset();
    }
    void close(errc) noexcept override {}
  };
  Running f;
  const Uuid conversation = f.open();
  const auto once = std::make_shared<Once>();
  const auto other = std::make_shared<Recorder>();
  Subscription own = f.subscribe(client, conversation, once);
  once->own = &own;
  const Subscription second = f.subscribe(client, conversation, other);
  f.send(advisor, draft(conversation, "1")).value();
  other->wait_for(2);
  // The leave was queued on the shard before this join.
  const Subscription third = f.subscribe(client, conversation, std::make_shared<Recorder>());
  f.send(advisor, draft(conversation, "2")).value();
  other->wait_for(3);
  REQUIRE(once->delivered == 1);
  REQUIRE(f.engine.stats().subscribers == 2);
}

TEST_CASE("a subscription may outlive its engine, and does not keep the storage") {
  struct Watched : Gate {
    explicit Watched(bool& flag) : gone(flag) {}
    ~Watched() override { gone = true; }
    bool& gone;
  };
  Subscription kept;
  bool storage_gone = false;
  const auto listener = std::make_shared<Recorder>();
  {
    Running f({}, std::make_unique<Watched>(storage_gone));
    kept = f.subscribe(client, f.open(), listener);
  }
  REQUIRE(storage_gone);
  REQUIRE(listener->wait_for_close() == errc::closed);
  kept.set_typing(true);
  kept.reset();
  REQUIRE_FALSE(kept);
}
