// Whose request it is when proxies stand in between: pure decisions about addresses.
//
// Values only; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace travelchat::transport {

// An IP address, or all addresses of a network. An IPv4 address and its IPv6 form (::ffff:192.0.2.1) are the same.
class AddressRange {
 public:
  // Like "192.0.2.1", "10.0.0.0/8" or "fd00::/8". nullopt: neither.
  static std::optional<AddressRange> parse(std::string_view text);

  // False also for what is no address.
  bool contains(std::string_view address) const;

 private:
  std::array<std::uint8_t, 16> first_{};
  unsigned bits_ = 0;
};

// The nearest address that is no trusted proxy's. Each proxy appends to `forwarded_for` (the X-Forwarded-For lines,
// joined by commas) whom it heard from, so the list is read from its end, and only as far as trusted proxies wrote it:
// what stands before is anybody's claim. Views into the arguments.
std::string_view client_address(std::string_view peer, std::string_view forwarded_for,
                                std::span<const AddressRange> trusted);

}  // namespace travelchat::transport
