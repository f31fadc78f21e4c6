#include "core/digest.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <cstddef>
#include <exception>
#include <system_error>

namespace travelchat {
namespace {

// Ends the process when OpenSSL fails: a digest of zeros in place of the real one would match every token and
// signature.
void require(bool is_hashed) noexcept {
  if (!is_hashed) std::terminate();
}

}  // namespace

Sha256Digest sha256(std::string_view data) noexcept {
  // SHA256() looks the algorithm up in each call, behind a lock, which takes longer than to hash a token. Never freed:
  // OpenSSL's own end may come before the last call.
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  Sha256Digest digest{};
  require(EVP_Digest(data.data(), data.size(), digest.data(), nullptr, algorithm, nullptr) == 1);
  return digest;
}

Sha256Digest hmac_sha256(std::string_view key, std::string_view data) noexcept {
  Sha256Digest digest{};
  require(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
               reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest.data(), nullptr) != nullptr);
  return digest;
}

bool equal_digests(const Sha256Digest& a, const Sha256Digest& b) noexcept {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
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
