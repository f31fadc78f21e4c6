#include "fair_pool.hpp"

#include <algorithm>
#include <utility>

namespace travel_lab {

FairPool::FairPool(std::size_t threads, std::size_t max_waiting) : max_waiting_(max_waiting) {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

FairPool::~FairPool() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_all();
}

void FairPool::submit(std::string asker, Standing standing, Job job) {
  Job dropped;
  {
    const std::lock_guard lock(mutex_);
    auto own = std::ranges::find(turns_, asker, &Asker::name);
    bool has_room = waiting_ < max_waiting_;
    if (!has_room) {
      if (Asker* victim = find_victim(own == turns_.end() ? 0 : own->jobs.size(), standing)) {
        dropped = std::move(victim->jobs.back());
        victim->jobs.pop_back();
        --waiting_;
        if (victim->jobs.empty()) turns_.remove_if([victim](const Asker& each) { return &each == victim; });
        has_room = true;
      }
    }
    if (has_room) {
      if (own == turns_.end()) own = turns_.insert(turns_.end(), Asker{std::move(asker), standing, {}});
      own->jobs.push_back(std::move(job));
      ++waiting_;
    } else {
      dropped = std::move(job);
    }
  }
  wake_.notify_one();
  if (dropped.drop) dropped.drop();
}

FairPool::Asker* FairPool::find_victim(std::size_t own_jobs, Standing standing) {
  Asker* victim = nullptr;
  for (Asker& each : turns_) {
    const auto rank = [](const Asker& one) { return std::pair(one.jobs.size(), one.standing == Standing::stranger); };
    if (victim == nullptr || rank(each) >= rank(*victim)) victim = &each;
  }
  if (victim == nullptr) return nullptr;
  const std::size_t jobs = victim->jobs.size();
  const bool yields = standing == Standing::known && victim->standing == Standing::stranger;
  return jobs > own_jobs + 1 || (yields && jobs > own_jobs) ? victim : nullptr;
}

void FairPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return is_stopping_ || !turns_.empty(); });
    if (turns_.empty()) return;
    Asker& next = turns_.front();
    const Job job = std::move(next.jobs.front());
    next.jobs.pop_front();
    --waiting_;
    if (next.jobs.empty()) {
      turns_.pop_front();
    } else {
      turns_.splice(turns_.end(), turns_, turns_.begin());
    }
    lock.unlock();
    job.run();
    lock.lock();
  }
}

}  // namespace travel_lab
