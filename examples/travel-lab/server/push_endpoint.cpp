#include "push_endpoint.hpp"

#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace travel_lab {
namespace {

namespace ip = boost::asio::ip;

struct BlockV4 {
  std::uint32_t start;
  int prefix;
};

constexpr std::uint32_t v4(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}

constexpr std::array<BlockV4, 15> reserved_v4 = {{
    {v4(0, 0, 0, 0), 8},        // this network
    {v4(10, 0, 0, 0), 8},       // private
    {v4(100, 64, 0, 0), 10},    // carrier-grade NAT
    {v4(127, 0, 0, 0), 8},      // loopback
    {v4(169, 254, 0, 0), 16},   // link-local, where clouds keep their metadata
    {v4(172, 16, 0, 0), 12},    // private
    {v4(192, 0, 0, 0), 24},     // protocol assignments
    {v4(192, 0, 2, 0), 24},     // documentation
    {v4(192, 88, 99, 0), 24},   // 6to4 relays
    {v4(192, 168, 0, 0), 16},   // private
    {v4(198, 18, 0, 0), 15},    // benchmarks
    {v4(198, 51, 100, 0), 24},  // documentation
    {v4(203, 0, 113, 0), 24},   // documentation
    {v4(224, 0, 0, 0), 4},      // multicast
    {v4(240, 0, 0, 0), 4},      // reserved, and broadcast
}};

bool is_public(const ip::address_v4& address) {
  const std::uint32_t number = address.to_uint();
  return std::ranges::none_of(
      reserved_v4, [number](const BlockV4& block) { return (number ^ block.start) >> (32 - block.prefix) == 0; });
}

// Only 2000::/3 is given out; the exceptions lie within it.
bool is_public(const ip::address_v6& address) {
  const auto bytes = address.to_bytes();
  const auto group = [&bytes](std::size_t i) { return static_cast<unsigned>(bytes[2 * i] << 8 | bytes[2 * i + 1]); };
  if (bytes[0] >> 5 != 1 || address.scope_id() != 0) return false;
  if (group(0) == 0x2001 && group(1) < 0x200) return false;   // 2001::/23: protocol assignments, Teredo
  if (group(0) == 0x2001 && group(1) == 0xDB8) return false;  // 2001:db8::/32: documentation
  if (group(0) == 0x2002) return false;                       // 2002::/16: 6to4
  return group(0) != 0x3FFF || group(1) >= 0x1000;            // 3fff::/20: documentation
}

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

bool is_name_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '.' || c == '_';
}

// A name that resolvers would take for an address in one of its older spellings ("127.1", "0x7f000001").
bool ends_in_number(std::string_view name) {
  const std::string_view last = name.substr(name.rfind('.') + 1);
  return last.starts_with("0x") || (!last.empty() && std::ranges::all_of(last, is_digit));
}

bool is_name(std::string_view host) {
  return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, is_name_character) && host.front() != '.' &&
         host.back() != '.' && host.find("..") == host.npos && !ends_in_number(host);
}

bool is_private_name(std::string_view host) {
  return host.find('.') == host.npos || host.ends_with(".localhost") || host.ends_with(".local") ||
         host.ends_with(".internal");
}

}  // namespace

bool is_public_address(const ip::address& address) {
  return address.is_v4() ? is_public(address.to_v4()) : is_public(address.to_v6());
}

std::optional<PushEndpoint> parse_push_endpoint(std::string_view url, bool allow_private) {
  constexpr std::string_view scheme = "https://";
  if (url.size() > max_endpoint_bytes || !url.starts_with(scheme)) return std::nullopt;
  // Visible ASCII only: the target becomes part of a request. A backslash is a slash to browsers and to nobody else.
  if (!std::ranges::all_of(url, [](char c) { return c > ' ' && c < '\x7f' && c != '\\' && c != '#'; })) {
    return std::nullopt;
  }
  std::string_view rest = url.substr(scheme.size());
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, end);
  const std::string_view target = rest.substr(end);
  if (authority.find('@') != authority.npos) return std::nullopt;

  PushEndpoint endpoint;
  endpoint.port = "443";
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.find(':', bracket == authority.npos ? 0 : bracket);
  if (colon != authority.npos) {
    const std::string_view text = authority.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [stop, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (ec != std::errc{} || stop != text.data() + text.size() || port == 0) return std::nullopt;
    endpoint.port = std::to_string(port);
    authority = authority.substr(0, colon);
  }
  for (const char c : authority) endpoint.host += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  endpoint.origin = std::string(scheme) + endpoint.host;
  if (endpoint.port != "443") endpoint.origin += ':' + endpoint.port;

  const bool has_brackets = endpoint.host.starts_with('[') && endpoint.host.ends_with(']');
  if (has_brackets) endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
  boost::system::error_code ec;
  const ip::address address = has_brackets ? ip::address(ip::make_address_v6(endpoint.host, ec))
                                           : ip::address(ip::make_address_v4(endpoint.host, ec));
  endpoint.is_address = !ec;
  if (endpoint.is_address) {
    if (!allow_private && !is_public_address(address)) return std::nullopt;
  } else if (has_brackets || !is_name(endpoint.host) || (!allow_private && is_private_name(endpoint.host))) {
    return std::nullopt;
  }
  if (!target.starts_with('/')) endpoint.target = '/';
  endpoint.target += target;
  return endpoint;
}

}  // namespace travel_lab
