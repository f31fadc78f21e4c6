#include "transport/client_address.hpp"

#include "transport/request_checks.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace travelchat::transport {
namespace {

using Bytes = std::array<std::uint8_t, 16>;
constexpr unsigned mapped_bits = 96;  // of the prefix of an IPv4 address in its IPv6 form

struct Parsed {
  Bytes bytes{};
  bool is_v4 = false;
};

std::optional<Parsed> parse_address(std::string_view text) {
  const std::string terminated(text);
  Parsed parsed;
  if (::inet_pton(AF_INET6, terminated.c_str(), parsed.bytes.data()) == 1) return parsed;
  parsed.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  parsed.is_v4 = true;
  if (::inet_pton(AF_INET, terminated.c_str(), parsed.bytes.data() + mapped_bits / 8) == 1) return parsed;
  return std::nullopt;
}

bool is_trusted(std::string_view address, std::span<const AddressRange> trusted) {
  return std::any_of(trusted.begin(), trusted.end(),
                     [&](const AddressRange& range) { return range.contains(address); });
}

}  // namespace

std::optional<AddressRange> AddressRange::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  const unsigned most = address->is_v4 ? 32 : 128;
  unsigned bits = most;
  if (slash != text.npos) {
    const char* const end = text.data() + text.size();
    const auto [rest, ec] = std::from_chars(text.data() + slash + 1, end, bits);
    if (ec != std::errc() || rest != end || bits > most) return std::nullopt;
  }
  AddressRange range;
  range.first_ = address->bytes;
  range.bits_ = address->is_v4 ? mapped_bits + bits : bits;
  return range;
}

bool AddressRange::contains(std::string_view text) const {
  const auto address = parse_address(text);
  if (!address) return false;
  const std::size_t whole = bits_ / 8;
  if (!std::equal(first_.begin(), first_.begin() + static_cast<std::ptrdiff_t>(whole), address->bytes.begin()))
    return false;
  if (bits_ % 8 == 0) return true;
  return (first_[whole] ^ address->bytes[whole]) >> (8 - bits_ % 8) == 0;
}

std::string_view client_address(std::string_view peer, std::string_view forwarded_for,
                                std::span<const AddressRange> trusted) {
  std::string_view nearest = peer;
  while (!forwarded_for.empty() && is_trusted(nearest, trusted)) {
    const std::size_t comma = forwarded_for.rfind(',');
    const std::string_view entry = trim(comma == forwarded_for.npos ? forwarded_for : forwarded_for.substr(comma + 1));
    if (!parse_address(entry)) break;
    nearest = entry;
    forwarded_for = forwarded_for.substr(0, comma == forwarded_for.npos ? 0 : comma);
  }
  return nearest;
}

}  // namespace travelchat::transport
