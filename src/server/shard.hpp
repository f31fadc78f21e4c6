// What the connections on one of the engine's I/O threads share: the list of outboxes to flush, the clock tick, the
// read buffer, and what they remember together.
//
// Owned by the server; everything but the counters belongs to the shard's thread.
#pragma once

#include "http/counters.hpp"
#include "http/outbox.hpp"
#include "server/credential_watch.hpp"

#include <travelchat/event.hpp>
#include <travelchat/host.hpp>
#include <travelchat/types.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>

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
#include <utility>
#include <vector>

namespace travelchat::transport {

class Server;
class WebSocket;
struct Upgrade;

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

  Shard& shard() const noexcept { return shard_; }
  // Looks at its deadlines; there is no timer of its own.
  virtual void tick(const Now& now) = 0;
  // The server stops: finish what was begun and go.
  virtual void drain() = 0;
  // Go now.
  virtual void cut() = 0;
  // What it rests on that only the host can tell about; null: nothing. Lives as long as the connection.
  virtual const SocketClaim* claim() const noexcept { return nullptr; }
  // The host says that it has ended.
  virtual void end_claim() {}

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

// A connection while it has no whole request; in its shard's list, the longest waiting first.
class IdleConnection
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // Ends, so that another connection can have its place. False: it is still sending an answer.
  virtual bool give_way() = 0;

 protected:
  ~IdleConnection() = default;
};

// A call that the host has not answered yet, with a coroutine behind it.
class PendingCall {
 public:
  // Looks at its deadline. Shard's thread.
  virtual void tick(SteadyTime now) = 0;
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
  ~Shard();

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
  // What every socket is told at each `ping_interval`, as whole frames: for its peer's WebSocket a ping, and for the
  // page behind it, to which browsers show no pings, the event `alive`. One buffer for all, so it costs no more than
  // the ping alone.
  const Buffer& heartbeat() const noexcept { return heartbeat_; }
  // The event alone, where the pings are somebody else's.
  const Buffer& alive() const noexcept { return alive_; }

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

  // From now on it waits for a request, until it is unlinked.
  void add(IdleConnection& connection);
  // Ends the one that has waited longest. False: none can.
  bool end_longest_idle();

  // `visit` opens and closes none.
  template <class Visit>
  void for_each_connection(Visit visit) {
    for (Connection* connection : connections_) visit(*connection);
  }
  CredentialWatch& credentials() noexcept { return credentials_; }

  void add(PendingCall& call);
  void remove(PendingCall& call) noexcept;

  // Opens the socket, or refuses it because its owner has as many as allowed and all of them answer: those that are
  // open are asked, and the newcomer waits until each has, or until one has been silent for too long and is closed for
  // it. So a network that was lost without a word keeps nobody out.
  void admit(std::shared_ptr<WebSocket> socket, Upgrade upgrade);
  // It counts among its owner's from `add` to `remove`.
  void add(const SocketOwner& owner, WebSocket& socket);
  void remove(const SocketOwner& owner, WebSocket& socket) noexcept;

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

  // The sockets of one owner.
  struct OwnedSockets {
    std::vector<WebSocket*> open;  // the oldest first
    // Until the open ones have answered. Bounded by the limit itself: one more is refused at once.
    std::vector<std::pair<std::shared_ptr<WebSocket>, std::unique_ptr<Upgrade>>> newcomers;
    SteadyTime asked_at{};
  };

  struct RememberedCard {
    std::optional<ClientCard> card;
    SteadyTime until;
  };

  // Lets in or refuses newcomers, as far as that is decided.
  void decide(const SocketOwner& owner, SteadyTime now);
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
  Buffer alive_;
  Buffer heartbeat_;
  std::vector<Connection*> connections_;
  boost::intrusive::list<IdleConnection, boost::intrusive::constant_time_size<false>> idle_;
  std::vector<PendingCall*> calls_;
  std::deque<Outbox*> to_flush_;
  std::unordered_map<SocketOwner, OwnedSockets, SocketOwnerHash> sockets_;
  std::vector<SocketOwner> undecided_;  // who has newcomers
  std::unordered_map<std::string, RememberedCard> cards_;
  CredentialWatch credentials_{*this};
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
