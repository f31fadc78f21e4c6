// A listener to a conversation or an inbox: a socket, a Python iterator, a test.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/event.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace travelchat {

// Implemented by the embedder; shared with the engine from subscribe to unsubscribe. The engine calls it on the
// conversation's shard thread only, one call at a time. Both calls must return at once and never block the shard: a
// slow reader has a bounded queue of its own, and disconnects when that is full.
class Subscriber {
 public:
  virtual ~Subscriber() = default;

  // Events in `rev` order. The batch may be kept.
  virtual void deliver(const std::shared_ptr<const EventBatch>& batch) noexcept = 0;

  // The engine ends this subscription (`errc::closed`: it shuts down; `errc::storage_failed`: its history could not be
  // read; `errc::unauthenticated`: its credential has ended). Nothing is delivered afterwards.
  virtual void close(errc reason) noexcept = 0;
};

// For a subscriber that queues events for a reader who may fall behind: the events that replace a queue which was
// dropped, so that the subscriber need not disconnect. One thread at a time.
class ResyncPoint {
 public:
  // Each event that is delivered, in order.
  void note(const Event& event) noexcept;
  // A Resync up to the newest revision (0 for an inbox, which has none), and the last typing state, which is not sent
  // again by itself.
  std::vector<Event> events() const;

 private:
  std::uint64_t rev_ = 0;
  std::optional<Uuid> epoch_;  // of `rev_`, as far as it was told
  std::optional<TypingChanged> typing_;
};

}  // namespace travelchat
