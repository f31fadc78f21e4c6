#include "http/route_table.hpp"

#include "core/options.hpp"

#include <algorithm>
#include <utility>

namespace travelchat::transport {
namespace {

using options::refuse;

// Whether a pattern matches every path that another one matches.
template <class Wide, class Narrow>
bool covers_all(const Wide& wide, const Narrow& narrow) {
  return std::ranges::equal(wide, narrow, [](std::string_view one, std::string_view other) {
    if (!one.starts_with(':')) return one == other;
    return !other.empty();
  });
}

std::vector<std::string> split(std::string_view pattern) {
  std::vector<std::string> segments;
  pattern.remove_prefix(1);
  for (;;) {
    const std::size_t slash = pattern.find('/');
    segments.emplace_back(pattern.substr(0, slash));
    if (slash == pattern.npos) return segments;
    pattern.remove_prefix(slash + 1);
  }
}

bool is_chats(std::span<const std::string> segments, MetricsAccess metrics) {
  for (const Pattern& socket : {Pattern("/ws/chat"), Pattern("/ws/inbox")}) {
    if (socket.covers(segments)) return true;
  }
  // Whatever the method: what the chat does not have there, it answers 405.
  return std::ranges::any_of(chat_routes(), [&](const ChatRoute& route) {
    return route.is_served(metrics) && route.pattern.covers(segments);
  });
}

}  // namespace

BasePath::BasePath(std::string_view path) : text_(path) {
  if (path.empty()) return;
  const auto is_plain = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~").find(c) != std::string_view::npos;
  };
  // "." and ".." are taken out of a path by whoever sends it.
  const auto is_segment = [&](const std::string& segment) {
    return !segment.empty() && segment != "." && segment != ".." && std::ranges::all_of(segment, is_plain);
  };
  if (path.front() == '/') segments_ = split(path);
  if (segments_.empty() || segments_.size() > max_segments || !std::ranges::all_of(segments_, is_segment)) {
    refuse("base_path", "must be empty or like /chat: up to 8 times a slash and letters, digits or -._~, which \"" +
                            text_ + "\" is not");
  }
}

bool Pattern::covers(std::span<const std::string> segments) const {
  return covers_all(std::span(segments_).first(count_), segments);
}

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
                     const BasePath& base) {
  const auto is_capital = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (method.empty() || !std::ranges::all_of(method, is_capital)) {
    refuse("method", "must be in capital letters, like GET, which \"" + method + "\" is not");
  }
  if (method == "HEAD") refuse("method", "must not be HEAD, which the route of GET answers");
  if (!pattern.starts_with('/')) refuse("pattern", "must begin with /, which \"" + pattern + "\" does not");
  if (!handler) refuse("handler", "must not be empty");
  std::vector<std::string> segments = split(pattern);
  if (is_chats(base.strip(std::span<const std::string>(segments)), metrics))
    refuse("pattern", "must not be one of the chat's own paths, as " + pattern + " is");
  for (const Entry& earlier : entries_) {
    if (earlier.method == method && covers_all(earlier.segments, segments)) {
      refuse("pattern", "must have paths of its own: " + method + ' ' + earlier.pattern + " takes all of " + pattern);
    }
  }
  entries_.push_back({std::move(method), std::move(pattern), std::move(segments), std::move(handler)});
}

}  // namespace travelchat::transport
