// SHA-256, random bytes and hexadecimal: what chat tokens and ids are made of.
//
// Values only; any thread.
#pragma once

#include <travelchat/types.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace travelchat {

Sha256Digest sha256(std::string_view data) noexcept;

// Fills `out` from the operating system's seeded generator, fit for secrets. Throws `std::system_error` when there is
// no entropy: nothing that calls this can go on without.
void random_bytes(std::span<std::uint8_t> out);

// Two lower-case characters for each byte.
std::string to_hex(std::span<const std::uint8_t> bytes);

}  // namespace travelchat
