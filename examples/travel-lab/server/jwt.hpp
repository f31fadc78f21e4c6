// Bearer tokens of other Travel Lab services: JSON Web Tokens (RFC 7519) with HMAC-SHA256 and nothing else.
//
// Verified by a page of code on libsodium, which knows a single algorithm: a general library takes the algorithm from
// the token, and its caller must refuse "none" and all others. Immutable once made; any thread.
#pragma once

#include <travelchat/types.hpp>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace travel_lab {

struct JwtClaims {
  std::string subject;  // the advisor's id
  std::string org_id;   // the claim "org"
  travelchat::TimePoint expires_at;
};

class JwtVerifier {
 public:
  // HS256 wants a key at least as long as its hash (RFC 7518 section 3.2).
  static constexpr std::size_t min_secret_bytes = 32;

  // No token is good for longer than `max_lifetime` from now, nor from its "iat" when it has one. Throws
  // std::invalid_argument when the secret is too short or the audience is empty.
  JwtVerifier(std::string secret, std::string audience, std::chrono::milliseconds max_lifetime);

  // The secret is the file's content without a final line break. Throws std::runtime_error when it cannot be read, else
  // as the constructor.
  static JwtVerifier from_file(const std::filesystem::path& secret_file, std::string audience,
                               std::chrono::milliseconds max_lifetime);

  // nullopt: malformed, another algorithm, a wrong signature, `exp` missing, past or too far ahead, `nbf` in the
  // future, a malformed `iat`, `aud` missing or without ours, or no `sub` or `org`. Times are compared without leeway.
  std::optional<JwtClaims> verify(std::string_view token, travelchat::TimePoint now) const;

 private:
  std::string secret_;
  std::string audience_;
  std::chrono::milliseconds max_lifetime_;
};

}  // namespace travel_lab
