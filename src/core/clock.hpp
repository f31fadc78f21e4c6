// The wall clock in the precision of the chat. Any thread.
#pragma once

#include <travelchat/types.hpp>

#include <chrono>

namespace travelchat {

inline TimePoint utc_now() noexcept {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

}  // namespace travelchat
