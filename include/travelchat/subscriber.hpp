// Whoever listens to a conversation or an inbox: a socket, a Python iterator, a test.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/event.hpp>

#include <memory>

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
  // read). Nothing is delivered afterwards.
  virtual void close(errc reason) noexcept = 0;
};

}  // namespace travelchat
