// A subscriber that remembers what it heard, and lets a test wait for it.
#pragma once

#include <travelchat/subscriber.hpp>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <vector>

namespace travelchat::test {

class Recorder : public Subscriber {
 public:
  void deliver(const std::shared_ptr<const EventBatch>& batch) noexcept override {
    const std::lock_guard lock(mutex_);
    events_.insert(events_.end(), batch->events().begin(), batch->events().end());
    changed_.notify_all();
  }

  void close(errc reason) noexcept override {
    const std::lock_guard lock(mutex_);
    closed_ = reason;
    changed_.notify_all();
  }

  // The events as soon as `enough` holds for them; throws when that takes over 20 seconds.
  std::vector<Event> wait(const std::function<bool(const std::vector<Event>&)>& enough) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds{20}, [&] { return enough(events_); })) {
      throw std::runtime_error("the events waited for did not come");
    }
    return events_;
  }

  std::vector<Event> wait_for(std::size_t count) {
    return wait([count](const auto& events) { return events.size() >= count; });
  }

  // As soon as an event of revision `rev` (or a later one) is there.
  std::vector<Event> wait_for_rev(std::uint64_t rev) {
    return wait([rev](const auto& events) { return !events.empty() && revision(events.back()) >= rev; });
  }

  errc wait_for_close() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds{20}, [&] { return closed_.has_value(); })) {
      throw std::runtime_error("nobody closed the subscriber");
    }
    return *closed_;
  }

  std::vector<Event> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;
  std::optional<errc> closed_;
};

}  // namespace travelchat::test
