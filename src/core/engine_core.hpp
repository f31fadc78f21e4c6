// What a ChatEngine is made of. Shared with its subscriptions, which may outlive it; they do nothing once it is closed.
#pragma once

#include "core/active_calls.hpp"
#include "core/committer.hpp"
#include "core/logger.hpp"
#include "core/shard.hpp"
#include "core/token_cache.hpp"

#include <travelchat/engine.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace travelchat::detail {

// Spelled out, since result<T>'s converting constructors are ambiguous for an arithmetic T.
template <class T>
result<T> error(error_code code) {
  return result<T>(boost::system::in_place_error, code);
}
template <class T>
result<T> error(errc code) {
  return error<T>(make_error_code(code));
}

// A write, and the completion that turns what it brought into an answer.
class EngineJob : public Job {
 public:
  using Job::Job;
  // Invokes the handler; on a thread where that is allowed.
  virtual void complete(result<Written> written) = 0;
  // The executor for `complete`; empty: any.
  virtual const boost::asio::any_io_executor& executor() const noexcept = 0;
};

class EngineCore final : public std::enable_shared_from_this<EngineCore>, private BackplaneListener {
 public:
  EngineCore(std::unique_ptr<Storage> storage, EngineOptions options, std::unique_ptr<Backplane> backplane);
  ~EngineCore() override;

  void start();
  void close();
  // After `close`: ends the contexts, with them whatever handlers they still hold, and the storage. What is left does
  // nothing: subscriptions may keep it.
  void dismantle();

  bool closed() const noexcept { return active_calls_.ended(); }
  const EngineOptions& options() const noexcept { return options_; }
  const Logger& logger() const noexcept { return logger_; }
  Storage& storage() noexcept { return *storage_; }
  TokenCache& tokens() noexcept { return tokens_; }
  // Null: the storage has none.
  StorageUpkeep* upkeep() noexcept { return upkeep_; }
  EventEncoder& encoder() noexcept { return encoder_; }
  std::size_t shard_count() const noexcept { return shards_.size(); }
  std::size_t shard_of(const Uuid& room) const noexcept { return std::hash<Uuid>{}(room) % shards_.size(); }
  Shard& shard(std::size_t index) noexcept { return *shards_[index]; }
  EngineStats stats() const noexcept;
  BackplaneState backplane_state() const noexcept;
  bool has_other_writers() const noexcept { return backplane_ != nullptr; }

  // Completes later, through the handler's executor.
  template <class T>
  void finish(Completion<T> completion, result<T> value) {
    const ActiveCalls::Call call(active_calls_);
    const boost::asio::any_io_executor executor = executor_or_own(completion.executor, call);
    finish_on(executor, std::move(completion), std::move(value));
  }
  // The same for what was accepted, from a thread that `close` waits for before `home` ends.
  template <class T>
  void finish_accepted(Completion<T> completion, result<T> value, Shard& home) {
    const boost::asio::any_io_executor executor =
        completion.executor ? completion.executor : home.context().get_executor();
    finish_on(executor, std::move(completion), std::move(value));
  }

  // Threads that read, and how much may wait for them.
  struct ReaderLane {
    ReaderLane(std::size_t threads, std::size_t most) : pool(threads), max_queued(most) {}
    boost::asio::thread_pool pool;
    const std::size_t max_queued;
    std::atomic<std::size_t> queued{0};

    bool reserve() noexcept {
      if (queued.fetch_add(1) < max_queued) return true;
      --queued;
      return false;
    }
    void release() noexcept { --queued; }
  };

  // Runs `read(storage)` on a reader thread and completes with what it returns.
  template <class T, class Read>
  void read(Completion<T> completion, Read read) {
    read_on<T>(readers_, std::move(completion), std::move(read));
  }
  // The same for a look-up that takes no time and that others wait for: long reads are not in its way.
  template <class T, class Read>
  void look_up(Completion<T> completion, Read read) {
    read_on<T>(lookups_, std::move(completion), std::move(read));
  }

  // Queues a write; `answer(Written&)` makes the T of the completion.
  template <class T, class Answer>
  void write(Completion<T> completion, Write command, Answer answer);

  struct Listening {
    Uuid room;
    std::string inbox_of;  // the organization; empty: a conversation's room
    Participant listener;  // of a conversation
    std::shared_ptr<Subscriber> subscriber;
    std::optional<std::uint64_t> since_rev;
    std::optional<Uuid> epoch;  // of `since_rev`
    Credential credential;
    std::optional<Conversation> known;
    std::optional<std::vector<ConversationSummary>> known_list;  // of an inbox
  };
  void subscribe(Completion<Subscription> completion, Listening listening);
  // Ends them here and tells the other nodes. Any thread.
  void end_credentials(const std::vector<Sha256Digest>& digests);
  void refresh(const Uuid& conversation);
  // Deletes changes beyond what is kept, step by step, so that other reads and writes find their turn in between.
  void prune(Completion<std::uint64_t> completion);
  void begin_epoch(Completion<Uuid> completion);
  // Takes the epoch that each read of a conversation brings along: when it is another one than before, the listeners
  // are told.
  void note_epoch(const std::optional<Uuid>& epoch);
  void leave(std::size_t shard, const Uuid& room, std::uint64_t key) noexcept;
  void set_typing(std::size_t shard, const Uuid& room, std::uint64_t key, bool is_typing);

