// One Python listener's events, from the shard that delivers them to the thread that iterates over them.
#pragma once

#include "arrival_queue.hpp"

#include <travelchat/subscriber.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

namespace travelchat::python {

// Shared by the engine's room and by Python. It wakes its reader only when that has found it empty.
//
// Bounded by `max_pending` events. At one more, all that wait are replaced by a Resync up to the newest revision (and
// the last typing state, which is not sent again by itself); what comes later follows as usual.
class Feed final : public Subscriber {
 public:
  Feed(const std::shared_ptr<ArrivalQueue>& queue, std::uint64_t token, std::size_t max_pending)
      : queue_(queue), token_(token), max_pending_(max_pending) {}

  void deliver(const std::shared_ptr<const EventBatch>& batch) noexcept override;
  void close(errc reason) noexcept override;
  // Called when the reader ends it: wakes a thread that waits. Does nothing in a forked child, where nothing is
  // delivered.
  void end() noexcept;

  // The oldest events, at most `max_events`, as a Python list. Empty: nothing has come, and the reader will be woken
  // when something does. Needs the GIL. RuntimeError in a forked child.
  py::list take(std::size_t max_events);
  // Why the engine ended this feed; empty while it goes on. What waits can still be taken. RuntimeError in a forked
  // child.
  std::optional<errc> closed() const;

 private:
  struct Waiting {
    std::shared_ptr<const EventBatch> batch;
    std::size_t next = 0;  // events before it are taken
  };

  void wake_if_awaited(std::unique_lock<std::mutex> lock) noexcept;

  // Weak, because the queue may hold the subscription that holds this feed.
  const std::weak_ptr<ArrivalQueue> queue_;
  const std::uint64_t token_;
  const std::size_t max_pending_;
  // In a child the mutex may be held by a thread that does not exist there.
  const SinceFork since_fork_;

  mutable std::mutex mutex_;
  std::deque<Waiting> waiting_;
  std::size_t pending_ = 0;
  ResyncPoint newest_;
  std::optional<errc> closed_;
  bool is_awaited_ = false;
};

}  // namespace travelchat::python
