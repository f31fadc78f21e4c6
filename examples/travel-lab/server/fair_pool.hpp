// Threads for expensive work that anybody may request (password hashes), shared fairly: who requests much delays only
// themselves.
//
// Askers take turns, one job each. When the queue is full, an asker with fewer waiting jobs than another one gets a
// place: the other one's newest job is dropped. So nobody occupies the whole queue while others wait, and a single
// asker may use all of it.
//
// Owner: main. `submit` from any thread. Destroy it while everything that queued work still uses is alive.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace travel_lab {

class FairPool {
 public:
  // Exactly one of them is called, and none may throw: `run` on one of the threads, or `drop` on a thread that submits.
  struct Job {
    std::function<void()> run;
    std::function<void()> drop;
  };
  // Where two have equally many jobs, the known one is preferred to the stranger.
  enum class Standing : std::uint8_t { stranger, known };

  // At most `max_waiting` jobs wait; what runs is not counted.
  FairPool(std::size_t threads, std::size_t max_waiting);
  FairPool(const FairPool&) = delete;
  FairPool& operator=(const FairPool&) = delete;
  // Finishes the jobs that wait.
  ~FairPool();

  void submit(std::string asker, Standing standing, Job job);

 private:
  struct Asker {
    std::string name;
    Standing standing;
    std::list<Job> jobs;  // never empty
  };

  // The asker whose newest job must make room for one more of an asker with `own_jobs`; null: none.
  Asker* find_victim(std::size_t own_jobs, Standing standing);
  void work();

  const std::size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::list<Asker> turns_;  // the next one in front; at most `max_waiting_`, few enough for a linear search
  std::size_t waiting_ = 0;
  bool is_stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace travel_lab
