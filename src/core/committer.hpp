// The one thread that writes: it takes whatever queued while the last transaction became durable, commits it as one,
// and says what became of each write. What the storage postpones is given to it again a moment later, with whatever
// else there is then; later writes of the same conversation wait behind it.
#pragma once

#include "core/logger.hpp"

#include <travelchat/storage.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace travelchat::detail {

// A write, and the operation that waits for it.
class Job {
 public:
  explicit Job(Write command) : write(std::move(command)) {}
  virtual ~Job() = default;
  Write write;
};

class Committer {
 public:
  // Called on the committer's thread with the jobs of one transaction, in order, and their results. `failed` is set
  // when the whole of it failed; then `results` is empty.
  using Settle = std::function<void(std::vector<std::unique_ptr<Job>> jobs, error_code failed,
                                    std::vector<result<Written>>& results)>;

  // `max_queue`: jobs that may wait, the postponed ones included; `push` refuses more.
  Committer(Storage& storage, std::size_t max_queue, std::size_t max_batch, Settle settle, Logger logger = {});
  ~Committer();  // stop()

  // Any thread. `errc::overloaded`: the queue is full; `errc::closed`: stopped. Then `job` is still the caller's.
  error_code push(std::unique_ptr<Job>& job);
  // As many of them as there is room for, in order; the others stay in `jobs`, and the reason is returned.
  error_code push(std::vector<std::unique_ptr<Job>>& jobs);
  // Carries out what is queued, then joins. Any thread but its own.
  void stop();
  std::size_t queued() const;

 private:
  using Jobs = std::vector<std::unique_ptr<Job>>;

  void run();
  // Jobs of the next transaction: some postponed ones if it is their time, then new ones. False: stopped, and nothing
  // is left.
  bool take(Jobs& batch);
  void take_postponed(Jobs& batch);
  // Moves the jobs that the storage has postponed out of `jobs` and `results`.
  void put_off(Jobs& jobs, std::vector<result<Written>>& results);
  error_code commit(std::span<const Write> writes, std::vector<result<Written>>& results) noexcept;

  Storage& storage_;
  const std::size_t max_queue_;
  const std::size_t max_batch_;
  const Settle settle_;
  const Logger logger_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Jobs queue_;
  bool waiting_ = false;
  bool stopping_ = false;
  // Of the committer's thread. By detail::order_key; none is empty.
  std::map<std::string, std::deque<std::unique_ptr<Job>>> postponed_;
  std::string last_retried_;
  std::chrono::steady_clock::time_point retry_at_;
  std::size_t retried_ = 0;                      // of the transaction under way
  std::atomic<std::size_t> postponed_count_{0};  // these included
  std::thread thread_;
};

}  // namespace travelchat::detail
