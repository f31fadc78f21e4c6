// Threads for work that takes long or blocks (password hashes, session rows), so that no I/O thread ever does.
//
// Owner: main. `submit` from any thread. Destroy it while everything that queued work still uses is alive.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace travel_lab {

class WorkerPool {
 public:
  // At most `max_queued` jobs wait; what runs is not counted.
  WorkerPool(std::size_t threads, std::size_t max_queued);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  // Finishes the jobs that were accepted.
  ~WorkerPool();

  // False when the queue is full; the job is then dropped. Jobs must not throw.
  [[nodiscard]] bool submit(std::function<void()> job);

 private:
  void work();

  const std::size_t max_queued_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool is_stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace travel_lab
