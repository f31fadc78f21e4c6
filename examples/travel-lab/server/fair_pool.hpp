// Threads for work that costs much and that anybody may ask for (password hashes): whoever asks often waits for itself.
//
// Those who ask take turns, one job each. When as many jobs wait as may, room is made for whoever has fewer of them
// waiting than somebody else has: that one's newest job is dropped. So nobody occupies the whole queue, and what an
// asker who is alone may use is all of it.
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
  // Where two have equally many jobs waiting, the known one gets the place of a stranger.
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

  // What has to make room for one more of this asker's; null: nobody.
  Asker* find_victim(std::size_t own_jobs, Standing standing);
  void work();

  const std::size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::list<Asker> turns_;  // whoever is next in front; at most `max_waiting_`, so they are searched one by one
  std::size_t waiting_ = 0;
  bool is_stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace travel_lab
