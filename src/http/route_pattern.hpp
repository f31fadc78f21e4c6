// Patterns of paths, where the segment ":name" matches any one segment, and what stands in front of all of a server's.
//
// Values only; any thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::http {

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

// The prefix of all of the chat's paths (BeastServerOptions::base_path).
class BasePath {
 public:
  static constexpr std::size_t max_segments = 8;

  BasePath() = default;
  // Throws OptionError.
  explicit BasePath(std::string_view path);

  const std::string& text() const noexcept { return text_; }
  // The segments behind the prefix; none for a path that is not below it.
  template <class Segment>
  std::span<const Segment> strip(std::span<const Segment> path) const noexcept {
    if (path.size() < segments_.size() || !std::equal(segments_.begin(), segments_.end(), path.begin())) return {};
    return path.subspan(segments_.size());
  }

 private:
  std::string text_;
  std::vector<std::string> segments_;
};

// The segments of a path that begins with a slash.
std::vector<std::string> split_path(std::string_view path);
// Whether a pattern of the segments `wide` matches every path that one of the segments `narrow` matches.
bool covers(std::span<const std::string> wide, std::span<const std::string> narrow);

}  // namespace travelchat::http
