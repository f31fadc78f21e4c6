// The chat over HTTP and WebSocket (Boost.Beast), as the wire contract in docs/protocol.md describes it.
//
// Owner: the embedder, who keeps the engine and the host alive until `stop` has returned. It runs on the engine's shard
// threads and has none of its own. `route` and `fallback` before `start`; the rest from any thread that is not the
// engine's.
#pragma once

#include <travelchat/engine.hpp>
#include <travelchat/error.hpp>
#include <travelchat/external_socket.hpp>
#include <travelchat/host.hpp>
#include <travelchat/http.hpp>
#include <travelchat/log.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat {

struct RateLimits {
  RateLimit messages{20, std::chrono::seconds{10}};  // per participant; 429
  RateLimit typing_frames{4,
                          std::chrono::seconds{1}};    // per socket; beyond it a frame is dropped, 4429 when it goes on
  std::size_t sockets_per_participant = 5;             // per participant and conversation; 4429. 0: no limit
  RateLimit chat_tokens{10, std::chrono::minutes{1}};  // per remote address; 429
  // Accepted at once from one remote address; a further one is closed. Those of `trusted_proxies` are not counted. 0:
  // no limit.
  std::size_t connections_per_address = 1'000;
  RateLimit reactions{30, std::chrono::seconds{10}};  // set and removed, per participant; 429
  // "Read" and "seen", per participant, by request and by frame together. A request beyond it gets 429; the frames
  // become one, which takes effect when the limit allows it.
  RateLimit marks{60, std::chrono::seconds{10}};
  RateLimit pages{100, std::chrono::seconds{10}};    // pages of messages, lists and counts, per participant; 429
  RateLimit openings{60, std::chrono::seconds{10}};  // conversations and sockets opened, per participant; 429, 4429
  // Chat tokens that are not known, per remote address; 429, 4429. Beyond it the address' tokens are not looked up,
  // except those that were in use a moment ago.
  RateLimit unknown_tokens{30, std::chrono::minutes{1}};
  // Every limit off: for load tests.
  static RateLimits off() { return {{0, {}}, {0, {}}, 0, {0, {}}, 0, {0, {}}, {0, {}}, {0, {}}, {0, {}}, {0, {}}}; }
};

// The longest body for the chat itself, with each escape sequence of its JSON counted as what it stands for; more is
// 413.
inline constexpr std::size_t max_unescaped_body_bytes = 64 * 1024;

// What the longest message comes to, however its JSON is written: 12 bytes for a code point of its content that is
// escaped ("\ud83d\ude00"), and 40 KiB for its other members.
// Rounded up to a multiple of 16 KiB.
inline constexpr std::size_t default_max_body_bytes =
    (max_content_code_points * 12 + 40 * 1024 + 16 * 1024 - 1) / (16 * 1024) * (16 * 1024);

// Who is answered by GET /metrics.
enum class MetricsAccess : std::uint8_t {
  everyone,
  loopback,  // whoever asks from this machine itself, through no proxy; others get 404
  token,     // whoever brings `metrics_token` as a Bearer credential; others get 401
  nobody,    // the path is not the chat's, and free for a route of the host's own
};

// Sizes are at least 1 and times longer than 0 and at most 100 years, where nothing else is said.
struct BeastServerOptions {
  std::string address = "127.0.0.1";  // an IPv4 or IPv6 address; "0.0.0.0" and "::" are all of this machine
  std::uint16_t port = 8080;          // 0: any free one, see `BeastServer::port`
  bool listens = true;                // false: only `handle`, `adopt` and `open_socket` bring requests
  std::optional<TlsOptions> tls = {};

  // A prefix of all of the chat's own paths, like "/chat": its routes, its sockets, the probes and /metrics are found
  // below it and nowhere else. Of `route` and `fallback` it is no part: they see whole paths. Up to 8 segments of
  // letters, digits and -._~, without a slash at the end. Empty: none.
  std::string base_path = {};

  // Origins (scheme://host[:port]) that may open sockets or write with a cookie, besides the server's own (the one that
  // the Host header names). Their pages may also read the answers of the client's routes (CORS), never with a cookie.
  // There is no wildcard, because this list protects requests with a cookie.
  std::vector<std::string> allowed_origins = {};

  // Proxies in front of this server: addresses or networks ("10.0.0.0/8"). Their X-Forwarded-For gives a request's
  // remote address, for limits and logs, and their X-Forwarded-Proto its scheme. Empty: both headers are ignored.
  std::vector<std::string> trusted_proxies = {};

