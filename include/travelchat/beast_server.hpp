// The chat over HTTP and WebSocket (Boost.Beast), as the wire contract in docs/protocol.md describes it.
//
// Owner: the embedder, who keeps the engine and the host alive until `stop` has returned. It runs on the engine's shard
// threads and has none of its own. `route` and `fallback` before `start`; the rest from any thread that is not the
// engine's.
#pragma once

#include <travelchat/carried_socket.hpp>
#include <travelchat/engine.hpp>
#include <travelchat/error.hpp>
#include <travelchat/host.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace travelchat {

struct TlsOptions {
  std::filesystem::path certificate_chain;  // PEM
  std::filesystem::path private_key;        // PEM
};

// How many times something may happen within a window; 0 times means no limit.
struct RateLimit {
  std::size_t count = 0;
  std::chrono::milliseconds window{1000};
};

struct RateLimits {
  RateLimit messages{20, std::chrono::seconds{10}};  // per participant; 429
  RateLimit typing_frames{4,
                          std::chrono::seconds{1}};    // per socket; beyond it a frame is dropped, 4429 when it goes on
  std::size_t sockets_per_participant = 5;             // per participant and conversation; 4429. 0: no limit
  RateLimit chat_tokens{10, std::chrono::minutes{1}};  // per remote address; 429
  // Every limit off: for load tests.
  static RateLimits off() { return {{0, {}}, {0, {}}, 0, {0, {}}}; }
};

struct BeastServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;  // 0: any free one, see `BeastServer::port`
  bool listens = true;        // false: only `handle`, `adopt` and `open_socket` bring requests
  std::optional<TlsOptions> tls;

  // Origins (scheme://host[:port]) that may open sockets or write with a cookie, besides the server's own (the one that
  // the Host header names). Their pages may also read the answers of the client's routes (CORS), never with a cookie.
  // No wildcard: a cookie's requests rest on this list.
  std::vector<std::string> allowed_origins;

  // Proxies in front of this server: addresses or networks ("10.0.0.0/8"). What they say in X-Forwarded-For counts as a
  // request's remote address, for limits and logs. Empty: the header is ignored.
  std::vector<std::string> trusted_proxies;

  std::size_t max_header_bytes = 8 * 1024;                              // 431
  std::size_t max_body_bytes = 64 * 1024;                               // 413
  std::size_t max_frame_bytes = 64 * 1024;                              // one message, all fragments; 1009
  std::size_t max_fragments = 1'000;                                    // of one message; 1008
  std::size_t max_outbox_bytes = 1024 * 1024;                           // not yet taken by the kernel, per socket; 4408
  std::size_t max_connections = 100'000;                                // further ones wait in the kernel's queue
  std::chrono::milliseconds header_timeout = std::chrono::seconds{10};  // 408
  std::chrono::milliseconds body_timeout = std::chrono::seconds{30};    // 408
  std::chrono::milliseconds idle_timeout = std::chrono::seconds{60};    // between requests; closes
  std::chrono::milliseconds write_timeout = std::chrono::seconds{30};   // an HTTP answer that nobody takes
  std::chrono::milliseconds ping_interval = std::chrono::seconds{25};
  std::chrono::milliseconds silence_timeout = std::chrono::seconds{35};  // a peer that sends nothing, pongs included
  std::chrono::milliseconds close_timeout = std::chrono::seconds{2};     // for the peer's half of a closing handshake
  RateLimits rate_limits;
};

// A request: what a route of the host's own is given, and what `BeastServer::handle`, `adopt` and `open_socket` take.
// Those read `method`, `target`, `headers`, `body`, `remote_address`, `is_secure` and `context`, and find out the rest
// themselves; without exactly one Host header (RFC 9112 section 3.2) it is refused.
struct HttpRequest {
  std::string method;
  std::string target;                                        // path and query as they came
  std::string path;                                          // decoded
  std::vector<std::string> params;                           // what the pattern's ":name" segments matched, in order
  std::vector<std::pair<std::string, std::string>> query;    // decoded, keys unique
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string remote_address;  // the client's, as far as `trusted_proxies` tells
  bool is_secure = false;      // arrived over TLS
  // What came with a request that somebody else received; see `RequestCredentials::context`.
  std::shared_ptr<void> context = nullptr;

