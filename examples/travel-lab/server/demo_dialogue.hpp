// What advisors and clients of the demonstration say: short exchanges with blanks, filled in for each trip.
//
// Constant text and pure functions.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace travel_lab::demo {

struct Destination {
  std::string_view title;  // of a trip there
  std::string_view place;
  std::string_view summary;
  std::string_view hotel;
  std::string_view airline;
  std::string_view restaurant;
  std::string_view sight;
  std::string_view other_sight;
};

std::span<const Destination> destinations();

// The client with this number, from 0; all names below `max_names` are distinct.
inline constexpr std::size_t max_names = 50'000;
std::string client_name(std::size_t number);

using Random = std::mt19937_64;

// 0 to `count` - 1. Not a standard distribution: those may differ between libraries, and the demonstration reads the
// same everywhere.
inline std::size_t pick(Random& random, std::size_t count) {
  return static_cast<std::size_t>(random() % count);
}

struct Line {
  bool by_advisor = false;
  bool begins_exchange = false;  // hours or days after the line before it
  std::string text;
};

struct Speakers {
  std::string_view advisor;  // full names
  std::string_view client;
};

// A conversation of exactly `length` lines.
std::vector<Line> converse(const Speakers& speakers, const Destination& destination, std::size_t length,
                           Random& random);

}  // namespace travel_lab::demo
