#include "core/committer.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace travelchat::detail {

Committer::Committer(Storage& storage, std::size_t max_queue, std::size_t max_batch, Settle settle)
    : storage_(storage),
      max_queue_(max_queue),
      max_batch_(std::max<std::size_t>(max_batch, 1)),
      settle_(std::move(settle)),
      thread_([this] { run(); }) {}

Committer::~Committer() {
  stop();
}

error_code Committer::push(std::unique_ptr<Job>& job) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return errc::closed;
    if (queue_.size() >= max_queue_) return errc::overloaded;
    queue_.push_back(std::move(job));
    wake = std::exchange(waiting_, false);
  }
  if (wake) wake_.notify_one();
  return {};
}

void Committer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::size_t Committer::queued() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

// A storage may be foreign code: what it throws, or a result that it left out, fails the transaction.
error_code Committer::commit(std::span<const Write> writes, std::vector<result<Written>>& results) noexcept {
  try {
    const error_code failed = storage_.commit(writes, results);
    if (!failed && results.size() != writes.size()) return errc::storage_failed;
    return failed;
  } catch (...) {
    return errc::storage_failed;
  }
}

void Committer::run() {
  std::vector<std::unique_ptr<Job>> taken;
  std::vector<Write> writes;
  std::vector<result<Written>> results;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      while (queue_.empty() && !stopping_) {
        waiting_ = true;
        wake_.wait(lock);
      }
      waiting_ = false;
      if (queue_.empty()) return;
      if (queue_.size() <= max_batch_) {
        taken.swap(queue_);
      } else {
        const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(max_batch_);
        taken.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
        queue_.erase(queue_.begin(), end);
      }
    }
    writes.clear();
    results.clear();
    for (const auto& job : taken) writes.push_back(std::move(job->write));
    const error_code failed = commit(writes, results);
    if (failed) results.clear();
    // The senders' typing ends with what they sent: the job keeps its command.
    for (std::size_t i = 0; i < taken.size(); ++i) taken[i]->write = std::move(writes[i]);
    settle_(std::move(taken), failed, results);
    taken.clear();
  }
}

}  // namespace travelchat::detail
