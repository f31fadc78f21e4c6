// Which handler a request is for: the chat's own routes, and those that the embedder added.
//
// Values only; any thread.
#pragma once

#include "http/route_pattern.hpp"

#include <travelchat/beast_server.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::server {

struct DetachedTask;
class ChatExchange;

// What a chat route takes in its body.
enum class BodyKind : std::uint8_t {
  none,      // ignored
  json,      // application/json, not empty
  optional,  // empty, or application/json
};

struct ChatRoute {
  std::string_view method;
  http::Pattern pattern;
  BodyKind body = BodyKind::none;
  DetachedTask (*handle)(ChatExchange exchange) = nullptr;
  // Also for pages of the allowed origins (CORS): what needs no session, so that a widget in another site's page works.
  bool cross_origin = false;
  // Only where BeastServerOptions::metrics is not `nobody`.
  bool is_metrics = false;

  bool is_served(MetricsAccess metrics) const noexcept { return !is_metrics || metrics != MetricsAccess::nobody; }
};

// The chat's own routes.
std::span<const ChatRoute> chat_routes() noexcept;
// How their paths begin, and those of the sockets: all but the variable parts.
std::span<const std::string_view> chat_roots() noexcept;

// Routes that the embedder added.
class HostRoutes {
 public:
  struct Entry {
    std::string method;
    std::string pattern;
    std::vector<std::string> segments;
    HttpHandler handler;
    bool match(std::span<const std::string_view> path, std::vector<std::string>* params) const;
  };

  // Throws OptionError, see BeastServer::route.
  void add(std::string method, std::string pattern, HttpHandler handler, MetricsAccess metrics,
           const http::BasePath& base = http::BasePath());
  std::span<const Entry> entries() const noexcept { return entries_; }

 private:
  std::vector<Entry> entries_;
};

}  // namespace travelchat::server
