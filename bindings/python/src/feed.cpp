#include "feed.hpp"

#include "records.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace travelchat::python {

void Feed::deliver(const std::shared_ptr<const EventBatch>& batch) noexcept {
  std::unique_lock lock(mutex_);
  for (const Event& event : batch->events()) newest_.note(event);
  pending_ += batch->events().size();
  waiting_.push_back({batch});
  if (pending_ > max_pending_) {
    std::vector<Event> rest = newest_.events();
    pending_ = rest.size();
    waiting_.clear();
    waiting_.push_back({std::make_shared<const EventBatch>(std::move(rest), nullptr)});
  }
  wake_if_awaited(std::move(lock));
}

void Feed::close(errc reason) noexcept {
  std::unique_lock lock(mutex_);
  closed_ = reason;
  wake_if_awaited(std::move(lock));
}

void Feed::end() noexcept {
  if (since_fork_.same_process()) close(errc::closed);
}

void Feed::wake_if_awaited(std::unique_lock<std::mutex> lock) noexcept {
  if (!std::exchange(is_awaited_, false)) return;
  lock.unlock();
  if (const auto queue = queue_.lock()) queue->put({token_, FeedReady{}});
}

py::list Feed::take(std::size_t max_events) {
  since_fork_.check("subscription");
  std::vector<Waiting> taken;
  std::size_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    while (!waiting_.empty() && count < max_events) {
      Waiting& first = waiting_.front();
      const std::size_t left = first.batch->events().size() - first.next;
      const std::size_t now = std::min(left, max_events - count);
      taken.push_back(first);
      count += now;
      first.next += now;
      if (now == left) waiting_.pop_front();
    }
    pending_ -= count;
    if (count == 0) is_awaited_ = !closed_.has_value();
  }
  py::list events(count);
  std::size_t at = 0;
  for (const Waiting& part : taken) {
    const auto& all = part.batch->events();
    for (std::size_t i = part.next; i < all.size() && at < count; ++i) events[at++] = to_python(all[i]);
  }
  return events;
}

std::optional<errc> Feed::closed() const {
  since_fork_.check("subscription");
  const std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace travelchat::python
