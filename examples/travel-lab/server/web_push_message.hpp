// What a push service carries to a browser: one message, encrypted so that only that browser can read it.
//
// RFC 8291 (Message Encryption for Web Push) over the content coding aes128gcm of RFC 8188, as one record. Pure; any
// thread.
#pragma once

#include "p256.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace travel_lab {

// What a browser's subscription says about the encryption.
struct PushKeys {
  P256Point p256dh{};
  std::array<std::uint8_t, 16> auth{};
  friend bool operator==(const PushKeys&, const PushKeys&) = default;
};

// From the base64url of PushSubscription.toJSON(). nullopt: not base64url, no point of the curve, or a secret of
// another length.
std::optional<PushKeys> parse_push_keys(std::string_view p256dh, std::string_view auth);

// The largest body that every push service takes (RFC 8030 section 7.2), and the plaintext that fits into it: less the
// header, the tag and the delimiter.
constexpr std::size_t max_push_body_bytes = 4'096;
constexpr std::size_t max_push_payload_bytes = max_push_body_bytes - (16 + 4 + 1 + 65) - 16 - 1;

using PushSalt = std::array<std::uint8_t, 16>;

// The body of the request. `sender` and `salt` serve one message and no other. `padding` zeros hide the payload's
// length. nullopt: payload and padding are more than `max_push_payload_bytes`. Throws std::runtime_error when OpenSSL
// fails.
std::optional<std::string> encrypt_push_message(std::string_view payload, const PushKeys& receiver,
                                                const P256Key& sender, const PushSalt& salt, std::size_t padding = 0);

}  // namespace travel_lab
