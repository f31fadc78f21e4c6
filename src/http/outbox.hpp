// What waits to leave on one connection: shared, immutable buffers, sent in gathered writes.
//
// An append only stores a pointer. The loop later flushes each outbox that got something, once, after the handlers that
// are ready; so what several of them append for a connection (events of several batches, pongs, pipelined answers) is
// sent in one system call. Buffers hold whole frames or whole answers, so nothing is ever interleaved within one.
//
// Belongs to a connection and its loop's thread.
#pragma once

#include "http/socket.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::http {

class EventLoop;

using Buffer = std::shared_ptr<const std::string>;

class OutboxOwner {
 public:
  // Keeps the owner alive while the outbox waits for the kernel.
  virtual std::shared_ptr<void> outbox_lifetime() = 0;
  // The kernel has taken everything; told once for each `notify_when_drained`.
  virtual void outbox_drained() = 0;
  // The connection is broken; nothing more can leave.
  virtual void outbox_broken() = 0;

 protected:
  ~OutboxOwner() = default;
};

class Outbox {
 public:
  Outbox(EventLoop& loop, Socket& socket, OutboxOwner& owner) noexcept : loop_(loop), socket_(socket), owner_(owner) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  ~Outbox();

  // Ignored once sealed.
  void append(Buffer bytes);
  void append(std::string bytes) { append(std::make_shared<const std::string>(std::move(bytes))); }

  // Whether `size` more bytes would pass `limit`. Offers the kernel what is pending first: only what it does not take
  // counts. A single buffer is always let through when nothing waits before it.
  bool would_exceed(std::size_t limit, std::size_t size);

  // Nothing can be appended any more; what is pending still leaves.
  void seal() noexcept { sealed_ = true; }
  bool sealed() const noexcept { return sealed_; }
  // Drops what has not begun to leave. A buffer that was sent in part is kept up to the next boundary of its protocol:
  // `next_boundary` gives the first one at or after an offset.
  void drop_unsent(std::size_t (*next_boundary)(std::string_view buffer, std::size_t offset) noexcept);

  // Requests one call of the owner's `outbox_drained`, which never comes within this call.
  void notify_when_drained();
  // Tries to send everything now. The owner's callbacks run later.
  void flush();

  std::size_t pending_bytes() const noexcept { return pending_bytes_; }
  bool empty() const noexcept { return pending_bytes_ == 0; }
  // The kernel's buffer is full.
  bool blocked() const noexcept { return blocked_; }

 private:
  friend class EventLoop;

  // What the loop does at the end of a round: sends, then runs the owner's callbacks.
  void flush_and_tell();
  void send();
  void consume(std::size_t bytes);
  void wait();
  void schedule();

  EventLoop& loop_;
  Socket& socket_;
  OutboxOwner& owner_;
  std::vector<Buffer> queue_;
  std::size_t offset_ = 0;  // sent bytes of the first buffer
  std::size_t pending_bytes_ = 0;
  bool blocked_ = false;
  bool broken_ = false;
  bool sealed_ = false;
  bool listed_ = false;  // in the loop's flush list
  bool told_ = true;     // false: `notify_when_drained` was called and the owner has not been told yet
};

}  // namespace travelchat::http
