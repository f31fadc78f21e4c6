#include "passwords.hpp"

#include <sodium.h>

#include <array>
#include <new>

namespace travel_lab {
namespace {

// The hash of 32 random bytes that nobody kept, with the same limits as `hash_password`.
constexpr const char* nobodys_hash =
    "$argon2id$v=19$m=65536,t=2,p=1$EssvmEEpiUFWMcPGt9DS6A$nB+uXOgxcu6ZwGy9HTlt55FTZBLb6obmCimD2na6xN4";

}  // namespace

std::string hash_password(std::string_view password) {
  std::array<char, crypto_pwhash_STRBYTES> hash{};
  if (crypto_pwhash_str(hash.data(), password.data(), password.size(), crypto_pwhash_OPSLIMIT_INTERACTIVE,
                        crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0) {
    throw std::bad_alloc();
  }
  return hash.data();
}

bool verify_password(std::string_view password, const std::string& hash) noexcept {
  return crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0;
}

bool verify_against_nobody(std::string_view password) noexcept {
  // The result is ignored: even the right 32 bytes must not be accepted.
  [[maybe_unused]] const int result = crypto_pwhash_str_verify(nobodys_hash, password.data(), password.size());
  return false;
}

}  // namespace travel_lab
