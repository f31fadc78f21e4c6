// The limits, timeouts and addresses of a server's connections.
//
// The application fills it in from its own options (BeastServerOptions), which say the defaults and have been checked.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/http.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace travelchat::http {

struct Options {
  std::string address;
  std::uint16_t port = 0;
  bool listens = true;
  std::optional<TlsOptions> tls;

  // Origins whose pages may send requests with a cookie that write, and read answers that are shared with them, as the
  // server's own pages may.
  std::vector<std::string> allowed_origins;
  // The headers of an answer that those pages may read: names, separated by commas.
  std::string exposed_headers;
  std::vector<std::string> trusted_proxies;  // addresses or networks

  std::size_t max_header_bytes = 0;
  std::size_t max_body_bytes = 0;
  std::size_t max_connections = 0;
  std::size_t connections_per_address = 0;  // 0: no limit
  std::chrono::milliseconds handshake_timeout{0};
  std::chrono::milliseconds header_timeout{0};
  std::chrono::milliseconds body_timeout{0};
  std::chrono::milliseconds idle_timeout{0};
  std::chrono::milliseconds write_timeout{0};
  std::chrono::milliseconds close_timeout{0};
  // How often deadlines are looked at: a fraction of the shortest of them.
  std::chrono::milliseconds tick_interval{0};

  // The JSON body of the answer to a request that failed.
  std::string (*error_body)(const ErrorInfo& error) = nullptr;
};

}  // namespace travelchat::http
