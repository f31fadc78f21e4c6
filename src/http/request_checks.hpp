// Pure checks of a request that come before routing: its target, its headers, and where it comes from.
//
// Values only; any thread.
#pragma once

#include <travelchat/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace travelchat::http {

bool iequals(std::string_view a, std::string_view b) noexcept;
std::string_view trim(std::string_view text) noexcept;

// The path of a request target, decoded and split. Movable; the views live as long as it does, and `raw_path` as long
// as the target that it was made from.
class TargetPath {
 public:
  static constexpr std::size_t max_segments = 16;

  // `path` has no query. `errc::invalid_argument`: not absolute, a bad percent sequence, a control character, invalid
  // UTF-8, or a ".." component, encoded or not.
  static result<TargetPath> parse(std::string_view path);

  std::string_view raw_path() const noexcept { return raw_; }
  std::string_view path() const noexcept { return decoded_; }
  // Decoded one by one, so that an encoded slash does not separate. Empty when there are more than `max_segments`.
  std::span<const std::string_view> segments() const noexcept { return {segments_.data(), count_}; }

 private:
  std::string_view raw_;
  std::string_view decoded_;
  std::array<std::string_view, max_segments> segments_{};
  std::size_t count_ = 0;
  std::unique_ptr<char[]> storage_;  // when something had to be decoded
};

// The part before "?", and the part after it.
std::pair<std::string_view, std::string_view> split_target(std::string_view target) noexcept;

// Decoded key-value pairs of a query, each key once.
class Query {
 public:
  // `errc::invalid_argument`: a key twice, a bad percent sequence, a control character or invalid UTF-8.
  static result<Query> parse(std::string_view query);

  std::optional<std::string_view> value(std::string_view key) const noexcept;
  const std::vector<std::pair<std::string, std::string>>& pairs() const noexcept { return pairs_; }

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

// Decimal digits only, at most 2^64 - 1.
std::optional<std::uint64_t> parse_number(std::string_view text) noexcept;

// The token of "Bearer <token>".
std::optional<std::string_view> bearer_token(std::string_view authorization) noexcept;

// Compares secrets in a time that tells only their lengths.
bool equal_secrets(std::string_view a, std::string_view b) noexcept;

// Whether a Content-Type is application/json, whatever its parameters.
bool is_json(std::string_view content_type) noexcept;
// Bytes of a JSON text in which each escape sequence of a string (RFC 8259 section 7) counts as the UTF-8 of what it
// stands for. For a text that is not JSON, at most its length.
std::size_t unescaped_size(std::string_view json) noexcept;

// Whether this Origin header is on the list; an absent one (empty) is not.
bool is_listed_origin(std::string_view origin, std::span<const std::string> allowed) noexcept;

// Whether a request that carries ambient credentials comes from the server's own pages or from an allowed origin. Empty
// strings for headers that are absent; without either header the sender is no browser and is trusted. `is_secure`: the
// server is reached by https, so a page that came by http is not the server's own.
bool is_trusted_origin(std::string_view origin, std::string_view fetch_site, std::string_view host, bool is_secure,
                       std::span<const std::string> allowed);

// Calls `is_it` with each comma-separated element of a header, trimmed, until it returns true.
template <class IsIt>
bool any_element(std::string_view list, IsIt is_it) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (is_it(trim(list.substr(0, comma)))) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}
// Whether a comma-separated header holds this token, without regard to case.
bool has_token(std::string_view list, std::string_view token) noexcept;

}  // namespace travelchat::http
