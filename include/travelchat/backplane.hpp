// How the nodes of one deployment tell each other of changes when they share a storage.
//
// A backplane only carries hints. The storage has the data: a node that missed a message notices by its conversation's
// revision and reads what happened. So a backplane may lose messages, repeat them, and mix those of different senders;
// messages of one sender on one topic arrive in the order in which they were published.
#pragma once

#include <travelchat/types.hpp>

#include <cstddef>
#include <string_view>

namespace travelchat {

// Receives the messages of other nodes. Called on threads of the backplane's, several calls at once, those of one topic
// one at a time. Every call returns at once. None comes after `Backplane::stop` has returned.
class BackplaneListener {
 public:
  virtual ~BackplaneListener() = default;

  // Something that another node has published. `payload` lives until the call returns.
  virtual void received(const Uuid& topic, std::string_view payload) noexcept = 0;
  // What is published on this topic from now on is heard; what was published before may have been missed. Follows each
  // `join`; while the link is down, once it is up.
  virtual void joined(const Uuid& topic) noexcept = 0;
  // Messages of any topic may have been lost: the link is back, or they came faster than they were taken.
  virtual void missed() noexcept = 0;
};

// The engine owns it, starts it once before anything else, and stops it before it ends. All other calls: any thread, at
// any time in between; they return at once and report no failure, since a lost hint does no harm.
class Backplane {
 public:
  virtual ~Backplane() = default;

  // `listener` outlives the call of `stop`.
  virtual void start(BackplaneListener& listener) = 0;
  // Leaves every topic and ends the backplane's threads. Idempotent. Not from within a call of the listener.
  virtual void stop() noexcept = 0;

  // From now on the listener hears what others publish on this topic. Idempotent.
  virtual void join(const Uuid& topic) noexcept = 0;
  virtual void leave(const Uuid& topic) noexcept = 0;
  // To every other node that has joined the topic; never to this one. Dropped while the link is down.
  virtual void publish(const Uuid& topic, std::string_view payload) noexcept = 0;

  // Whether messages can pass at this moment.
  virtual bool is_up() const noexcept = 0;
  // A longer payload is not carried.
  virtual std::size_t max_payload() const noexcept = 0;
};

}  // namespace travelchat
