// The networks by which limits count remote addresses.
//
// Stateless; any thread.
#pragma once

#include <string>
#include <string_view>

namespace travel_lab {

// An IPv4 address by itself, also when it comes as IPv6 (::ffff:192.0.2.1); of an IPv6 address its /64, because whoever
// has one of its addresses has them all. Parsed before it is cut, so that every spelling of an address is one key. What
// is no address is its own key.
std::string network_of(std::string_view address);

}  // namespace travel_lab
