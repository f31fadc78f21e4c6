#include "http/client_address.hpp"

#include "http/request_checks.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace travelchat::http {
namespace {

constexpr std::array<std::uint8_t, 12> mapped_prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned mapped_bits = 8 * mapped_prefix.size();
constexpr std::size_t network_bytes = 8;  // a /64

bool is_port(std::string_view text) noexcept {
  std::uint16_t port = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
  return ec == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::optional<Address> Address::parse_bare(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != text.npos) return std::nullopt;
  std::copy(text.begin(), text.end(), terminated.begin());
  Address address;
  if (::inet_pton(AF_INET6, terminated.data(), address.bytes_.data()) == 1) return address;
  std::copy(mapped_prefix.begin(), mapped_prefix.end(), address.bytes_.begin());
  if (::inet_pton(AF_INET, terminated.data(), address.bytes_.data() + mapped_prefix.size()) == 1) return address;
  return std::nullopt;
}

std::optional<Address> Address::parse(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == text.npos) return std::nullopt;
    const std::string_view behind = text.substr(end + 1);
    if (!behind.empty() && (behind.front() != ':' || !is_port(behind.substr(1)))) return std::nullopt;
    text = text.substr(1, end - 1);
    if (text.find(':') == text.npos) return std::nullopt;
  } else if (const std::size_t colon = text.find(':');
             colon != text.npos && text.find(':', colon + 1) == text.npos) {  // one colon alone: IPv4 and a port
    if (!is_port(text.substr(colon + 1))) return std::nullopt;
    text = text.substr(0, colon);
  }
  // Drops the zone of a link-local address ("%eth0"), which means something on this machine only.
  if (text.find(':') != text.npos) text = text.substr(0, text.find('%'));
  return parse_bare(text);
}

Address Address::of(const ::sockaddr_storage& peer) noexcept {
  Address address;
  if (peer.ss_family == AF_INET) {
    std::copy(mapped_prefix.begin(), mapped_prefix.end(), address.bytes_.begin());
    std::memcpy(address.bytes_.data() + mapped_prefix.size(), &reinterpret_cast<const ::sockaddr_in&>(peer).sin_addr,
                sizeof(::in_addr));
  } else {
    std::memcpy(address.bytes_.data(), &reinterpret_cast<const ::sockaddr_in6&>(peer).sin6_addr, sizeof(::in6_addr));
  }
  return address;
}

bool Address::is_v4() const noexcept {
  return std::equal(mapped_prefix.begin(), mapped_prefix.end(), bytes_.begin());
}

std::string Address::text() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (is_v4())
    ::inet_ntop(AF_INET, bytes_.data() + mapped_prefix.size(), text.data(), text.size());
  else
    ::inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
  return text.data();
}

Address Address::network() const noexcept {
  Address network = *this;
  if (!is_v4()) std::fill(network.bytes_.begin() + network_bytes, network.bytes_.end(), std::uint8_t{0});
  return network;
}

std::size_t AddressHash::operator()(const Address& address) const noexcept {
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(address.bytes().data()), address.bytes().size()});
}

std::string address_key(std::string_view remote_address) {
  const auto address = Address::parse(remote_address);
  return address ? address->network().text() : std::string(remote_address);
}

std::optional<AddressRange> AddressRange::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view first = text.substr(0, slash);
  const auto address = Address::parse_bare(first);
  if (!address) return std::nullopt;
  // The bits of an IPv4 network count from the start of its four bytes, not of its IPv6 form.
  const bool is_short = first.find(':') == first.npos;
  const unsigned most = is_short ? 32 : 128;
  unsigned bits = most;
  if (slash != text.npos) {
    const char* const end = text.data() + text.size();
    const auto [rest, ec] = std::from_chars(text.data() + slash + 1, end, bits);
    if (ec != std::errc() || rest != end || bits > most) return std::nullopt;
  }
  AddressRange range;
  range.first_ = *address;
  range.bits_ = is_short ? mapped_bits + bits : bits;
  return range;
}

bool AddressRange::contains(const Address& address) const noexcept {
  const auto& first = first_.bytes();
  const auto& bytes = address.bytes();
  const std::size_t whole = bits_ / 8;
  if (!std::equal(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(whole), bytes.begin())) return false;
  if (bits_ % 8 == 0) return true;
  return (first[whole] ^ bytes[whole]) >> (8 - bits_ % 8) == 0;
}

bool is_in(const Address& address, std::span<const AddressRange> ranges) noexcept {
  return std::any_of(ranges.begin(), ranges.end(), [&](const AddressRange& range) { return range.contains(address); });
}

std::string client_address(std::string_view peer, std::string_view forwarded_for,
                           std::span<const AddressRange> trusted) {
  auto nearest = Address::parse(peer);
  if (!nearest) return std::string(peer);
  while (!forwarded_for.empty() && is_in(*nearest, trusted)) {
    const std::size_t comma = forwarded_for.rfind(',');
    const auto entry =
        Address::parse(trim(comma == forwarded_for.npos ? forwarded_for : forwarded_for.substr(comma + 1)));
    if (!entry) break;
    nearest = entry;
    forwarded_for = forwarded_for.substr(0, comma == forwarded_for.npos ? 0 : comma);
  }
  return nearest->text();
}

}  // namespace travelchat::http
