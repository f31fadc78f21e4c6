// What an event loop counts of its WebSockets. Written by its thread, read by any.
#pragma once

#include "http/counters.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace travelchat::websocket {

// The close codes that are counted by themselves: those of the protocol, those of the error table, and 0 for a
// connection that ended without one.
inline constexpr std::array<std::uint16_t, 18> counted_close_codes = {
    1000, 1001, 1002, 1003, 1005, 1007, 1008, 1009, 1011, 1012, 1013, 4400, 4401, 4403, 4404, 4408, 4429, 0};

struct Counters {
  http::Counter messages_received;
  std::array<http::Counter, counted_close_codes.size()> closes;
  http::Counter other_closes;

  http::Counter& closes_with(std::uint16_t code) noexcept {
    const auto found = std::find(counted_close_codes.begin(), counted_close_codes.end(), code);
    if (found == counted_close_codes.end()) return other_closes;
    return closes[static_cast<std::size_t>(found - counted_close_codes.begin())];
  }
};

}  // namespace travelchat::websocket
