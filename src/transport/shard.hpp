// What the connections on one of the engine's I/O threads share: the list of outboxes to flush, the clock tick, the
// read buffer, and what they remember together.
//
// Owned by the server; everything but the counters belongs to the shard's thread.
#pragma once

#include "transport/counters.hpp"
#include "transport/outbox.hpp"

#include <travelchat/event.hpp>
#include <travelchat/host.hpp>
#include <travelchat/types.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

namespace travelchat::transport {

class Server;

using SteadyTime = std::chrono::steady_clock::time_point;

// The times of one tick.
struct Now {
  SteadyTime steady;
  TimePoint utc;
};

// A connection of either kind, as its shard sees it: registered while it exists.
class Connection : public OutboxOwner, public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(Shard& shard);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection();

  // Looks at its deadlines; there is no timer of its own.
  virtual void tick(const Now& now) = 0;
  // The server stops: finish what was begun and go.
  virtual void drain() = 0;
  // Go now.
  virtual void cut() = 0;

  std::shared_ptr<void> outbox_lifetime() final { return shared_from_this(); }
  // For those that have an outbox.
  void outbox_drained() override {}
  void outbox_broken() override {}

 private:
  // Declared first, so that it goes last: the shard belongs to the server, and is needed to the end.
  std::shared_ptr<Server> server_;

 protected:
  Shard& shard_;

 private:
  friend class Shard;
  std::size_t index_ = 0;
};

// A call that the host has not answered yet, with a coroutine behind it.
class PendingCall {
 public:
  // Forgets the coroutine. Shard's thread.
  virtual void abandon() = 0;

 protected:
  virtual ~PendingCall() = default;

 private:
  friend class Shard;
  std::size_t index_ = 0;
};

// Whose sockets are counted together.
struct SocketOwner {
  Uuid conversation_id;  // zero: the organization's inbox
  Role role = Role::advisor;
  std::string org_id;
  std::string id;
  friend bool operator==(const SocketOwner&, const SocketOwner&) = default;
};

struct SocketOwnerHash {
  std::size_t operator()(const SocketOwner& owner) const noexcept {
    return std::hash<Uuid>{}(owner.conversation_id) ^ std::hash<std::string>{}(owner.id);
  }
};

class Shard {
 public:
  using Executor = boost::asio::io_context::executor_type;

  Shard(Server& server, boost::asio::io_context& context);
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  Server& server() noexcept { return server_; }
  boost::asio::io_context& context() noexcept { return context_; }
  Executor executor() noexcept { return context_.get_executor(); }
  Counters& counters() noexcept { return counters_; }
  const Counters& counters() const noexcept { return counters_; }
  bool runs_here() noexcept { return executor().running_in_this_thread(); }

  // For bytes that are used up before the thread does anything else.
  std::span<char> scratch() noexcept { return scratch_; }
  // The value of a Date header.
  std::string_view date();

  void start();
  void drain();
  // Closes every connection and forgets every coroutine that waits for the host. No connection can be opened
  // afterwards.
  void cut();
  bool draining() const noexcept { return draining_; }
  bool was_cut() const noexcept { return cut_; }

  // Outboxes.
  void list(Outbox& outbox);
  void unlist(Outbox& outbox) noexcept;

  void add(PendingCall& call);
  void remove(PendingCall& call) noexcept;

  // False: this participant has as many sockets as allowed.
  bool admit_socket(const SocketOwner& owner);
  void release_socket(const SocketOwner& owner) noexcept;

  // A client's card as the host gave it a short while ago; what is inside may be empty: the host does not know the
  // client. nullopt: ask the host. The pointer lives until the thread does something else.
  std::optional<const ClientCard*> find_card(const std::string& org_id, const std::string& client_id);
  // `lifetime`: short for what the host could not say.
  void remember_card(const std::string& org_id, const std::string& client_id, std::optional<ClientCard> card,
                     std::chrono::seconds lifetime = std::chrono::seconds{30});

  // The bytes of an inbox batch, made once for all advisors of an organization.
  Buffer find_inbox_bytes(const EventBatch& batch) const noexcept;
  void remember_inbox_bytes(std::shared_ptr<const EventBatch> batch, Buffer bytes);

 private:
  friend class Connection;

  struct RememberedCard {
    std::optional<ClientCard> card;
    SteadyTime until;
  };

  void flush();
  void post_flush();
  void schedule_tick();
  void tick();

  Server& server_;
  boost::asio::io_context& context_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                    Executor>
      timer_;
  std::chrono::milliseconds tick_interval_;
  std::vector<char> scratch_;
  std::vector<Connection*> connections_;
  std::vector<PendingCall*> calls_;
  std::deque<Outbox*> to_flush_;
  std::unordered_map<SocketOwner, std::size_t, SocketOwnerHash> sockets_;
  std::unordered_map<std::string, RememberedCard> cards_;
  std::shared_ptr<const EventBatch> inbox_batch_;
  Buffer inbox_bytes_;
  std::string date_;
  std::chrono::sys_seconds date_of_{};
  Counters counters_;
  bool flush_posted_ = false;
  bool draining_ = false;
  bool cut_ = false;
};

}  // namespace travelchat::transport
