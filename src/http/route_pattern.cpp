#include "http/route_pattern.hpp"

#include "core/options.hpp"

#include <algorithm>

namespace travelchat::http {
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

}  // namespace

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> segments;
  path.remove_prefix(1);
  for (;;) {
    const std::size_t slash = path.find('/');
    segments.emplace_back(path.substr(0, slash));
    if (slash == path.npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

bool covers(std::span<const std::string> wide, std::span<const std::string> narrow) {
  return covers_all(wide, narrow);
}

BasePath::BasePath(std::string_view path) : text_(path) {
  if (path.empty()) return;
  const auto is_plain = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~").find(c) != std::string_view::npos;
  };
  // Clients remove "." and ".." from a path before they send it.
  const auto is_segment = [&](const std::string& segment) {
    return !segment.empty() && segment != "." && segment != ".." && std::ranges::all_of(segment, is_plain);
  };
  if (path.front() == '/') segments_ = split_path(path);
  if (segments_.empty() || segments_.size() > max_segments || !std::ranges::all_of(segments_, is_segment)) {
    refuse("base_path", "must be empty or like /chat: up to 8 times a slash and letters, digits or -._~, which \"" +
                            text_ + "\" is not");
  }
}

bool Pattern::covers(std::span<const std::string> segments) const {
  return covers_all(std::span(segments_).first(count_), segments);
}

}  // namespace travelchat::http
