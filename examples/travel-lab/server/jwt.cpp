#include "jwt.hpp"

#include "base64url.hpp"
#include "secrets.hpp"

#include <sodium.h>
#include <boost/json.hpp>

#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace travel_lab {
namespace {

namespace json = boost::json;
using travelchat::TimePoint;

std::optional<json::object> parse_object(std::string_view text) {
  boost::system::error_code ec;
  json::value value = json::parse(text, ec);
  if (ec || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

std::optional<std::string> string_claim(const json::object& claims, std::string_view name) {
  const json::value* claim = claims.if_contains(name);
  if (claim == nullptr || !claim->is_string() || claim->get_string().empty()) return std::nullopt;
  return std::string(claim->get_string());
}

// A NumericDate: seconds since 1970, with a fraction at will. What lies beyond the year 9999 is no date.
std::optional<TimePoint> time_claim(const json::object& claims, std::string_view name) {
  const json::value* claim = claims.if_contains(name);
  if (claim == nullptr || !claim->is_number()) return std::nullopt;
  const double seconds = claim->to_number<double>();
  if (!(seconds >= 0 && seconds < 253402300800.0)) return std::nullopt;
  return TimePoint{std::chrono::milliseconds{static_cast<std::int64_t>(std::floor(seconds * 1000))}};
}

bool has_audience(const json::object& claims, std::string_view audience) {
  const auto is_ours = [&](const json::value& value) { return value.is_string() && value.get_string() == audience; };
  const json::value* claim = claims.if_contains("aud");
  if (claim == nullptr) return false;
  if (!claim->is_array()) return is_ours(*claim);
  for (const json::value& entry : claim->get_array()) {
    if (is_ours(entry)) return true;
  }
  return false;
}

}  // namespace

JwtVerifier::JwtVerifier(std::string secret, std::string audience, std::chrono::milliseconds max_lifetime)
    : secret_(std::move(secret)), audience_(std::move(audience)), max_lifetime_(max_lifetime) {
  if (secret_.size() < min_secret_bytes) {
    throw std::invalid_argument("a JWT secret needs at least " + std::to_string(min_secret_bytes) + " bytes");
  }
  if (audience_.empty()) throw std::invalid_argument("the JWT audience is empty");
}

JwtVerifier JwtVerifier::from_file(const std::filesystem::path& secret_file, std::string audience,
                                   std::chrono::milliseconds max_lifetime) {
  return {read_secret_file(secret_file, "JWT secret"), std::move(audience), max_lifetime};
}

std::optional<JwtClaims> JwtVerifier::verify(std::string_view token, TimePoint now) const {
  const std::size_t first = token.find('.');
  const std::size_t last = token.rfind('.');
  if (first == std::string_view::npos || first == last) return std::nullopt;

  // The signature is checked first: nothing else of a forged token is parsed.
  const std::string_view covered = token.substr(0, last);
  const auto signature = decode_base64url(token.substr(last + 1));
  std::array<unsigned char, crypto_auth_hmacsha256_BYTES> expected{};
  if (!signature || signature->size() != expected.size()) return std::nullopt;
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, reinterpret_cast<const unsigned char*>(secret_.data()), secret_.size());
  crypto_auth_hmacsha256_update(&state, reinterpret_cast<const unsigned char*>(covered.data()), covered.size());
  crypto_auth_hmacsha256_final(&state, expected.data());
  if (sodium_memcmp(signature->data(), expected.data(), expected.size()) != 0) return std::nullopt;

  const auto header_text = decode_base64url(covered.substr(0, first));
  const auto claims_text = decode_base64url(covered.substr(first + 1));
  if (!header_text || !claims_text) return std::nullopt;
  const auto header = parse_object(*header_text);
  const auto claims = parse_object(*claims_text);
  if (!header || !claims) return std::nullopt;
  // "crit" names extensions that must be understood, and none is (RFC 7515 section 4.1.11).
  if (string_claim(*header, "alg") != "HS256" || header->contains("crit")) return std::nullopt;

  const auto expires_at = time_claim(*claims, "exp");
  // A token cannot be revoked, so its lifetime is bounded.
  if (!expires_at || *expires_at <= now || *expires_at - now > max_lifetime_) return std::nullopt;
  if (claims->contains("iat")) {
    const auto issued_at = time_claim(*claims, "iat");
    if (!issued_at || *expires_at - *issued_at > max_lifetime_) return std::nullopt;
  }
  if (claims->contains("nbf")) {
    const auto not_before = time_claim(*claims, "nbf");
    if (!not_before || *not_before > now) return std::nullopt;
  }
  if (!has_audience(*claims, audience_)) return std::nullopt;
  auto subject = string_claim(*claims, "sub");
  auto org_id = string_claim(*claims, "org");
  if (!subject || !org_id) return std::nullopt;
  return JwtClaims{std::move(*subject), std::move(*org_id), *expires_at};
}

}  // namespace travel_lab
