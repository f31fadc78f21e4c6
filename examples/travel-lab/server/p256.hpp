// The NIST curve P-256, which Web Push is built on: key agreement for its messages, signatures for its tokens.
//
// A thin layer over OpenSSL's EVP. A key is movable and constant; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct evp_pkey_st;

namespace travel_lab {

// Uncompressed: 0x04, x, y.
using P256Point = std::array<std::uint8_t, 65>;
using P256Secret = std::array<std::uint8_t, 32>;
// r and s, each of 32 bytes (RFC 7518 section 3.4), not the ASN.1 of most tools.
using P256Signature = std::array<std::uint8_t, 64>;

// nullopt: not 65 bytes, compressed, or not a point of the curve.
std::optional<P256Point> parse_p256_point(std::string_view bytes);

// ECDSA with SHA-256.
bool verify_es256(const P256Point& key, std::string_view text, std::string_view signature);

// A key pair. Functions throw std::runtime_error when OpenSSL fails, which means: no memory or no randomness.
class P256Key {
 public:
  static P256Key generate();
  // nullopt: zero, or not below the order of the group.
  static std::optional<P256Key> from_scalar(const P256Secret& scalar);
  // nullopt: not the PEM of a private key of this curve.
  static std::optional<P256Key> from_pem(std::string_view pem);
  std::string to_pem() const;

  const P256Point& public_point() const noexcept { return public_point_; }
  // The x coordinate of the shared point.
  P256Secret agree(const P256Point& peer) const;
  P256Signature sign(std::string_view text) const;

 private:
  struct Delete {
    void operator()(evp_pkey_st* key) const noexcept;
  };
  using Handle = std::unique_ptr<evp_pkey_st, Delete>;

  explicit P256Key(Handle key);

  Handle key_;
  P256Point public_point_{};
};

}  // namespace travel_lab
