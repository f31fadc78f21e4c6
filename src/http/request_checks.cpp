#include "http/request_checks.hpp"

#include <travelchat/utf8.hpp>

#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>

namespace travelchat::http {
namespace {

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

constexpr int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

// Decodes into `out`, which has room for `text`; returns the end, or null when a sequence is bad.
char* decode(std::string_view text, bool plus_is_space, char* out) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return nullptr;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return nullptr;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (is_control(c)) return nullptr;
    *out++ = c;
  }
  return out;
}

bool decode(std::string_view text, std::string& out) {
  out.resize(text.size());
  const char* const end = decode(text, true, out.data());
  if (end == nullptr) return false;
  out.resize(static_cast<std::size_t>(end - out.data()));
  return is_valid_utf8(out);
}

bool has_parent_component(std::string_view path) noexcept {
  for (std::size_t at = 0; (at = path.find("..", at)) != path.npos; ++at) {
    const bool begins = at == 0 || path[at - 1] == '/';
    const bool ends = at + 2 == path.size() || path[at + 2] == '/';
    if (begins && ends) return true;
  }
  return false;
}

// Without the scheme's default port.
std::string_view authority_of(std::string_view host, std::string_view default_port) noexcept {
  if (host.ends_with(default_port)) host.remove_suffix(default_port.size());
  return host;
}

}  // namespace

bool iequals(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::pair<std::string_view, std::string_view> split_target(std::string_view target) noexcept {
  const std::size_t at = target.find('?');
  if (at == target.npos) return {target, {}};
  return {target.substr(0, at), target.substr(at + 1)};
}

result<TargetPath> TargetPath::parse(std::string_view path) {
  if (path.empty() || path.front() != '/') return errc::invalid_argument;
  TargetPath parsed;
  parsed.raw_ = path;
  const bool encoded = path.find('%') != path.npos;
  std::string_view rest = path.substr(1);
  char* out = nullptr;
  if (encoded) {
    parsed.storage_ = std::make_unique<char[]>(path.size());
    out = parsed.storage_.get();
    *out++ = '/';
  } else {
    if (std::any_of(path.begin(), path.end(), is_control) || !is_valid_utf8(path)) return errc::invalid_argument;
    parsed.decoded_ = path;
  }
  bool too_many = false;
  for (;;) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    std::string_view segment = rest.substr(0, slash);
    if (encoded) {
      char* const end = decode(segment, false, out);
      if (end == nullptr) return errc::invalid_argument;
      segment = {out, static_cast<std::size_t>(end - out)};
      out = end;
    }
    if (parsed.count_ < max_segments)
      parsed.segments_[parsed.count_++] = segment;
    else
      too_many = true;
    if (slash == rest.size()) break;
    rest.remove_prefix(slash + 1);
    if (encoded) *out++ = '/';
  }
  if (encoded) {
    parsed.decoded_ = {parsed.storage_.get(), static_cast<std::size_t>(out - parsed.storage_.get())};
    if (!is_valid_utf8(parsed.decoded_)) return errc::invalid_argument;
  }
  if (has_parent_component(parsed.decoded_)) return errc::invalid_argument;
  if (too_many) parsed.count_ = 0;
  return parsed;
}

result<Query> Query::parse(std::string_view query) {
  Query parsed;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    std::string key;
    std::string value;
    if (!decode(pair.substr(0, equals), key)) return errc::invalid_argument;
    if (!decode(pair.substr(std::min(equals + 1, pair.size())), value)) return errc::invalid_argument;
    if (parsed.value(key)) return errc::invalid_argument;
    parsed.pairs_.emplace_back(std::move(key), std::move(value));
  }
  return parsed;
}

std::optional<std::string_view> Query::value(std::string_view key) const noexcept {
  for (const auto& [name, text] : pairs_) {
    if (name == key) return text;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::string_view> bearer_token(std::string_view authorization) noexcept {
  constexpr std::string_view scheme = "bearer ";
  if (authorization.size() < scheme.size() || !iequals(authorization.substr(0, scheme.size()), scheme)) {
    return std::nullopt;
  }
  return trim(authorization.substr(scheme.size()));
}

bool equal_secrets(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool is_json(std::string_view content_type) noexcept {
  return iequals(trim(content_type.substr(0, content_type.find(';'))), "application/json");
}

std::size_t unescaped_size(std::string_view json) noexcept {
  std::size_t size = 0;
  while (!json.empty()) {
    size += 1;
    if (json.front() != '\\') {
      json.remove_prefix(1);
      continue;
    }
    const std::string_view digits = json.starts_with("\\u") ? json.substr(2, 4) : std::string_view();
    std::uint32_t unit = 0;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), unit, 16);
    const bool is_unit = digits.size() == 4 && ec == std::errc() && end == digits.data() + digits.size();
    json.remove_prefix(std::min<std::size_t>(is_unit ? 6 : 2, json.size()));
    // Two surrogates are four bytes together.
    if (is_unit && unit >= 0x80) size += unit < 0x800 || (unit >= 0xD800 && unit <= 0xDFFF) ? 1 : 2;
  }
  return size;
}

bool is_listed_origin(std::string_view origin, std::span<const std::string> allowed) noexcept {
  return !origin.empty() &&
         std::any_of(allowed.begin(), allowed.end(), [&](const std::string& entry) { return iequals(origin, entry); });
}

bool is_trusted_origin(std::string_view origin, std::string_view fetch_site, std::string_view host, bool is_secure,
                       std::span<const std::string> allowed) {
  if (!origin.empty()) {
    if (is_listed_origin(origin, allowed)) return true;
    // An https page is accepted also where the server itself speaks http: it may be behind a proxy that ends TLS and
    // does not say so.
    std::string_view default_port;
    std::string_view authority;
    if (iequals(origin.substr(0, 8), "https://")) {
      authority = origin.substr(8);
      default_port = ":443";
    } else if (!is_secure && iequals(origin.substr(0, 7), "http://")) {
      authority = origin.substr(7);
      default_port = ":80";
    } else {
      return false;
    }
    if (host.empty() || !iequals(authority_of(authority, default_port), authority_of(host, default_port))) return false;
  }
  return fetch_site.empty() || iequals(fetch_site, "same-origin") || iequals(fetch_site, "none");
}

bool has_token(std::string_view list, std::string_view token) noexcept {
  return any_element(list, [&](std::string_view element) { return iequals(element, token); });
}

}  // namespace travelchat::http
