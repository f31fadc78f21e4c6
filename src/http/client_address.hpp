// IP addresses, and from which of them a request comes when proxies are in between. No I/O.
//
// Values only; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct sockaddr_storage;

namespace travelchat::http {

// An IP address. An IPv4 address and its IPv6 form (::ffff:192.0.2.1) are the same.
class Address {
 public:
  // Like "192.0.2.1" or "2001:db8::1"; also as proxies and systems write them: "192.0.2.1:443", "[2001:db8::1]",
  // "[2001:db8::1]:443", "fe80::1%eth0". nullopt: none of these.
  static std::optional<Address> parse(std::string_view text);
  // Of an IPv4 or IPv6 peer.
  static Address of(const ::sockaddr_storage& peer) noexcept;

  bool is_v4() const noexcept;
  // Its shortest form (RFC 5952), IPv4 as such.
  std::string text() const;
  // The addresses that limits count as one: of an IPv6 address its /64, because a host that has one address there
  // usually has all of them; of an IPv4 address the address itself.
  Address network() const noexcept;

  // In its IPv6 form.
  const std::array<std::uint8_t, 16>& bytes() const noexcept { return bytes_; }
  friend bool operator==(const Address&, const Address&) noexcept = default;

 private:
  friend class AddressRange;
  static std::optional<Address> parse_bare(std::string_view text);

  std::array<std::uint8_t, 16> bytes_{};
};

struct AddressHash {
  std::size_t operator()(const Address& address) const noexcept;
};

// The key by which a limit counts a remote address: `network` as text, or the text itself when it is no address.
std::string address_key(std::string_view remote_address);

// An IP address, or all addresses of a network.
class AddressRange {
 public:
  // Like "192.0.2.1", "10.0.0.0/8" or "fd00::/8". nullopt: neither.
  static std::optional<AddressRange> parse(std::string_view text);

  bool contains(const Address& address) const noexcept;

 private:
  Address first_;
  unsigned bits_ = 0;
};

bool is_in(const Address& address, std::span<const AddressRange> ranges) noexcept;

// The nearest address that is no trusted proxy's, without its port. Each proxy appends the address of its peer to
// `forwarded_for` (the X-Forwarded-For lines, joined by commas), so the list is read from its end, and only as far as
// trusted proxies wrote it: the client may have invented what comes before. `peer` itself, as it is, when it is no
// address.
std::string client_address(std::string_view peer, std::string_view forwarded_for,
                           std::span<const AddressRange> trusted);

}  // namespace travelchat::http
