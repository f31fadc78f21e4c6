// What the options of every part have in common when they are looked over: each check throws OptionError, whose
// sentence begins with the option's name.
#pragma once

#include <travelchat/error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace travelchat::options {

// The most threads, or connections to a database, that an option may ask for: a larger number is a mistake.
inline constexpr std::size_t max_workers = 1'024;
// A longer time could overflow when it is added to a point in time.
inline constexpr std::chrono::milliseconds max_time = std::chrono::years{100};

[[noreturn]] inline void refuse(std::string_view option, std::string problem) {
  throw OptionError(std::string(option), std::move(problem));
}

inline void require_some(std::string_view option, std::size_t value) {
  if (value == 0) refuse(option, "must be at least 1");
}
inline void require_at_most(std::string_view option, std::size_t value, std::size_t max) {
  if (value > max) refuse(option, "must be at most " + std::to_string(max));
}
// `zero_is_meant`: 0 is among the values that the option explains.
inline void require_time(std::string_view option, std::chrono::milliseconds value, bool zero_is_meant = false) {
  if (value.count() < 0 || (value.count() == 0 && !zero_is_meant)) {
    refuse(option, zero_is_meant ? "must not be negative" : "must be longer than 0");
  }
  if (value > max_time) refuse(option, "must be at most 100 years");
}
inline void require_time(std::string_view option, std::chrono::seconds value, bool zero_is_meant = false) {
  // Compared as seconds: the largest number of seconds would overflow as milliseconds.
  if (value > std::chrono::duration_cast<std::chrono::seconds>(max_time)) refuse(option, "must be at most 100 years");
  require_time(option, std::chrono::milliseconds(std::max(value, std::chrono::seconds{-1})), zero_is_meant);
}

}  // namespace travelchat::options
