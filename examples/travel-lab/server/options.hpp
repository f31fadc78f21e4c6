// What the operator asks for: command line over environment (TRAVELCHAT_...) over a TOML file over the defaults here.
#pragma once

#include "log.hpp"

#include <travelchat/beast_server.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace travel_lab {

struct ServeOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;  // 0: a free one
  std::filesystem::path data = "travelchat-data";
  std::string storage;                 // a PostgreSQL URL, which may hold a password; empty: SQLite in `data`
  std::vector<std::string> backplane;  // NATS URLs, which may hold a password; empty: this node is alone
  std::optional<std::filesystem::path> backplane_key_file;
  std::optional<std::size_t> demo_clients;  // empty: no demonstration data
  std::optional<std::filesystem::path> web;
  std::size_t io_threads = 0;  // 0: one for each processor
  LogLevel log_level = LogLevel::info;

  travelchat::MetricsAccess metrics = travelchat::MetricsAccess::everyone;
  std::optional<std::filesystem::path> metrics_token_file;
  std::optional<std::filesystem::path> tls_certificate;
  std::optional<std::filesystem::path> tls_key;
  std::chrono::milliseconds hsts_max_age = std::chrono::hours{24 * 365};  // 0: browsers are not told
  bool secure_cookies = false;  // also without TLS of its own, behind a proxy that has it
  std::vector<std::string> allowed_origins;
  std::vector<std::string> trusted_proxies;              // addresses or networks
  std::optional<std::filesystem::path> jwt_secret_file;  // empty: no Bearer tokens
  std::string jwt_audience = "travelchat";
  std::chrono::milliseconds jwt_max_lifetime = std::chrono::hours{24};
  bool push = true;          // notifications on advisors' browsers
  std::string push_contact;  // a mailto: or https: URI; empty: push services are not told
  std::optional<std::filesystem::path> push_ca_file;
  bool push_allow_private = false;
  std::chrono::milliseconds session_lifetime = std::chrono::hours{24 * 7};
  std::chrono::milliseconds session_idle_timeout = std::chrono::hours{24};
  std::chrono::milliseconds token_lifetime = std::chrono::hours{24};

  bool rate_limits = true;
  travelchat::RateLimits limits;  // while `rate_limits` is on
  std::size_t max_kept_changes = 1'000;
  std::chrono::milliseconds max_change_age = std::chrono::hours{24 * 30};
  std::size_t max_connections = 100'000;
  std::size_t max_outbox_bytes = 1024 * 1024;
  std::chrono::milliseconds handshake_timeout = std::chrono::seconds{10};
  std::chrono::milliseconds header_timeout = std::chrono::seconds{10};
  std::chrono::milliseconds body_timeout = std::chrono::seconds{30};
  std::chrono::milliseconds idle_timeout = std::chrono::seconds{60};
  std::chrono::milliseconds host_timeout = std::chrono::seconds{30};  // 0: for ever
  std::chrono::milliseconds ping_interval = std::chrono::seconds{25};
  std::chrono::milliseconds silence_timeout = std::chrono::seconds{35};
  std::chrono::milliseconds typing_timeout = std::chrono::seconds{6};
};

// `add-advisor`: makes an advisor, and the organization when there is none of that name.
struct AddAdvisorOptions {
  std::filesystem::path data;
  std::string storage;
  std::string organization;
  std::string email;
  std::string full_name;
};

// `add-trip`: makes a shared trip for a client, and the client when the advisor's organization has none of that name.
struct AddTripOptions {
  std::filesystem::path data;
  std::string storage;
  std::string advisor_email;
  std::string client_name;
  std::string title;
};

// `set-password`: another password for an advisor, whose sessions end.
struct SetPasswordOptions {
  std::filesystem::path data;
  std::string storage;
  std::string email;
};

// `disable-advisor`, whose sessions end, and `enable-advisor`.
struct AdvisorAccessOptions {
  std::filesystem::path data;
  std::string storage;
  std::string email;
  bool may_sign_in = false;
};

// `end-sessions`: signs an advisor out everywhere, or everybody.
struct EndSessionsOptions {
  std::filesystem::path data;
  std::string storage;
  std::optional<std::string> email;  // empty: everybody
};

// `new-epoch`: to be run after a backup was restored, so that clients load everything again.
struct NewEpochOptions {
  std::filesystem::path data;
  std::string storage;
};

// --help and --version, or an error: what to print and how to end.
struct Exit {
  int status = 0;
  std::string text;  // without a final line break
};

// `arguments` without the program's name. Reads the environment and the file that --config names.
using Command = std::variant<ServeOptions, AddAdvisorOptions, AddTripOptions, SetPasswordOptions, AdvisorAccessOptions,
                             EndSessionsOptions, NewEpochOptions, Exit>;
Command parse_options(std::vector<std::string> arguments);

}  // namespace travel_lab
