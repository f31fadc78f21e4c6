#include "core/digest.hpp"

#include <openssl/rand.h>
#include <openssl/sha.h>

#include <cstddef>
#include <system_error>

namespace travelchat {

Sha256Digest sha256(std::string_view data) noexcept {
  Sha256Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest.data());
  return digest;
}

void random_bytes(std::span<std::uint8_t> out) {
  // RAND_bytes takes an int.
  constexpr std::size_t chunk = std::size_t{1} << 20;
  while (!out.empty()) {
    const auto part = out.first(out.size() < chunk ? out.size() : chunk);
    if (RAND_bytes(part.data(), static_cast<int>(part.size())) != 1) {
      throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again), "no random bytes");
    }
    out = out.subspan(part.size());
  }
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    out.push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
  }
  return out;
}

}  // namespace travelchat
