#include "server/route_table.hpp"

#include "core/options.hpp"

#include <algorithm>
#include <utility>

namespace travelchat::server {
namespace {

using options::refuse;

bool is_chats(std::span<const std::string> segments, MetricsAccess metrics) {
  for (const http::Pattern& socket : {http::Pattern("/ws/chat"), http::Pattern("/ws/inbox")}) {
    if (socket.covers(segments)) return true;
  }
  // Whatever the method: what the chat does not have there, it answers 405.
  return std::ranges::any_of(chat_routes(), [&](const ChatRoute& route) {
    return route.is_served(metrics) && route.pattern.covers(segments);
  });
}

}  // namespace

bool HostRoutes::Entry::match(std::span<const std::string_view> path, std::vector<std::string>* params) const {
  if (path.size() != segments.size()) return false;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (segments[i].starts_with(':') ? path[i].empty() : segments[i] != path[i]) return false;
  }
  if (params != nullptr) {
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (segments[i].starts_with(':')) params->emplace_back(path[i]);
    }
  }
  return true;
}

void HostRoutes::add(std::string method, std::string pattern, HttpHandler handler, MetricsAccess metrics,
                     const http::BasePath& base) {
  const auto is_capital = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (method.empty() || !std::ranges::all_of(method, is_capital)) {
    refuse("method", "must be in capital letters, like GET, which \"" + method + "\" is not");
  }
  if (method == "HEAD") refuse("method", "must not be HEAD, which the route of GET answers");
  if (!pattern.starts_with('/')) refuse("pattern", "must begin with /, which \"" + pattern + "\" does not");
  if (!handler) refuse("handler", "must not be empty");
  std::vector<std::string> segments = http::split_path(pattern);
  if (is_chats(base.strip(std::span<const std::string>(segments)), metrics))
    refuse("pattern", "must not be one of the chat's own paths, as " + pattern + " is");
  for (const Entry& earlier : entries_) {
    if (earlier.method == method && http::covers(earlier.segments, segments)) {
      refuse("pattern", "must have paths of its own: " + method + ' ' + earlier.pattern + " takes all of " + pattern);
    }
  }
  entries_.push_back({std::move(method), std::move(pattern), std::move(segments), std::move(handler)});
}

}  // namespace travelchat::server
