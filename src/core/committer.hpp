// The one thread that writes: it takes whatever queued while the last transaction became durable, commits it as one,
// and says what became of each write.
#pragma once

#include <travelchat/storage.hpp>

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace travelchat::detail {

// A write and whoever waits for it.
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

  // `max_queue`: jobs that may wait; `push` refuses more.
  Committer(Storage& storage, std::size_t max_queue, std::size_t max_batch, Settle settle);
  ~Committer();  // stop()

  // Any thread. `errc::overloaded`: the queue is full; `errc::closed`: stopped. Then `job` is still the caller's.
  error_code push(std::unique_ptr<Job>& job);
  // Carries out what is queued, then joins. Any thread but its own.
  void stop();
  std::size_t queued() const;

 private:
  void run();
  error_code commit(std::span<const Write> writes, std::vector<result<Written>>& results) noexcept;

  Storage& storage_;
  const std::size_t max_queue_;
  const std::size_t max_batch_;
  const Settle settle_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::unique_ptr<Job>> queue_;
  bool waiting_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace travelchat::detail
