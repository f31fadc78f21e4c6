// Where a push message goes: the address that a browser's push service has given it.
//
// It comes from a browser, so anybody who may sign in can name any address; this server must not become a way into the
// network behind it. So it must be https and public, which is checked twice: by the name when it is stored, and by the
// address when a connection is made. Pure; any thread.
#pragma once

#include <boost/asio/ip/address.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace travel_lab {

struct PushEndpoint {
  std::string origin;  // "https://host[:port]", as a VAPID token names it
  std::string host;    // in lower case; IPv6 without its brackets
  std::string port;
  // "host[:port]", with brackets around IPv6.
  std::string_view authority() const noexcept {
    return std::string_view(origin).substr(std::string_view("https://").size());
  }
  std::string target;       // path and query
  bool is_address = false;  // `host` is an IP address
};

constexpr std::size_t max_endpoint_bytes = 2'048;

// nullopt: not an absolute https URL, over `max_endpoint_bytes`, with user information or a fragment, or with a host
// that cannot be public (unless `allow_private`): "localhost", a name of one label, an address that is not public.
std::optional<PushEndpoint> parse_push_endpoint(std::string_view url, bool allow_private);

// Whether an address is one of the public Internet's, by IANA's special-purpose registries. IPv6 that carries IPv4
// (mapped, translated, 6to4, Teredo) is not.
bool is_public_address(const boost::asio::ip::address& address);

}  // namespace travel_lab
