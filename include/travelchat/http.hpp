// The HTTP types of an application's own routes and options: requests, responses, access log records, TLS and rates.
//
// Values only; any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace travelchat {

struct TlsOptions {
  std::filesystem::path certificate_chain;  // PEM
  std::filesystem::path private_key;        // PEM
  // For how long browsers shall come over TLS only (Strict-Transport-Security). 0: they are not told.
  std::chrono::seconds hsts_max_age = std::chrono::hours{24 * 365};
};

// How many times something may happen within a window; 0 times means no limit.
struct RateLimit {
  std::size_t count = 0;
  std::chrono::milliseconds window{1000};
};

// A request: what a route of the host's own is given, and what `BeastServer::handle`, `adopt` and `open_socket` take.
// Those read `method`, `target`, `headers`, `body`, `remote_address`, `is_secure` and `context`, and find out the rest
// themselves; without exactly one Host header (RFC 9112 section 3.2) it is refused.
struct HttpRequest {
  std::string method = {};
  std::string target = {};                                      // path and query as they came
  std::string path = {};                                        // decoded
  std::vector<std::string> params = {};                         // what the pattern's ":name" segments matched, in order
  std::vector<std::pair<std::string, std::string>> query = {};  // decoded, keys unique
  std::vector<std::pair<std::string, std::string>> headers = {};  // names in lower case
  std::string body = {};
  std::string remote_address = {};  // the client's, as far as `trusted_proxies` tells
  bool is_secure = false;           // arrived over TLS, as far as `trusted_proxies` tells
  // Whether a page of the server's own or of an allowed origin sent it, or no browser did. A route that sets or clears
  // a cookie must refuse other requests: another site's request comes without the cookie, but the browser still obeys
  // the Set-Cookie of the answer. Set for the host's own routes; not read from a request that is handed in.
  bool from_trusted_origin = false;
  // The context of a request that the application received itself; see `RequestCredentials::context`.
  std::shared_ptr<void> context = nullptr;

  // Empty when absent. `name` in lower case.
  std::string_view header(std::string_view name) const noexcept;
  std::optional<std::string_view> query_value(std::string_view name) const noexcept;
};

struct HttpResponse {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
  // Sent instead of `body` when set: one buffer for many answers (static files).
  std::shared_ptr<const std::string> shared_body = {};
};

// `respond` is called exactly once, from any thread.
using HttpRespond = std::function<void(HttpResponse)>;
using HttpHandler = std::function<void(HttpRequest request, HttpRespond respond)>;

// The access log's record of each request, once it is answered, and of each WebSocket, once it is closed. Never the
// query string, credentials or bodies.
struct AccessRecord {
  std::string_view method;
  std::string_view path;  // percent-encoded as it came, without the query
  int status = 0;         // 101: a WebSocket
  std::size_t bytes = 0;  // of the body, or of what the socket was sent
  std::chrono::microseconds duration{0};
  std::string_view remote_address;
  // What the socket was closed with, by either side; 1006: without a code. 0: it was no socket.
  std::uint16_t close_code = 0;
};
using AccessLog = std::function<void(const AccessRecord&)>;

}  // namespace travelchat
