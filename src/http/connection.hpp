// One connection of a server, of whatever kind, as its event loop sees it.
//
// Belongs to the loop's thread, and keeps the server alive.
#pragma once

#include "http/outbox.hpp"

#include <boost/intrusive/list.hpp>

#include <chrono>
#include <cstddef>
#include <memory>

namespace travelchat::http {

class EventLoop;
class Server;

using SteadyTime = std::chrono::steady_clock::time_point;

// The times of one tick.
struct Now {
  SteadyTime steady;
  std::chrono::sys_time<std::chrono::milliseconds> utc;
};

// Registered with its loop while it exists.
class Connection : public OutboxOwner, public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(EventLoop& loop);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection();

  // Looks at its deadlines; there is no timer of its own.
  virtual void tick(const Now& now) = 0;
  // The server stops: finishes what was begun, then closes.
  virtual void drain() = 0;
  // Closes at once.
  virtual void abort() = 0;

  std::shared_ptr<void> outbox_lifetime() final { return shared_from_this(); }
  // For those that have an outbox.
  void outbox_drained() override {}
  void outbox_broken() override {}

 private:
  // Declared first, so that it is destroyed last: the loop belongs to the server and is used until then.
  std::shared_ptr<Server> server_;

 protected:
  EventLoop& loop_;

 private:
  friend class EventLoop;
  std::size_t index_ = 0;
};

// A connection that waits for a request or its head. The loop lists these, the one that has waited longest first.
class IdleConnection
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // Ends, so that another connection can have its slot. False: it is still sending an answer.
  virtual bool try_end() = 0;

 protected:
  ~IdleConnection() = default;
};

}  // namespace travelchat::http
