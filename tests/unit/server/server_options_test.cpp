// A server refuses options that mean nothing, and says which.
#include "catch.hpp"

#include "server/server_options.hpp"

#include <functional>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace travelchat::server {
namespace {

std::string refused_option(const std::function<void(BeastServerOptions&)>& set) {
  BeastServerOptions options;
  set(options);
  try {
    checked(options);
    return "none";
  } catch (const OptionError& refused) {
    CHECK(error_code(refused.code()) == errc::invalid_argument);
    return refused.option();
  }
}

}  // namespace

TEST_CASE("a server's option that is not valid is refused by its name") {
  using Options = BeastServerOptions;
  CHECK(refused_option([](Options&) {}) == "none");
  for (const char* address : {"", "localhost", "127.0.0.1:80", "300.0.0.1", "0.0.0.0/0"}) {
    CHECK(refused_option([&](Options& o) { o.address = address; }) == "address");
  }
  CHECK(refused_option([](Options& o) { o.address = "::1"; }) == "none");
  CHECK(refused_option([](Options& o) { o.tls = TlsOptions{"", "key.pem"}; }) == "tls.certificate_chain");
  CHECK(refused_option([](Options& o) { o.tls = TlsOptions{"chain.pem", ""}; }) == "tls.private_key");
  for (const char* path : {"chat", "/", "/chat/", "//chat", "/a//b", "/..", "/a/./b", "/a b", "/a%20b", "/a?b", "/ä",
                           "/1/2/3/4/5/6/7/8/9"}) {
    INFO(path);
    CHECK(refused_option([&](Options& o) { o.base_path = path; }) == "base_path");
  }
  for (const char* path : {"", "/chat", "/a/b", "/v1.2/~me_-", "/1/2/3/4/5/6/7/8"}) {
    INFO(path);
    Options options;
    options.base_path = path;
    CHECK_NOTHROW(checked(options));
  }
  for (const char* proxy : {"", "nearby", "10.0.0.0/33", "10.0.0.1:80"}) {
    CHECK(refused_option([&](Options& o) { o.trusted_proxies = {"10.0.0.1", proxy}; }) == "trusted_proxies");
  }
  CHECK(refused_option([](Options& o) { o.max_header_bytes = 0; }) == "max_header_bytes");
  CHECK(refused_option([](Options& o) { o.max_connections = 0; }) == "max_connections");
  CHECK(refused_option([](Options& o) { o.header_timeout = 0ms; }) == "header_timeout");
  CHECK(refused_option([](Options& o) { o.close_timeout = -1ms; }) == "close_timeout");
  CHECK(refused_option([](Options& o) { o.idle_timeout = std::chrono::milliseconds::max(); }) == "idle_timeout");
  CHECK(refused_option([](Options& o) { o.ping_interval = o.silence_timeout; }) == "silence_timeout");
  CHECK(refused_option([](Options& o) { o.rate_limits.messages = {20, 0ms}; }) == "rate_limits.messages.window");
  CHECK(refused_option([](Options& o) { o.rate_limits = RateLimits::off(); }) == "none");
  for (const char* token : {"", "short", "0123456789 abcdef", "0123456789abcde\xC3\xA9"}) {
    CHECK(refused_option([&](Options& o) { o.metrics = MetricsAccess::token, o.metrics_token = token; }) ==
          "metrics_token");
  }
  CHECK(refused_option([](Options& o) { o.metrics_token = "0123456789abcdef"; }) == "metrics_token");
  CHECK(refused_option([](Options& o) { o.metrics = MetricsAccess::token, o.metrics_token = "0123456789abcdef"; }) ==
        "none");
}

TEST_CASE("an allowed origin is one that a browser sends") {
  const auto is_refused = [](const std::string& origin) {
    return refused_option([&](BeastServerOptions& o) { o.allowed_origins = {origin}; }) == "allowed_origins";
  };
  for (const char* origin : {"https://app.example", "http://127.0.0.1:8080", "http://[::1]:3000", "http://a_b.example",
                             "https://xn--bcher-kva.example", "http://localhost"}) {
    INFO(origin);
    CHECK_FALSE(is_refused(origin));
  }
  for (const char* origin : {"",
                             "*",
                             "null",
                             "app.example",
                             "https://",
                             "https://app.example/",
                             "https://App.example",
                             "https://app.example:443",
                             "http://app.example:80",
                             "https://app.example:0",
                             "https://app.example:",
                             "https://app.example:65536",
                             "https://app.example:080",
                             "https://u@app.example",
                             "https://*.app.example",
                             "ws://app.example",
                             "https://[::1",
                             "https://[::1]x",
                             " https://app.example",
                             "https://a.example,https://b.example"}) {
    INFO(origin);
    CHECK(is_refused(origin));
  }
}

}  // namespace travelchat::server