  // Empty when absent. `name` in lower case.
  std::string_view header(std::string_view name) const noexcept;
  std::optional<std::string_view> query_value(std::string_view name) const noexcept;
};

struct HttpResponse {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // Sent instead of `body` when set: one buffer for many answers (static files).
  std::shared_ptr<const std::string> shared_body;
};

// `respond` is called exactly once, from any thread.
using HttpRespond = std::function<void(HttpResponse)>;
using HttpHandler = std::function<void(HttpRequest request, HttpRespond respond)>;

// What the log is told of each request. Never the query string, credentials or bodies.
struct AccessRecord {
  std::string_view method;
  std::string_view path;  // percent-encoded as it came, without the query
  int status = 0;
  std::size_t bytes = 0;
  std::chrono::microseconds duration{0};
  std::string_view remote_address;
};
using AccessLog = std::function<void(const AccessRecord&)>;

class BeastServer {
 public:
  // Installs the engine's event encoder. Throws boost::system::system_error when the TLS files cannot be used, and with
  // `errc::invalid_argument` when a trusted proxy is neither an address nor a network.
  BeastServer(ChatEngine& engine, Host& host, BeastServerOptions options);
  BeastServer(const BeastServer&) = delete;
  BeastServer& operator=(const BeastServer&) = delete;
  ~BeastServer();  // stop()

  // Adds a route beside the chat's own. `pattern` is a path whose segments may be ":name". A cookie-borne request that
  // writes from another origin never reaches it (403).
  void route(std::string method, std::string pattern, HttpHandler handler);
  // Paths that no route matches. `reads`: of GET and HEAD, as for static files. `all`: of every method, for an
  // application with routes of its own; a cookie-borne request that writes from another origin does not reach it
  // either.
  enum class FallbackMethods : std::uint8_t { reads, all };
  void fallback(HttpHandler handler, FallbackMethods methods = FallbackMethods::reads);
  void access_log(AccessLog log);

  // Binds, listens and accepts, unless `BeastServerOptions::listens` is off. The error is the system's (address in use,
  // permission).
  error_code start();
  // The bound port; 0 before `start`.
  std::uint16_t port() const noexcept;

  // ---- Requests that somebody else has received. After `start`, from any thread. ----

  // Whether this path is the chat's, so that `handle` answers for it; a query is ignored. A router asks this before it
  // passes a request on. At any time.
  static bool serves(std::string_view target);
  // Answers a request exactly as one that arrived on a connection of the server's, with the host's own routes and the
  // fallback, except for what is a connection's: the response has no Date, no Content-Length and no Connection, and to
  // HEAD it has the body that whoever sends it leaves out. A body that is too long by its Content-Length need not be
  // read. `respond` runs on a thread of the engine's (503 at once on the caller's, when the server does not run or has
  // as many requests and connections as it may) and must not block.
  void handle(HttpRequest request, HttpRespond respond);
  // Takes over a connected stream socket on which `upgrade` was received, a request for /ws/chat or /ws/inbox, and then
  // `head`, bytes that were read behind it. From then on it is a connection of the server's. The descriptor is the
  // server's whatever comes of it, and closed by it; no other copy may be read or written any more.
  // `errc::invalid_argument`: a line break or the like within a header or the target; `errc::overloaded`: as many
  // connections as allowed; `errc::closed`: the server does not run.
  error_code adopt(int descriptor, HttpRequest upgrade, std::string head);
  // A WebSocket whose handshake and frames somebody else has. Always gives a socket: one that is refused is accepted
  // and closed with a code, within the call when the server does not run or is full.
  CarriedSocket open_socket(HttpRequest upgrade, std::shared_ptr<SocketCarrier> carrier);

  // Stops accepting, lets requests that were read finish, closes WebSockets with 1012, and returns when all connections
  // are gone or `grace` has passed (what is left is then cut). Idempotent.
  void stop(std::chrono::milliseconds grace = std::chrono::seconds{4});

  // Prometheus text: connections, sockets, bytes, requests by status, and the engine's counts.
  std::string metrics() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace travelchat
