// Which handler a request is for: patterns of path segments, where ":name" matches any one segment.
//
// Values only; any thread.
#pragma once

#include <travelchat/beast_server.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::transport {

struct Detached;
class Exchange;

// A pattern whose text outlives it.
class Pattern {
 public:
  static constexpr std::size_t max_segments = 8;
  static constexpr std::size_t max_params = 4;
  using Params = std::array<std::string_view, max_params>;

  constexpr Pattern() = default;
  constexpr Pattern(const char* literal) {  // NOLINT: a pattern is its text
    std::string_view text(literal);
    text.remove_prefix(1);
    for (;;) {
      const std::size_t slash = text.find('/');
      const std::string_view segment = text.substr(0, slash);
      segments_.at(count_++) = segment;
      if (slash == text.npos) break;
      text.remove_prefix(slash + 1);
    }
  }

  // Whether it matches every path that a pattern of these segments matches.
  bool covers(std::span<const std::string> segments) const;

  // Fills `params` in order when the path matches.
  constexpr bool match(std::span<const std::string_view> path, Params& params) const {
    if (path.size() != count_) return false;
    std::size_t param = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      if (segments_[i].starts_with(':')) {
        if (path[i].empty()) return false;
        params.at(param++) = path[i];
      } else if (segments_[i] != path[i]) {
        return false;
      }
    }
    return true;
  }

 private:
  std::array<std::string_view, max_segments> segments_{};
  std::size_t count_ = 0;
};

// In front of all paths of the chat's (BeastServerOptions::base_path).
class BasePath {
 public:
  static constexpr std::size_t max_segments = 8;

  BasePath() = default;
  // Throws OptionError.
  explicit BasePath(std::string_view path);

  const std::string& text() const noexcept { return text_; }
  // What comes behind it; nothing for a path that is not below it, which is no path of the chat's.
  template <class Segment>
  std::span<const Segment> strip(std::span<const Segment> path) const noexcept {
    if (path.size() < segments_.size() || !std::equal(segments_.begin(), segments_.end(), path.begin())) return {};
    return path.subspan(segments_.size());
  }

 private:
  std::string text_;
  std::vector<std::string> segments_;
};

// What a chat route takes in its body.
enum class BodyKind : std::uint8_t {
  none,      // ignored
  json,      // application/json, not empty
  optional,  // empty, or application/json
};

struct ChatRoute {
  std::string_view method;
  Pattern pattern;
  BodyKind body = BodyKind::none;
  Detached (*handle)(Exchange exchange) = nullptr;
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
           const BasePath& base = BasePath());
  std::span<const Entry> entries() const noexcept { return entries_; }

 private:
  std::vector<Entry> entries_;
};

}  // namespace travelchat::transport
