// SHA-256 and random bytes: what chat tokens and ids are made of.
//
// Values only; any thread.
#pragma once

#include <travelchat/types.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace travelchat {

Sha256Digest sha256(std::string_view data) noexcept;

// RFC 2104.
Sha256Digest hmac_sha256(std::string_view key, std::string_view data) noexcept;
// In constant time.
bool equal_digests(const Sha256Digest& a, const Sha256Digest& b) noexcept;

// For hash tables: a digest's bytes are random enough, so some of them serve as the hash.
struct DigestHash {
  std::size_t operator()(const Sha256Digest& digest) const noexcept {
    std::size_t h = 0;
    std::memcpy(&h, digest.data(), sizeof h);
    return h;
  }
};

// Fills `out` from the operating system's seeded generator, fit for secrets. Throws `std::system_error` when there is
// no entropy: nothing that calls this can go on without.
void random_bytes(std::span<std::uint8_t> out);

}  // namespace travelchat
