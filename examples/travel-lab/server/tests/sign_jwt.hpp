// Tokens as an identity provider makes them (RFC 7519), signed with HMAC SHA-256.
#pragma once

#include <sodium.h>

#include <string>
#include <string_view>

inline const std::string secret = "0123456789abcdef0123456789abcdef";
inline constexpr std::string_view hs256 = R"({"alg":"HS256","typ":"JWT"})";

inline std::string base64url(std::string_view bytes) {
  std::string text(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  text.pop_back();
  return text;
}

inline std::string sign(std::string_view header, std::string_view claims, const std::string& key = secret) {
  const std::string covered = base64url(header) + '.' + base64url(claims);
  std::string signature(crypto_auth_hmacsha256_BYTES, '\0');
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, reinterpret_cast<const unsigned char*>(key.data()), key.size());
  crypto_auth_hmacsha256_update(&state, reinterpret_cast<const unsigned char*>(covered.data()), covered.size());
  crypto_auth_hmacsha256_final(&state, reinterpret_cast<unsigned char*>(signature.data()));
  return covered + '.' + base64url(signature);
}
