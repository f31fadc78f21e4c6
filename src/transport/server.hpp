// What all connections of one server share, and how it starts and stops.
//
// Owned by BeastServer and, until they are gone, by its connections. After `start` everything but the limiters, the
// gate and the counts is read-only.
#pragma once

#include "transport/client_address.hpp"
#include "transport/listener.hpp"
#include "transport/rate_limiter.hpp"
#include "transport/route_table.hpp"
#include "transport/shard.hpp"
#include "transport/tls.hpp"

#include <travelchat/beast_server.hpp>
#include <travelchat/engine.hpp>
#include <travelchat/host.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
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
  error_code start();
  std::uint16_t port() const noexcept { return port_.load(std::memory_order_relaxed); }
  void stop(std::chrono::milliseconds grace);
  std::string metrics() const;
  static bool serves(std::string_view target);
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
  std::span<const AddressRange> trusted_proxies() const noexcept { return trusted_proxies_; }
  // Null: no TLS.
  ssl_ctx_st* tls() const noexcept { return tls_.get(); }
  RateLimiter& message_limiter() noexcept { return message_limiter_; }
  RateLimiter& chat_token_limiter() noexcept { return chat_token_limiter_; }

  // One place among `max_connections`; given back by the destructor. Any thread.
  class Place {
   public:
    explicit Place(std::shared_ptr<Server> server) noexcept : server_(std::move(server)) {}
    Place(Place&&) noexcept = default;
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (server_) server_->leave();
    }
    Server& server() const noexcept { return *server_; }

   private:
    std::shared_ptr<Server> server_;
  };
  // False: all places are taken; the listener is told when one becomes free.
  bool try_enter() noexcept;

 private:
  void leave();
  // The shards in turn.
  Shard& next_shard() noexcept {
    return *shards_[next_shard_.fetch_add(1, std::memory_order_relaxed) % shards_.size()];
  }

  ChatEngine& engine_;
  Host& host_;
  BeastServerOptions options_;
  std::vector<AddressRange> trusted_proxies_;
  TlsContext tls_;
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::vector<std::unique_ptr<Shard>> shards_;
  RateLimiter message_limiter_;
  RateLimiter chat_token_limiter_;
  std::shared_ptr<Listener> listener_;
  std::atomic<std::uint16_t> port_{0};

  std::atomic<std::size_t> next_shard_{0};
  std::atomic<std::size_t> connections_{0};
  std::atomic<bool> listener_waits_{false};
  enum class Stage : std::uint8_t { made, started, stopping, stopped };
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Stage stage_ = Stage::made;
  std::size_t shards_cut_ = 0;
};

}  // namespace travelchat::transport