 private:
  template <class T, class Read>
  void read_on(ReaderLane& lane, Completion<T> completion, Read read) {
    const ActiveCalls::Call call(active_calls_);
    if (!call) return finish<T>(std::move(completion), error<T>(errc::closed));
    if (!lane.reserve()) return finish<T>(std::move(completion), error<T>(errc::overloaded));
    boost::asio::post(lane.pool, [this, &lane, completion = std::move(completion), read = std::move(read)]() mutable {
      result<T> value = guarded<T>("read", [&] { return read(*storage_); });
      note_epoch_of(value);
      lane.release();
      finish_accepted<T>(std::move(completion), std::move(value), *shards_.front());
    });
  }
  template <class T>
  static void finish_on(const boost::asio::any_io_executor& executor, Completion<T> completion, result<T> value) {
    boost::asio::post(executor, [handler = std::move(completion.handler), value = std::move(value)]() mutable {
      std::move(handler)(std::move(value));
    });
  }
  // The handler's own executor, else one of the engine's; once that closes, the one of the thread that asks if it is an
  // engine's, else Asio's, which has threads for the rest of the process.
  boost::asio::any_io_executor executor_or_own(const boost::asio::any_io_executor& wanted,
                                               const ActiveCalls::Call& call) const;

  // A storage may be foreign code: what it throws becomes an error.
  template <class T, class Call>
  result<T> guarded(std::string_view subject, Call call) const noexcept {
    try {
      result<T> value = call();
      if (!value) logger_.storage_answered(value.error(), subject);
      return value;
    } catch (...) {
      logger_.caught("storage_threw", subject);
      return error<T>(errc::storage_failed);
    }
  }

  template <class T>
  void note_epoch_of(const result<T>& value) {
    if constexpr (requires { value->epoch; }) {
      if (value) note_epoch(value->epoch);
    }
  }
  result<Pruned> prune_step(const Uuid& after);
  void prune_after(Completion<std::uint64_t> completion, Uuid after, std::uint64_t count);
  void prune_in_background(const Uuid& after);

  // Runs `read(storage)` on a reader thread, then `done(result<T>)` on the shard.
  template <class T, class Read, class Done>
  void read_for_shard(std::size_t shard, Read read, Done done);
  class ReadsOfShard;
  void join_conversation(Completion<Subscription> completion, Listening listening, std::size_t shard,
                         const Conversation& conversation);
  void join(Completion<Subscription> completion, Listening listening, std::size_t shard);
  void end_credentials_here(const std::vector<Sha256Digest>& digests);
  void tell_others_ended(const std::vector<Sha256Digest>& digests);
  // Gives it to the committer: at once, or on a shard's thread once the handlers that are ready now have run, so that
  // what many clients wrote at the same time becomes one transaction, and one wake-up.
  void enqueue(std::unique_ptr<Job> job);
  void hand_over(std::size_t shard);
  void refuse(std::unique_ptr<Job> job, error_code reason);
  void settle(std::vector<std::unique_ptr<Job>> jobs, error_code failed, std::vector<result<Written>>& results);
  void publish_to_others(Publication& publication);
  void publish_row(ConversationSummary row);
  void schedule_sweep();

  // BackplaneListener
  void received(const Uuid& topic, std::string_view payload) noexcept override;
  void joined(const Uuid& topic) noexcept override;
  void missed() noexcept override;

  std::unique_ptr<Storage> storage_;
  StorageUpkeep* const upkeep_;
  std::mutex upkeep_turn_;                // one call at a time
  const bool has_other_nodes_;            // the engine was given a backplane
  std::unique_ptr<Backplane> backplane_;  // null: nobody else writes
  const EngineOptions options_;
  const Logger logger_;
  EventEncoder encoder_;
  TokenCache tokens_;
  std::vector<std::unique_ptr<Shard>> shards_;
  ReaderLane readers_;
  ReaderLane lookups_;
  std::unique_ptr<Committer> committer_;
  // Writes of one round of a shard's loop, until they are handed over: by the shard, or by `close`.
  struct Round {
    std::mutex mutex;
    std::vector<std::unique_ptr<Job>> writes;
  };
  std::vector<Round> rounds_;  // by shard
  std::optional<boost::asio::steady_timer> sweep_timer_;
  std::optional<boost::asio::steady_timer> prune_timer_;
  std::mutex epoch_mutex_;
  std::optional<Uuid> epoch_;  // the storage's, when last read
  std::mutex closing_;
  // Calls from other threads that post to a shard or a reader, so that `close` can wait until they have posted.
  mutable ActiveCalls active_calls_;
  std::atomic<std::size_t> queued_hints_{0};
  std::atomic<bool> hints_dropped_{false};
  std::atomic<std::uint64_t> messages_{0};
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::uint64_t> writes_{0};
  std::atomic<std::uint64_t> failed_commits_{0};
};

// The room that stands for an organization's inbox: a digest, so that every room has a key of one shape.
Uuid inbox_room(std::string_view org_id) noexcept;

template <class T, class Answer>
void EngineCore::write(Completion<T> completion, Write command, Answer answer) {
  class WaitingJob final : public EngineJob {
   public:
    WaitingJob(Completion<T> waiting, Write write_command, Answer make_answer)
        : EngineJob(std::move(write_command)), waiting_(std::move(waiting)), answer_(std::move(make_answer)) {}

    void complete(result<Written> written) override {
      if (written) {
        std::move(waiting_.handler)(result<T>(answer_(*written)));
      } else {
        std::move(waiting_.handler)(error<T>(written.error()));
      }
    }
    const boost::asio::any_io_executor& executor() const noexcept override { return waiting_.executor; }

   private:
    Completion<T> waiting_;
    Answer answer_;
  };

  enqueue(std::make_unique<WaitingJob>(std::move(completion), std::move(command), std::move(answer)));
}

}  // namespace travelchat::detail
