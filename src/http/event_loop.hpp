// What the connections on one of a server's threads share: the list of outboxes to flush, the clock tick, the read
// buffer and the counts.
//
// Owned by the server; everything but the counts belongs to the loop's thread. An application that has further state
// for each loop derives from it.
#pragma once

#include "http/connection.hpp"
#include "http/counters.hpp"

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::http {

class EventLoop {
 public:
  using Executor = boost::asio::io_context::executor_type;

  // `context` is run by one thread.
  EventLoop(Server& server, boost::asio::io_context& context);
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  virtual ~EventLoop();

  Server& server() const noexcept { return server_; }
  boost::asio::io_context& context() noexcept { return context_; }
  Executor executor() noexcept { return context_.get_executor(); }
  Counters& counters() noexcept { return counters_; }
  const Counters& counters() const noexcept { return counters_; }

  // A buffer for reads; its content lasts until the thread handles the next event.
  std::span<char> scratch() noexcept { return scratch_; }
  // The value of a Date header.
  std::string_view date();

  void start();
  void drain();
  // Closes every connection. None can be opened afterwards.
  void abort();
  bool draining() const noexcept { return draining_; }
  bool was_aborted() const noexcept { return aborted_; }

  // Outboxes.
  void list(Outbox& outbox);
  void unlist(Outbox& outbox) noexcept;

  // Adds a connection that waits for a request; it is in the list until it is unlinked.
  void add(IdleConnection& connection);
  // Ends the one that has waited longest. False: none can.
  bool end_longest_idle();

 protected:
  // Called after the ticks of the connections.
  virtual void on_tick(const Now&) {}
  // Called before `drain` and `abort` of the connections.
  virtual void on_drain() {}
  virtual void on_abort() {}

 private:
  friend class Connection;

  void flush();
  void post_flush();
  void schedule_tick();
  void tick();

  Server& server_;
  boost::asio::io_context& context_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                    Executor>
      timer_;
  std::vector<char> scratch_;
  std::vector<Connection*> connections_;
  boost::intrusive::list<IdleConnection, boost::intrusive::constant_time_size<false>> idle_;
  std::deque<Outbox*> to_flush_;
  std::string date_;
  std::chrono::sys_seconds date_of_{};
  Counters counters_;
  bool flush_posted_ = false;
  bool draining_ = false;
  bool aborted_ = false;
};

}  // namespace travelchat::http
