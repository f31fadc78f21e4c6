#include "jwt.hpp"
#include "sign_jwt.hpp"

#include <catch.hpp>

#include <chrono>
#include <string>

namespace {

using namespace std::chrono_literals;
using travel_lab::JwtVerifier;
using travelchat::TimePoint;

constexpr TimePoint now{1'800'000'000s};

constexpr std::string_view good_claims = R"({"sub":"a1","org":"o1","aud":"travelchat","exp":1800000060})";

bool accepts(std::string_view claims) {
  return JwtVerifier(secret, "travelchat", 24h).verify(sign(hs256, claims), now).has_value();
}

}  // namespace

TEST_CASE("a Bearer token names its advisor and organization until it expires") {
  const JwtVerifier verifier(secret, "travelchat", 24h);
  const auto claims = verifier.verify(sign(hs256, good_claims), now);
  REQUIRE(claims);
  CHECK(claims->subject == "a1");
  CHECK(claims->org_id == "o1");
  CHECK(claims->expires_at == TimePoint{1'800'000'060s});
  CHECK(verifier.verify(sign(hs256, good_claims), now + 59'999ms));
  CHECK_FALSE(verifier.verify(sign(hs256, good_claims), now + 60s));
}

TEST_CASE("a Bearer token for longer than the operator allows is refused, whatever it says of when it was made") {
  const auto accepts_until = [](std::int64_t expires_at, const std::string& more = {}) {
    return accepts(R"({"sub":"a1","org":"o1","aud":"travelchat","exp":)" + std::to_string(expires_at) + more + "}");
  };
  CHECK(accepts_until(1'800'086'400));
  CHECK_FALSE(accepts_until(1'800'086'401));
  CHECK_FALSE(accepts_until(221'845'392'000));  // the year 9000
  // One that was made for a year does not become good in its last day.
  CHECK_FALSE(accepts_until(1'800'000'060, R"(,"iat":1768464060)"));
  CHECK(accepts_until(1'800'000'060, R"(,"iat":1799913660)"));
  CHECK_FALSE(accepts_until(1'800'000'060, R"(,"iat":"yesterday")"));
}

TEST_CASE("the token of RFC 7515 appendix A.1 has the signature that we compute") {
  // Its key, decoded; its claims have no audience, so only the signature could make it pass.
  std::string key(64, '\0');
  std::size_t size = 0;
  REQUIRE(sodium_base642bin(reinterpret_cast<unsigned char*>(key.data()), key.size(),
                            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
                            86, nullptr, &size, nullptr, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0);
  REQUIRE(size == 64);
  const std::string token =
      sign("{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}",
           "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}", key);
  CHECK(token.substr(token.rfind('.') + 1) == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

TEST_CASE("another algorithm is refused, whatever its signature") {
  const JwtVerifier verifier(secret, "travelchat", 24h);
  for (const char* header :
       {R"({"alg":"none"})", R"({"alg":"HS512"})", R"({"alg":"RS256"})", R"({"alg":"hs256"})", R"({"alg":["HS256"]})",
        R"({})", R"([])", R"({"alg":"HS256","crit":["b64"],"b64":false})"}) {
    CAPTURE(header);
    CHECK_FALSE(verifier.verify(sign(header, good_claims), now));
  }
  const std::string unsigned_token = base64url(R"({"alg":"none"})") + '.' + base64url(good_claims) + '.';
  CHECK_FALSE(verifier.verify(unsigned_token, now));
}

TEST_CASE("a token with any byte changed is refused") {
  const JwtVerifier verifier(secret, "travelchat", 24h);
  const std::string token = sign(hs256, good_claims);
  REQUIRE(verifier.verify(token, now));
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    CAPTURE(i);
    CHECK_FALSE(verifier.verify(changed, now));
    CHECK_FALSE(verifier.verify(token.substr(0, i), now));
  }
  CHECK_FALSE(verifier.verify(token + "A", now));
  CHECK_FALSE(verifier.verify(token + "=", now));
  CHECK_FALSE(verifier.verify(sign(hs256, good_claims, std::string(32, 'x')), now));
}

TEST_CASE("exp, aud, sub and org are required") {
  CHECK(accepts(R"({"sub":"a1","org":"o1","aud":["other","travelchat"],"exp":1800000000.5})"));
  CHECK_FALSE(accepts(R"({"sub":"a1","org":"o1","aud":"travelchat"})"));
  CHECK_FALSE(accepts(R"({"sub":"a1","org":"o1","aud":"travelchat","exp":"1800000060"})"));
  CHECK_FALSE(accepts(R"({"sub":"a1","org":"o1","aud":"travelchat","exp":1e300})"));
  CHECK_FALSE(accepts(R"({"sub":"a1","org":"o1","aud":"travelchat","exp":-1})"));
  CHECK_FALSE(accepts(R"({"sub":"a1","org":"o1","exp":1800000060})"));
  CHECK_FALSE(accepts(R"({"sub":"a1","org":"o1","aud":"other","exp":1800000060})"));
  CHECK_FALSE(accepts(R"({"sub":"a1","org":"o1","aud":[],"exp":1800000060})"));
  CHECK_FALSE(accepts(R"({"org":"o1","aud":"travelchat","exp":1800000060})"));
  CHECK_FALSE(accepts(R"({"sub":"","org":"o1","aud":"travelchat","exp":1800000060})"));
  CHECK_FALSE(accepts(R"({"sub":"a1","aud":"travelchat","exp":1800000060})"));
  CHECK_FALSE(accepts(R"(["sub"])"));
  CHECK_FALSE(accepts("not JSON"));
}

TEST_CASE("a token is refused before its nbf") {
  CHECK(accepts(R"({"sub":"a1","org":"o1","aud":"travelchat","exp":1800000060,"nbf":1800000000})"));
  CHECK_FALSE(accepts(R"({"sub":"a1","org":"o1","aud":"travelchat","exp":1800000060,"nbf":1800000001})"));
  CHECK_FALSE(accepts(R"({"sub":"a1","org":"o1","aud":"travelchat","exp":1800000060,"nbf":"soon"})"));
}

TEST_CASE("a secret shorter than its hash is refused at start") {
  CHECK_THROWS_AS(JwtVerifier(std::string(31, 'x'), "travelchat", 24h), std::invalid_argument);
  CHECK_THROWS_AS(JwtVerifier(secret, "", 24h), std::invalid_argument);
  CHECK_THROWS_AS(JwtVerifier::from_file("/nonexistent/secret", "travelchat", 24h), std::runtime_error);
}
