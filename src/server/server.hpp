// What all connections of one server share, and how it starts and stops.
//
// Owned by BeastServer and, until they are gone, by its connections. After `start` everything but the limiters, the
// gate and the counts is read-only.
#pragma once

#include "core/logger.hpp"
#include "http/client_address.hpp"
#include "http/listener.hpp"
#include "http/tls.hpp"
#include "server/limits.hpp"
#include "server/route_table.hpp"
#include "server/shard.hpp"

#include <travelchat/beast_server.hpp>
#include <travelchat/engine.hpp>
#include <travelchat/host.hpp>

#include <atomic>
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

namespace travelchat::transport {

// Between replies of the host, which may come at any time, and io_contexts, which may be gone by then.
class Gate {
 public:
  // Whether it was.
  template <class Post>
  bool if_open(Post post) {
    const std::scoped_lock lock(mutex_);
    if (open_) post();
    return open_;
  }
  void open() {
    const std::scoped_lock lock(mutex_);
    open_ = true;
  }
  void close() {
    const std::scoped_lock lock(mutex_);
    open_ = false;
  }

 private:
  std::mutex mutex_;
  bool open_ = false;
};

class Server : public std::enable_shared_from_this<Server> {
 public:
  Server(ChatEngine& engine, Host& host, BeastServerOptions options);

  // ---- The embedder's side ----
  // Throws std::logic_error, with the name of the call, once `start` has begun: connections read without a lock.
  void require_unstarted(const char* call) const;
  error_code start();
  std::uint16_t port() const noexcept { return port_.load(std::memory_order_relaxed); }
  void stop(std::chrono::milliseconds grace);
  std::string metrics() const;
  static bool serves(std::string_view target, const BasePath& base);
  void handle(HttpRequest request, HttpRespond respond);
  error_code adopt(RawSocket socket, HttpRequest upgrade, std::string head);
  CarriedSocket open_socket(HttpRequest upgrade, std::shared_ptr<SocketCarrier> carrier);

  // Before `start` only.
  HostRoutes host_routes;
  HttpHandler fallback;
  BeastServer::FallbackMethods fallback_methods = BeastServer::FallbackMethods::reads;
  AccessLog access_log;

  // ---- The connections' side ----
  ChatEngine& engine() noexcept { return engine_; }
  // Not after the shard was cut.
  Host& host() noexcept { return host_; }
  const BeastServerOptions& options() const noexcept { return options_; }
  const std::shared_ptr<Gate>& gate() const noexcept { return gate_; }
  Shard& shard(std::size_t index) noexcept { return *shards_[index]; }
  std::size_t shard_count() const noexcept { return shards_.size(); }
  const BasePath& base_path() const noexcept { return base_path_; }
  std::span<const AddressRange> trusted_proxies() const noexcept { return trusted_proxies_; }
  // The header line that tells browsers to come over TLS; empty: none.
  std::string_view hsts() const noexcept { return hsts_; }
  // Null: no TLS.
  ssl_ctx_st* tls() const noexcept { return tls_.get(); }
  Limits& limits() noexcept { return limits_; }
  const Logger& logger() const noexcept { return *logger_; }
  // Told of no more than that; a log that throws costs nobody anything. Any shard.
  void record(const AccessRecord& record) const noexcept;

  // One place among `max_connections`, and when it was counted, one among its address's; given back by the destructor,
  // if not before. Any thread.
  class Place {
   public:
    explicit Place(std::shared_ptr<Server> server) noexcept : server_(std::move(server)) {}
    Place(Place&&) noexcept = default;
    Place& operator=(Place&&) = delete;
    ~Place() { give_back(); }
    void give_back() {
      if (server_ && std::exchange(is_held_, false)) server_->leave(counted_);
    }
    // False: as many connections as allowed have come from this address.
    bool count(const Address& remote);
    Server& server() const noexcept { return *server_; }

   private:
    std::shared_ptr<Server> server_;
    std::optional<Address> counted_;
    bool is_held_ = true;
  };
  // False: all places are taken; the listener is told when one becomes free.
  bool try_enter() noexcept;
  // A connection waits and all places are taken: has the one that has waited longest for a request, on some shard, give
  // its place, or else the next that begins to wait. The first shard's thread.
  void make_room();
  // There is room, or nobody waits.
  void room_is_made() noexcept { wants_room_.store(false, std::memory_order_relaxed); }
  bool wants_room() const noexcept { return wants_room_.load(std::memory_order_relaxed); }

 private:
  void leave(const std::optional<Address>& counted);
  void end_longest_idle(std::size_t shard, std::size_t tries);
  // The shards in turn.
  Shard& next_shard() noexcept {
    return *shards_[next_shard_.fetch_add(1, std::memory_order_relaxed) % shards_.size()];
  }

  ChatEngine& engine_;
  Host& host_;
  BeastServerOptions options_;
  std::shared_ptr<const Logger> logger_;
  BasePath base_path_;
  std::vector<AddressRange> trusted_proxies_;
  TlsContext tls_;
  std::string hsts_;
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::vector<std::unique_ptr<Shard>> shards_;
  Limits limits_;
  std::shared_ptr<Listener> listener_;
  std::atomic<std::uint16_t> port_{0};

  std::atomic<std::size_t> next_shard_{0};
  std::atomic<std::size_t> connections_{0};
  std::atomic<bool> listener_waits_{false};
  std::atomic<bool> wants_room_{false};
  std::size_t room_maker_ = 0;  // the shard that was asked last
  std::mutex addresses_mutex_;
  std::unordered_map<Address, std::size_t, AddressHash> addresses_;  // connections, by network
  std::atomic<std::uint64_t> turned_away_{0};                        // because their address has enough
  enum class Stage : std::uint8_t { made, started, stopping, stopped };
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Stage stage_ = Stage::made;
  std::size_t shards_cut_ = 0;
};

}  // namespace travelchat::transport
