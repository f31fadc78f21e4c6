// The wall clock, in the precision that the chat keeps.
#pragma once

#include <travelchat/types.hpp>

#include <chrono>

namespace travel_lab {

inline travelchat::TimePoint current_time() noexcept {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

}  // namespace travel_lab
