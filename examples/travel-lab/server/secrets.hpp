// Random secrets, digests and comparisons that take the same time whatever they find.
//
// Stateless; any thread. `sodium_init` has been called.
#pragma once

#include <travelchat/types.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace travel_lab {

// `bytes` random bytes as lower-case hexadecimal characters, two each.
std::string random_hex(std::size_t bytes);

// A random UUID (version 4): what this host calls its organizations, advisors, clients and trips.
std::string random_id();

// The content of the file, without its final line break. Throws std::runtime_error, which calls it by `name`.
std::string read_secret_file(const std::filesystem::path& file, std::string_view name);

travelchat::Sha256Digest sha256(std::string_view data) noexcept;

// Its time depends on the lengths only.
bool equal_in_constant_time(std::string_view left, std::string_view right) noexcept;

}  // namespace travel_lab
