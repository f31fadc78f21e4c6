// What an event loop counts of its WebSockets. Written by its thread, read by any.
#pragma once

#include "http/counters.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace travelchat::websocket {

// The close codes that are counted by themselves; the last entry stands for any other.
inline constexpr std::array<std::uint16_t, 17> counted_close_codes = {
    1000, 1001, 1002, 1003, 1005, 1007, 1008, 1009, 1011, 1012, 4400, 4401, 4403, 4404, 4408, 4429, 0};

struct Counters {
  http::Counter messages_received;
  std::array<http::Counter, counted_close_codes.size()> closes;

  http::Counter& closes_with(std::uint16_t code) noexcept {
    std::size_t i = 0;
    while (i + 1 < counted_close_codes.size() && counted_close_codes[i] != code) ++i;
    return closes[i];
  }
};

}  // namespace travelchat::websocket
