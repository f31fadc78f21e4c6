#include "server/server_options.hpp"

#include "core/options.hpp"
#include "http/client_address.hpp"
#include "http/route_pattern.hpp"

#include <travelchat/wire.hpp>

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>

namespace travelchat::server {

namespace {

using namespace travelchat::options;

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
  return failed == std::errc() && end == text.data() + text.size() && port != 0 && text.front() != '0';
}

// An origin as browsers write it (RFC 6454 section 6.2). It is compared with what they send, so any other spelling
// would silently never match.
bool is_origin(std::string_view text) {
  std::string_view host;
  std::string_view usual_port;
  if (text.starts_with("https://")) {
    host = text.substr(8);
    usual_port = ":443";
  } else if (text.starts_with("http://")) {
    host = text.substr(7);
    usual_port = ":80";
  } else {
    return false;
  }
  std::string_view port;
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    port = host.substr(end + 1);
    boost::system::error_code failed;
    boost::asio::ip::make_address_v6(std::string(host.substr(1, end - 1)), failed);
    if (failed) return false;
    host = host.substr(0, end + 1);
  } else {
    const std::size_t colon = host.find(':');
    if (colon != std::string_view::npos) port = host.substr(colon);
    host = host.substr(0, colon);
    const bool is_name = !host.empty() && std::ranges::all_of(host, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    });
    if (!is_name) return false;
  }
  if (std::ranges::any_of(host, [](char c) { return c >= 'A' && c <= 'Z'; })) return false;
  if (port.empty()) return true;
  return port != usual_port && port.size() > 1 && port.front() == ':' && is_port(port.substr(1));
}

// Whether it has only characters of a Bearer credential (RFC 6750 section 2.1).
bool is_bearer_secret(std::string_view text) {
  return text.size() >= 16 && std::ranges::all_of(text, [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  std::string_view("-._~+/=").find(c) != std::string_view::npos;
         });
}

void require_rate(const std::string& option, const RateLimit& limit) {
  if (limit.count == 0) return;
  require_time(option + ".window", limit.window);
}

constexpr auto slowest_tick = std::chrono::milliseconds{500};

// Often enough that no deadline is missed by more than a quarter, or by half a second.
std::chrono::milliseconds tick_interval(const BeastServerOptions& o) {
  auto shortest = std::min({o.handshake_timeout, o.header_timeout, o.body_timeout, o.idle_timeout, o.write_timeout,
                            o.ping_interval, o.silence_timeout, o.close_timeout});
  if (o.host_timeout.count() > 0) shortest = std::min(shortest, o.host_timeout);
  return std::clamp(shortest / 4, std::chrono::milliseconds{10}, slowest_tick);
}

}  // namespace

BeastServerOptions checked(BeastServerOptions options) {
  const BeastServerOptions& o = options;
  boost::system::error_code failed;
  boost::asio::ip::make_address(o.address, failed);
  if (failed) refuse("address", "must be an IPv4 or IPv6 address, which \"" + o.address + "\" is not");
  if (o.tls) {
    if (o.tls->certificate_chain.empty()) refuse("tls.certificate_chain", "must not be empty");
    if (o.tls->private_key.empty()) refuse("tls.private_key", "must not be empty");
    require_time("tls.hsts_max_age", o.tls->hsts_max_age, true);
  }
  (void)http::BasePath(o.base_path);
  for (const std::string& origin : o.allowed_origins) {
    if (!is_origin(origin)) {
      refuse("allowed_origins",
             "must be origins as browsers send them, like https://app.example or "
             "http://127.0.0.1:8080, which \"" +
                 origin + "\" is not");
    }
  }
  for (const std::string& proxy : o.trusted_proxies) {
    if (!http::AddressRange::parse(proxy)) {
      refuse("trusted_proxies", "must be addresses or networks: trusted proxy " + proxy + " is neither");
    }
  }
  require_some("max_header_bytes", o.max_header_bytes);
  require_some("max_body_bytes", o.max_body_bytes);
  require_some("max_frame_bytes", o.max_frame_bytes);
  require_some("max_fragments", o.max_fragments);
  require_some("max_outbox_bytes", o.max_outbox_bytes);
  require_some("max_connections", o.max_connections);
  require_time("handshake_timeout", o.handshake_timeout);
  require_time("header_timeout", o.header_timeout);
  require_time("body_timeout", o.body_timeout);
  require_time("idle_timeout", o.idle_timeout);
  require_time("write_timeout", o.write_timeout);
  require_time("host_timeout", o.host_timeout, true);
  require_time("ping_interval", o.ping_interval);
  require_time("silence_timeout", o.silence_timeout);
  require_time("close_timeout", o.close_timeout);
  if (o.silence_timeout <= o.ping_interval) {
    refuse("silence_timeout", "must be longer than ping_interval: a peer that is quiet is heard when it is pinged");
  }
  require_time("session_check_interval", o.session_check_interval, true);
  require_time("share_check_interval", o.share_check_interval, true);
  if (o.metrics == MetricsAccess::token) {
    if (!is_bearer_secret(o.metrics_token)) {
      refuse("metrics_token", "must be at least 16 letters, digits or any of -._~+/= where the metrics ask for it");
    }
  } else if (!o.metrics_token.empty()) {
    refuse("metrics_token", "must be left out where the metrics do not ask for it");
  }
  require_rate("rate_limits.messages", o.rate_limits.messages);
  require_rate("rate_limits.typing_frames", o.rate_limits.typing_frames);
  require_rate("rate_limits.chat_tokens", o.rate_limits.chat_tokens);
  require_rate("rate_limits.reactions", o.rate_limits.reactions);
  require_rate("rate_limits.marks", o.rate_limits.marks);
  require_rate("rate_limits.pages", o.rate_limits.pages);
  require_rate("rate_limits.openings", o.rate_limits.openings);
  require_rate("rate_limits.unknown_tokens", o.rate_limits.unknown_tokens);
  return options;
}

http::Options to_http_options(const BeastServerOptions& options) {
  http::Options http;
  http.address = options.address;
  http.port = options.port;
  http.listens = options.listens;
  http.tls = options.tls;
  http.allowed_origins = options.allowed_origins;
  http.exposed_headers = "X-Has-More, X-Epoch, Retry-After";
  http.trusted_proxies = options.trusted_proxies;
  http.max_header_bytes = options.max_header_bytes;
  http.max_body_bytes = options.max_body_bytes;
  http.max_connections = options.max_connections;
  http.connections_per_address = options.rate_limits.connections_per_address;
  http.handshake_timeout = options.handshake_timeout;
  http.header_timeout = options.header_timeout;
  http.body_timeout = options.body_timeout;
  http.idle_timeout = options.idle_timeout;
  http.write_timeout = options.write_timeout;
  http.close_timeout = options.close_timeout;
  http.tick_interval = tick_interval(options);
  http.error_body = [](const ErrorInfo& error) { return wire::error_body(error); };
  return http;
}

websocket::SocketOptions to_socket_options(const BeastServerOptions& options) {
  websocket::SocketOptions socket;
  socket.frames = {options.max_frame_bytes, options.max_fragments};
  socket.max_outbox_bytes = options.max_outbox_bytes;
  socket.ping_interval = options.ping_interval;
  socket.silence_timeout = options.silence_timeout;
  socket.close_timeout = options.close_timeout;
  return socket;
}

}  // namespace travelchat::server
