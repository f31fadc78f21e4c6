#include "transport/route_table.hpp"

#include <stdexcept>
#include <utility>

namespace travelchat::transport {

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

void HostRoutes::add(std::string method, std::string_view pattern, HttpHandler handler) {
  if (!pattern.starts_with('/')) throw std::invalid_argument("a route's pattern begins with /");
  Entry entry{std::move(method), {}, std::move(handler)};
  pattern.remove_prefix(1);
  for (;;) {
    const std::size_t slash = pattern.find('/');
    entry.segments.emplace_back(pattern.substr(0, slash));
    if (slash == pattern.npos) break;
    pattern.remove_prefix(slash + 1);
  }
  entries_.push_back(std::move(entry));
}

}  // namespace travelchat::transport
