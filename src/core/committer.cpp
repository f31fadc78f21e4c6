#include "core/committer.hpp"

#include "core/rules.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace travelchat::detail {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds retry_pause{25};
// Postponed writes of one conversation that are tried again in one transaction: others must find room in it, too.
constexpr std::size_t max_retried = 32;

}  // namespace

Committer::Committer(Storage& storage, std::size_t max_queue, std::size_t max_batch, Settle settle, Logger logger)
    : storage_(storage),
      max_queue_(max_queue),
      max_batch_(std::max<std::size_t>(max_batch, 1)),
      settle_(std::move(settle)),
      logger_(std::move(logger)),
      thread_([this] { run(); }) {}

Committer::~Committer() {
  stop();
}

error_code Committer::push(std::unique_ptr<Job>& job) {
  Jobs one;
  one.push_back(std::move(job));
  const error_code refused = push(one);
  if (refused) job = std::move(one.front());
  return refused;
}

error_code Committer::push(Jobs& jobs) {
  bool wake = false;
  std::size_t taken = 0;
  error_code refused;
  {
    const std::lock_guard lock(mutex_);
    const std::size_t used = queue_.size() + postponed_count_;
    taken = stopping_ ? 0 : std::min(jobs.size(), max_queue_ - std::min(max_queue_, used));
    if (taken < jobs.size()) refused = stopping_ ? errc::closed : errc::overloaded;
    const auto end = jobs.begin() + static_cast<std::ptrdiff_t>(taken);
    queue_.insert(queue_.end(), std::make_move_iterator(jobs.begin()), std::make_move_iterator(end));
    wake = taken > 0 && std::exchange(waiting_, false);
  }
  if (wake) wake_.notify_one();
  jobs.erase(jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(taken));
  return refused;
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
  return queue_.size() + postponed_count_;
}

// A storage may be foreign code: what it throws, or a result that it left out, fails the transaction.
error_code Committer::commit(std::span<const Write> writes, std::vector<result<Written>>& results) noexcept {
  try {
    const error_code failed = storage_.try_commit(writes, results);
    if (failed) {
      logger_.storage_answered(failed, "commit");
      return failed;
    }
    if (results.size() != writes.size()) {
      logger_.write(LogLevel::error, "storage_failed", "commit",
                    "it answered another number of writes than it was given");
      return errc::storage_failed;
    }
    // A storage may run several transactions at once, and some may have failed. One of these errors is logged.
    const auto lost = std::find_if(results.begin(), results.end(), [](const result<Written>& answer) {
      return answer.has_error() && (answer.error() == errc::storage_failed || answer.error() == errc::storage_full);
    });
    if (lost != results.end()) logger_.storage_answered(lost->error(), "commit");
    return {};
  } catch (...) {
    logger_.caught("storage_threw", "commit");
    return errc::storage_failed;
  }
}

bool Committer::take(Jobs& batch) {
  std::unique_lock lock(mutex_);
  while (queue_.empty() && (postponed_.empty() ? !stopping_ : Clock::now() < retry_at_)) {
    waiting_ = true;
    if (postponed_.empty()) {
      wake_.wait(lock);
    } else {
      wake_.wait_until(lock, retry_at_);
    }
  }
  waiting_ = false;
  if (queue_.empty() && postponed_.empty()) return false;
  if (postponed_.empty() && queue_.size() <= max_batch_) {
    batch.swap(queue_);
    return true;
  }
  if (!postponed_.empty() && Clock::now() >= retry_at_) take_postponed(batch);
  std::size_t taken = 0;
  for (; taken < queue_.size() && batch.size() < max_batch_; ++taken) {
    auto& job = queue_[taken];
    const auto before = postponed_.empty() ? postponed_.end() : postponed_.find(detail::order_key(job->write));
    if (before == postponed_.end()) {
      batch.push_back(std::move(job));
    } else {
      before->second.push_back(std::move(job));
      ++postponed_count_;
    }
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(taken));
  return true;
}

// Leaves half of the batch to new jobs. A conversation's entry stays while its jobs are tried again, so that later
// writes of it still wait behind them.
void Committer::take_postponed(Jobs& batch) {
  const std::size_t room = std::max<std::size_t>(max_batch_ / 2, 1);  // `batch` is empty yet
  // Goes on after the conversation that was tried last, so that each gets its turn.
  auto next = postponed_.upper_bound(last_retried_);
  for (std::size_t turns = postponed_.size(); turns > 0 && batch.size() < room; --turns) {
    if (next == postponed_.end()) next = postponed_.begin();
    last_retried_ = next->first;
    auto& jobs = next->second;
    const auto count = static_cast<std::ptrdiff_t>(std::min({jobs.size(), max_retried, room - batch.size()}));
    batch.insert(batch.end(), std::make_move_iterator(jobs.begin()), std::make_move_iterator(jobs.begin() + count));
    jobs.erase(jobs.begin(), jobs.begin() + count);
    ++next;
  }
  retried_ = batch.size();
}

void Committer::put_off(Jobs& jobs, std::vector<result<Written>>& results) {
  std::map<std::string, Jobs> left;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (results[i].has_error() && results[i].error() == postponed()) {
      left[detail::order_key(jobs[i]->write)].push_back(std::move(jobs[i]));
      continue;
    }
    if (kept != i) {
      jobs[kept] = std::move(jobs[i]);
      results[kept] = std::move(results[i]);
    }
    ++kept;
  }
  jobs.resize(kept);
  results.erase(results.begin() + static_cast<std::ptrdiff_t>(kept), results.end());
  for (auto& [key, those] : left) {
    auto& waiting = postponed_[key];
    waiting.insert(waiting.begin(), std::make_move_iterator(those.begin()), std::make_move_iterator(those.end()));
    postponed_count_ += those.size();
  }
  if (!left.empty()) retry_at_ = Clock::now() + retry_pause;
}

void Committer::run() {
  Jobs batch;
  std::vector<Write> writes;
  std::vector<result<Written>> results;
  while (take(batch)) {
    if (batch.empty()) continue;
    writes.clear();
    results.clear();
    for (const auto& job : batch) writes.push_back(std::move(job->write));
    const error_code failed = commit(writes, results);
    if (failed) results.clear();
    // `settle_` needs the commands, for example to end a sender's typing.
    for (std::size_t i = 0; i < batch.size(); ++i) batch[i]->write = std::move(writes[i]);
    const bool has_left = std::any_of(results.begin(), results.end(), [](const result<Written>& answer) {
      return answer.has_error() && answer.error() == postponed();
    });
    if (has_left) put_off(batch, results);
    postponed_count_ -= std::exchange(retried_, 0);  // `put_off` has counted what was postponed again
    std::erase_if(postponed_, [](const auto& entry) { return entry.second.empty(); });
    if (!batch.empty()) settle_(std::move(batch), failed, results);
    batch.clear();
  }
}

}  // namespace travelchat::detail
