// What a listener and the connections of one server share, and how it starts and stops.
//
// It knows no route: an application derives from it and answers the requests (`dispatch`). Owned by the application
// and, until they are gone, by its connections. After `start` everything but the slots and the run state is read-only.
#pragma once

#include "core/logger.hpp"
#include "http/client_address.hpp"
#include "http/event_loop.hpp"
#include "http/options.hpp"
#include "http/run_state.hpp"
#include "http/socket.hpp"
#include "http/tls.hpp"

#include <travelchat/error.hpp>
#include <travelchat/http.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace travelchat::http {

class Exchange;
class Listener;
class Request;
class TargetPath;

// Whether a page of another origin may read an answer. `none`: no such page may; `refused`: pages of allowed origins
// may, and this origin is not allowed.
enum class Sharing : std::uint8_t { none, refused, granted };

class Server : public std::enable_shared_from_this<Server> {
 public:
  // Throws boost::system::system_error when the TLS files cannot be used.
  Server(Options options, std::shared_ptr<const Logger> logger);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  virtual ~Server();

  // ---- The embedder's side ----
  bool has_started() const;
  // `errc::closed`: it was started before. Else the system's, of listening.
  error_code start();
  std::uint16_t port() const noexcept { return port_.load(std::memory_order_relaxed); }
  void stop(std::chrono::milliseconds grace);
  // A request that another server has received; see BeastServer.
  void handle(HttpRequest request, HttpRespond respond);
  error_code adopt(RawSocket socket, HttpRequest upgrade, std::string head);

  // Before `start` only.
  AccessLog access_log;

  // ---- What the application decides ----
  // Answers a request whose path is in order, or takes its connection away.
  virtual void dispatch(Exchange exchange) = 0;
  // Who may read the answer to `method` on this path (the Fetch standard's CORS protocol), also when the request itself
  // is not in order.
  virtual Sharing sharing_of(const Request& request, std::string_view method, const TargetPath& path) const = 0;

  // ---- The connections' side ----
  const Options& options() const noexcept { return options_; }
  const std::shared_ptr<RunState>& run_state() const noexcept { return run_state_; }
  EventLoop& loop(std::size_t index) noexcept { return *loops_[index]; }
  const EventLoop& loop(std::size_t index) const noexcept { return *loops_[index]; }
  std::size_t loop_count() const noexcept { return loops_.size(); }
  std::span<const AddressRange> trusted_proxies() const noexcept { return trusted_proxies_; }
  // The header line that tells browsers to come over TLS; empty: none.
  std::string_view hsts() const noexcept { return hsts_; }
  // Null: no TLS.
  ssl_ctx_st* tls() const noexcept { return tls_.get(); }
  const Logger& logger() const noexcept { return *logger_; }
  // Tells the access log; an exception that it throws goes to the logger. Any loop.
  void record(const AccessRecord& record) const noexcept;

  // ---- Slots: see ConnectionSlot ----
  // False: all are taken; the listener is told when one becomes free.
  bool try_take_slot() noexcept;
  // A connection waits and all slots are taken: closes the one that has waited longest for a request, on some loop, or
  // else the next that begins to wait. The first loop's thread.
  void free_slot();
  // There is a slot, or no connection waits for one.
  void slot_is_free() noexcept { is_slot_wanted_.store(false, std::memory_order_relaxed); }
  bool is_slot_wanted() const noexcept { return is_slot_wanted_.load(std::memory_order_relaxed); }

 protected:
  // In the constructor of the application, one for each thread.
  void add_loop(std::unique_ptr<EventLoop> loop);
  // The loops in turn. Any thread.
  EventLoop& next_loop() noexcept {
    return *loops_[next_loop_.fetch_add(1, std::memory_order_relaxed) % loops_.size()];
  }
  // Connections that were closed at once, because their address had as many as allowed.
  std::uint64_t turned_away() const noexcept { return turned_away_.load(std::memory_order_relaxed); }

 private:
  friend class ConnectionSlot;

  // False: as many connections as allowed have come from this address.
  bool count_address(const Address& remote, std::optional<Address>& counted);
  void leave_slot(const std::optional<Address>& counted);
  void end_longest_idle(std::size_t loop, std::size_t tries);

  const Options options_;
  std::shared_ptr<const Logger> logger_;
  std::vector<AddressRange> trusted_proxies_;
  TlsContext tls_;
  std::string hsts_;
  std::shared_ptr<RunState> run_state_ = std::make_shared<RunState>();
  std::vector<std::unique_ptr<EventLoop>> loops_;
  std::shared_ptr<Listener> listener_;
  std::atomic<std::uint16_t> port_{0};

  std::atomic<std::size_t> next_loop_{0};
  std::atomic<std::size_t> connections_{0};
  std::atomic<bool> listener_waits_{false};
  std::atomic<bool> is_slot_wanted_{false};
  std::size_t next_to_free_ = 0;  // the loop that is asked next for a slot
  std::mutex addresses_mutex_;
  std::unordered_map<Address, std::size_t, AddressHash> addresses_;  // connections, by network
  std::atomic<std::uint64_t> turned_away_{0};
  enum class Stage : std::uint8_t { made, started, stopping, stopped };
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Stage stage_ = Stage::made;
  std::size_t loops_aborted_ = 0;
};

// One among the server's `max_connections`, taken by `try_take_slot` before; when it was counted, also one among its
// address's. Given back by the destructor, if not before. Any thread.
class ConnectionSlot {
 public:
  // None.
  ConnectionSlot() noexcept = default;
  explicit ConnectionSlot(std::shared_ptr<Server> server) noexcept : server_(std::move(server)) {}
  ConnectionSlot(ConnectionSlot&&) noexcept = default;
  ConnectionSlot& operator=(ConnectionSlot&&) = delete;
  ~ConnectionSlot() { give_back(); }

  void give_back() {
    if (server_ && std::exchange(is_held_, false)) server_->leave_slot(counted_);
  }
  // False: as many connections as allowed have come from this address.
  bool count(const Address& remote) { return server_->count_address(remote, counted_); }

 private:
  std::shared_ptr<Server> server_;
  std::optional<Address> counted_;
  bool is_held_ = true;
};

}  // namespace travelchat::http
