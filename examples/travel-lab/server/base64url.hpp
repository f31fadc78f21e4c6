// base64url without padding (RFC 4648 section 5), as JWTs and Web Push write bytes.
//
// Stateless; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace travel_lab {

std::string encode_base64url(std::string_view bytes);
std::string encode_base64url(std::span<const std::uint8_t> bytes);

// Strict: nullopt for padding, other characters, or bits left over.
std::optional<std::string> decode_base64url(std::string_view text);

}  // namespace travel_lab
