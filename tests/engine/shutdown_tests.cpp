// An engine that ends while others use it: at each point everybody gets an answer, and nothing is touched that is gone.
#include "engine_fixture.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>

#include <array>
#include <latch>
#include <thread>
#include <vector>

namespace travelchat::test {
namespace {

class Silent final : public Subscriber {
 public:
  void deliver(const std::shared_ptr<const EventBatch>&) noexcept override {}
  void close(errc) noexcept override {}
};

// Runs `work(turn)` for one turn after another until it is destroyed.
class Busy {
 public:
  template <class Work>
  explicit Busy(Work work)
      : thread_([this, work = std::move(work)]() mutable {
          for (int turn = 0; !stop_; ++turn) {
            work(turn);
            turns_ = turn + 1;
            turns_.notify_all();
          }
        }) {}
  ~Busy() {
    stop_ = true;
    thread_.join();
  }
  void wait_for_turn(int number) const {
    for (int turns = turns_; turns < number; turns = turns_) turns_.wait(turns);
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> turns_{0};
  std::thread thread_;
};

}  // namespace

TEST_CASE("subscriptions type and go while their engine is destroyed") {
  for (int round = 0; round < 50; ++round) {
    auto f = std::make_unique<Running>();
    const Uuid conversation = f->open();
    std::vector<Subscription> some;
    for (int i = 0; i < 16; ++i) some.push_back(f->subscribe(client, conversation, std::make_shared<Silent>()));
    Subscription typing = f->subscribe(client, conversation, std::make_shared<Silent>());
    const Busy types([&](int turn) {
      typing.set_typing(turn % 2 == 0);
      std::this_thread::yield();
    });
    const Busy leaves([&](int turn) { some[static_cast<std::size_t>(turn) % some.size()].reset(); });
    leaves.wait_for_turn(round);
    types.wait_for_turn(2);
    f.reset();
    types.wait_for_turn(4);
  }
}

TEST_CASE("what a thread of the engine has accepted before the engine closes is stored") {
  for (int round = 0; round < 20; ++round) {
    Running f;
    const Uuid conversation = f.open();
    std::promise<void> asked;
    std::latch closing(1);
    std::vector<std::future<result<Sent>>> answers;
    f.engine.async_ping([&](result<bool>) {
      for (int i = 0; i < 3; ++i)
        answers.push_back(f.engine.async_send(client, draft(conversation, std::to_string(i)), use_future));
      asked.set_value();
      // The round is not over yet.
      closing.wait();
    });
    get(asked.get_future());
    std::thread closes([&] { f.engine.close(); });
    std::this_thread::yield();
    closing.count_down();
    closes.join();
    for (auto& answer : answers) CHECK(get(std::move(answer)).has_value());
  }
}

TEST_CASE("whatever is begun while an engine closes is answered") {
  for (int round = 0; round < 50; ++round) {
    Running f;
    const Uuid conversation = f.open();
    std::array<std::vector<std::future<result<bool>>>, 2> pings;
    std::array<std::vector<std::future<result<Conversation>>>, 2> finds;
    std::vector<std::future<result<Sent>>> sends;
    std::vector<std::future<result<Subscription>>> subscriptions;
    {
      const Busy reads([&](int) {
        pings[0].push_back(f.engine.async_ping(use_future));
        finds[0].push_back(f.engine.async_find_conversation(conversation, use_future));
        if (finds[0].size() % 8 == 0) finds[0].back().wait();
      });
      const Busy also_reads([&](int) {
        pings[1].push_back(f.engine.async_ping(use_future));
        finds[1].push_back(f.engine.async_find_conversation(conversation, use_future));
        if (finds[1].size() % 8 == 0) finds[1].back().wait();
      });
      const Busy writes([&](int) {
        sends.push_back(f.engine.async_send(client, draft(conversation, "Hello"), use_future));
        subscriptions.push_back(
            f.engine.async_subscribe(client, conversation, std::make_shared<Silent>(), {.since_rev = 0}, use_future));
        f.engine.refresh(conversation);
        if (sends.size() % 8 == 0) sends.back().wait();
      });
      reads.wait_for_turn(1 + round % 7);
      also_reads.wait_for_turn(1 + round % 5);
      f.engine.close();
    }
    for (auto& list : pings) {
      for (auto& answer : list) get(std::move(answer));
    }
    for (auto& list : finds) {
      for (auto& answer : list) get(std::move(answer));
    }
    for (auto& answer : sends) get(std::move(answer));
    for (auto& answer : subscriptions) {
      const auto subscription = get(std::move(answer));
      CHECK((subscription || subscription.error() == make_error_code(errc::closed)));
    }
  }
}

TEST_CASE("a subscription is answered on another shard's thread, whichever of them ends first") {
  Running f;
  std::array<Uuid, 2> at{};  // a conversation of each shard
  for (int i = 0, found = 0; found != 3; ++i) {
    const Uuid id = f.open("client-" + std::to_string(i));
    at[f.engine.shard_of(id)] = id;
    found |= 1 << f.engine.shard_of(id);
  }
  class Leaving final : public Subscriber {
   public:
    void deliver(const std::shared_ptr<const EventBatch>&) noexcept override {}
    void close(errc) noexcept override { closed.count_down(); }
    std::latch closed{1};
  };
  const auto first = std::make_shared<Leaving>();
  const Subscription kept = f.subscribe(advisor, at[0], first);
  // The second shard answers only when the first has said good-bye.
  std::latch blocked{1};
  boost::asio::post(f.engine.shard_context(1), [&] {
    blocked.count_down();
    first->closed.wait();
  });
  blocked.wait();
  std::promise<void> answered;
  f.engine.async_subscribe(advisor, at[1], std::make_shared<Leaving>(), {},
                           boost::asio::bind_executor(f.engine.shard_context(0).get_executor(),
                                                      [&](const result<Subscription>&) { answered.set_value(); }));
  f.engine.close();
  CHECK(answered.get_future().wait_for(std::chrono::seconds(0)) == std::future_status::ready);
}

TEST_CASE("a look-up does not wait for long reads") {
  // Each list waits until it may go on; there are more of them than readers.
  class Slow final : public Gate {
   public:
    result<std::vector<ConversationSummary>> list_conversations(const ConversationQuery& query) override {
      begun.count_down();
      go_on.wait();
      return Gate::list_conversations(query);
    }
    std::latch begun{2};
    std::latch go_on{1};
  };
  auto storage = std::make_unique<Slow>();
  Slow& slow = *storage;
  EngineOptions options;
  options.readers = 2;
  options.token_cache_entries = 0;
  Running f(options, std::move(storage));
  const IssuedToken issued =
      get(f.engine.async_issue_token({"org-1", "client-1", "trip-1", f.open()}, use_future)).value();
  std::vector<std::future<result<std::vector<ConversationSummary>>>> lists;
  for (int i = 0; i < 2; ++i) lists.push_back(f.engine.async_list_conversations({"org-1"}, use_future));
  slow.begun.wait();
  CHECK(get(f.engine.async_authenticate_token(issued.token, use_future)).has_value());
  CHECK(get(f.engine.async_ping(use_future)).has_value());
  slow.go_on.count_down();
  for (auto& list : lists) CHECK(get(std::move(list)).has_value());
}

}  // namespace travelchat::test
