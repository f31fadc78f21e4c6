// Whoever listens to a conversation or an inbox: a socket, a Python iterator, a test.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/event.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace travelchat {

// Implemented by the embedder; shared with the engine from subscribe to unsubscribe. The engine calls it on the
// conversation's shard thread only, one call at a time. Both calls must return at once: a slow reader queues (bounded)
// and disconnects itself; it never blocks the shard.
class Subscriber {
 public:
  virtual ~Subscriber() = default;

  // Events in `rev` order. The batch may be kept.
  virtual void deliver(const std::shared_ptr<const EventBatch>& batch) noexcept = 0;

  // The engine ends this subscription (`errc::closed`: it shuts down; `errc::storage_failed`: its history could not be
  // read; `errc::unauthenticated`: its credential has ended). Nothing is delivered afterwards.
  virtual void close(errc reason) noexcept = 0;
};

// For a subscriber that gathers events for a reader, who may fall behind: what stands for all that were delivered and
// that the reader is not given any more. So it goes on listening where it would else have to disconnect. One thread at
// a time.
class ResyncPoint {
 public:
  // Each event that is delivered, in order.
  void note(const Event& event) noexcept;
  // A Resync up to the newest revision (0 for an inbox, which has none), and who types, which nothing repeats.
  std::vector<Event> events() const;

 private:
  std::uint64_t rev_ = 0;
  std::optional<Uuid> epoch_;  // what that is of, as far as it was told
  std::optional<TypingChanged> typing_;
};

}  // namespace travelchat