  std::size_t max_header_bytes = 8 * 1024;  // 431
  // 413. A smaller one refuses messages whose content is not too long.
  std::size_t max_body_bytes = default_max_body_bytes;
  std::size_t max_frame_bytes = 64 * 1024;     // one message, all fragments; 1009
  std::size_t max_fragments = 1'000;           // of one message; 1008
  std::size_t max_outbox_bytes = 1024 * 1024;  // not yet taken by the kernel, per socket; 4408
  // Further ones wait in the kernel's queue; for each, the connection that has waited longest for a request is closed.
  std::size_t max_connections = 100'000;
  std::chrono::milliseconds handshake_timeout = std::chrono::seconds{10};  // of TLS; closes
  std::chrono::milliseconds header_timeout = std::chrono::seconds{10};     // 408
  std::chrono::milliseconds body_timeout = std::chrono::seconds{30};       // 408
  std::chrono::milliseconds idle_timeout = std::chrono::seconds{60};       // between requests; closes
  std::chrono::milliseconds write_timeout = std::chrono::seconds{30};      // an HTTP answer that nobody takes
  // For each answer of the host, and of the handlers of `route` and `fallback`: after it the request is answered 503, a
  // socket closed with 1013, and a later answer is ignored. 0: no limit.
  std::chrono::milliseconds host_timeout = std::chrono::seconds{30};
  std::chrono::milliseconds ping_interval = std::chrono::seconds{25};    // also of the event `alive`
  std::chrono::milliseconds silence_timeout = std::chrono::seconds{35};  // a peer that sends nothing, pongs included
  std::chrono::milliseconds close_timeout = std::chrono::seconds{2};     // for the peer's half of a closing handshake
  // How often the host is asked whether the sessions behind open sockets go on, see `Host::check_sessions`. 0: never.
  std::chrono::milliseconds session_check_interval = std::chrono::seconds{2};
  // How long the host's answer is used that a trip is shared by the link that a chat token was issued for, for requests
  // and open sockets. Sockets are checked every quarter of it. 0: the host is not asked again.
  std::chrono::milliseconds share_check_interval = std::chrono::seconds{20};
  RateLimits rate_limits = {};
  MetricsAccess metrics = MetricsAccess::everyone;
  // For MetricsAccess::token: at least 16 letters, digits or any of -._~+/=
  std::string metrics_token = {};
  // Told of what the host, and the handlers of `route` and `fallback`, throw or leave unanswered. Empty:
  // `EngineOptions::log` is used.
  Log log = {};
};

// What the constructor would throw for these options; nullopt: they are valid. Does not look at files.
std::optional<OptionError> find_problem(const BeastServerOptions& options);

class BeastServer {
 public:
  // Installs the engine's event encoder. Throws OptionError for an option that is not valid, and
  // boost::system::system_error when the TLS files cannot be used.
  BeastServer(ChatEngine& engine, Host& host, BeastServerOptions options);
  BeastServer(const BeastServer&) = delete;
  BeastServer& operator=(const BeastServer&) = delete;
  ~BeastServer();  // stop()

  // Adds a route beside the chat's own. `pattern` is a path whose segments may be ":name". A cookie-borne request that
  // writes from another origin never reaches it (403); see also `HttpRequest::from_trusted_origin`. Throws OptionError
  // for what no request would ever reach: a method that is not in capital letters (HEAD is answered by the route of
  // GET), a path of the chat's own, one that an earlier route takes; and std::logic_error after `start`, as do the next
  // two.
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

  // ---- Requests that the application's own server has received. After `start`, from any thread. ----

  // Whether this path is the chat's where `BeastServerOptions::base_path` is this one, so that `handle` answers for it;
  // a query is ignored. A router asks this before it passes a request on. At any time. Says so of /metrics, too, which
  // is not with MetricsAccess::nobody. Throws OptionError for a `base_path` that the options refuse.
  static bool serves(std::string_view target, std::string_view base_path = {});
  // Answers a request exactly as one that arrived on a connection of the server's, with the host's own routes and the
  // fallback, except for what concerns the connection: the response has no Date, no Content-Length and no Connection,
  // and to HEAD it has a body, which the sender must leave out. A body that is too long by its Content-Length need not
  // be read. `respond` runs on a thread of the engine's (503 at once on the caller's, when the server does not run or
  // has as many requests and connections as it may) and must not block.
  void handle(HttpRequest request, HttpRespond respond);
  // Takes over a connected stream socket on which `upgrade` was received, a request for /ws/chat or /ws/inbox, and then
  // `head`, bytes that were read behind it. From then on it is a connection of the server's. The server owns and closes
  // the descriptor, also after an error; no duplicate of it may be read or written any more. `errc::invalid_argument`:
  // a line break or the like within a header or the target; `errc::overloaded`: as many connections as allowed;
  // `errc::closed`: the server does not run.
  error_code adopt(int descriptor, HttpRequest upgrade, std::string head);
  // A WebSocket whose handshake and frames the application's own server handles. Always gives a socket: one that is
  // refused is accepted and closed with a code, within the call when the server does not run or is full.
  ExternalSocket open_socket(HttpRequest upgrade, std::shared_ptr<ExternalConnection> connection);

  // Stops accepting, lets requests that were read finish, closes WebSockets with 1012, and returns when all connections
  // are gone or `grace` has passed (what is left is then closed at once). Idempotent.
  void stop(std::chrono::milliseconds grace = std::chrono::seconds{4});

  // Prometheus text: connections, sockets, bytes, requests by status, and the engine's counts.
  std::string metrics() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace travelchat
