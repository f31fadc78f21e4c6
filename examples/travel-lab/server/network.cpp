#include "network.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace travel_lab {

std::string network_of(std::string_view address) {
  const std::string text(address);
  std::array<char, INET6_ADDRSTRLEN> shown{};
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET6, text.c_str(), &v6) == 1) {
    if (!IN6_IS_ADDR_V4MAPPED(&v6)) {
      std::fill(std::begin(v6.s6_addr) + 8, std::end(v6.s6_addr), std::uint8_t{0});
      inet_ntop(AF_INET6, &v6, shown.data(), shown.size());
      return std::string(shown.data()) + "/64";
    }
    std::copy(std::begin(v6.s6_addr) + 12, std::end(v6.s6_addr), reinterpret_cast<std::uint8_t*>(&v4));
  } else if (inet_pton(AF_INET, text.c_str(), &v4) != 1) {
    return text;
  }
  inet_ntop(AF_INET, &v4, shown.data(), shown.size());
  return shown.data();
}

}  // namespace travel_lab
