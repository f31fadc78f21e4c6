#include "p256.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace travel_lab {
namespace {

constexpr const char* group_name = "prime256v1";
constexpr std::size_t coordinate_bytes = 32;

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
template <class T, auto Free>
using Owned = std::unique_ptr<T, FreeWith<Free>>;

using Bio = Owned<BIO, BIO_free_all>;
using Number = Owned<BIGNUM, BN_clear_free>;
using Group = Owned<EC_GROUP, EC_GROUP_free>;
using Point = Owned<EC_POINT, EC_POINT_free>;
using PublicKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using KeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using ParamBuilder = Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Params = Owned<OSSL_PARAM, OSSL_PARAM_free>;
using Ecdsa = Owned<ECDSA_SIG, ECDSA_SIG_free>;

void check(bool ok) {
  if (!ok) throw std::runtime_error("OpenSSL cannot work with keys of the curve P-256");
}

template <class T>
T checked(T owned) {
  check(owned != nullptr);
  return owned;
}

const unsigned char* bytes_of(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Group curve() {
  return checked(Group(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1)));
}

// `secret` null: a public key only.
EVP_PKEY* make_key(const P256Point& point, const BIGNUM* secret) {
  const auto builder = checked(ParamBuilder(OSSL_PARAM_BLD_new()));
  check(OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group_name, 0) == 1);
  check(OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) == 1);
  check(secret == nullptr || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, secret) == 1);
  const auto params = checked(Params(OSSL_PARAM_BLD_to_param(builder.get())));
  const auto context = checked(KeyContext(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr)));
  EVP_PKEY* key = nullptr;
  check(EVP_PKEY_fromdata_init(context.get()) == 1);
  check(EVP_PKEY_fromdata(context.get(), &key, secret == nullptr ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEYPAIR,
                          params.get()) == 1);
  return key;
}

bool is_on_p256(const EVP_PKEY* key) {
  std::array<char, 32> name{};
  return EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, name.data(), name.size(), nullptr) == 1 &&
         std::string_view(name.data()) == group_name;
}

}  // namespace

std::optional<P256Point> parse_p256_point(std::string_view bytes) {
  P256Point point{};
  if (bytes.size() != point.size() || bytes.front() != '\x04') return std::nullopt;
  const Group group = curve();
  const auto parsed = checked(Point(EC_POINT_new(group.get())));
  // It refuses what is not on the curve, which would give parts of the other side's secret away.
  if (EC_POINT_oct2point(group.get(), parsed.get(), bytes_of(bytes), bytes.size(), nullptr) != 1) return std::nullopt;
  std::ranges::copy(bytes, point.begin());
  return point;
}

bool verify_es256(const P256Point& key, std::string_view text, std::string_view signature) {
  if (signature.size() != P256Signature{}.size()) return false;
  const auto parts = checked(Ecdsa(ECDSA_SIG_new()));
  auto r = checked(Number(BN_bin2bn(bytes_of(signature), coordinate_bytes, nullptr)));
  auto s = checked(Number(BN_bin2bn(bytes_of(signature) + coordinate_bytes, coordinate_bytes, nullptr)));
  check(ECDSA_SIG_set0(parts.get(), r.release(), s.release()) == 1);
  std::array<unsigned char, 80> der{};  // at most 72 bytes are needed
  unsigned char* end = der.data();
  const int size = i2d_ECDSA_SIG(parts.get(), &end);
  check(size > 0);
  const PublicKey verifier(make_key(key, nullptr));
  const auto context = checked(DigestContext(EVP_MD_CTX_new()));
  check(EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, verifier.get()) == 1);
  return EVP_DigestVerify(context.get(), der.data(), static_cast<std::size_t>(size), bytes_of(text), text.size()) == 1;
}

void P256Key::Delete::operator()(evp_pkey_st* key) const noexcept {
  EVP_PKEY_free(key);
}

P256Key::P256Key(Handle key) : key_(std::move(key)) {
  std::size_t size = 0;
  check(EVP_PKEY_get_octet_string_param(key_.get(), OSSL_PKEY_PARAM_PUB_KEY, public_point_.data(), public_point_.size(),
                                        &size) == 1);
  check(size == public_point_.size() && public_point_.front() == 4);
}

P256Key P256Key::generate() {
  return P256Key(checked(Handle(EVP_EC_gen(group_name))));
}

std::optional<P256Key> P256Key::from_scalar(const P256Secret& scalar) {
  const Group group = curve();
  const auto secret = checked(Number(BN_bin2bn(scalar.data(), static_cast<int>(scalar.size()), nullptr)));
  if (BN_is_zero(secret.get()) || BN_cmp(secret.get(), EC_GROUP_get0_order(group.get())) >= 0) return std::nullopt;
  const auto point = checked(Point(EC_POINT_new(group.get())));
  check(EC_POINT_mul(group.get(), point.get(), secret.get(), nullptr, nullptr, nullptr) == 1);
  P256Point octets{};
  check(EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, octets.data(), octets.size(),
                           nullptr) == octets.size());
  return P256Key(Handle(make_key(octets, secret.get())));
}

std::optional<P256Key> P256Key::from_pem(std::string_view pem) {
  const auto source = checked(Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))));
  // An encrypted file must not make OpenSSL ask the terminal for a password.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  Handle key(PEM_read_bio_PrivateKey(source.get(), nullptr, no_password, nullptr));
  if (!key || !is_on_p256(key.get())) return std::nullopt;
  return P256Key(std::move(key));
}

std::string P256Key::to_pem() const {
  const auto sink = checked(Bio(BIO_new(BIO_s_mem())));
  check(PEM_write_bio_PrivateKey(sink.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(sink.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

P256Secret P256Key::agree(const P256Point& peer) const {
  const PublicKey other(make_key(peer, nullptr));
  const auto context = checked(KeyContext(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr)));
  P256Secret secret{};
  std::size_t size = secret.size();
  check(EVP_PKEY_derive_init(context.get()) == 1);
  check(EVP_PKEY_derive_set_peer(context.get(), other.get()) == 1);
  check(EVP_PKEY_derive(context.get(), secret.data(), &size) == 1 && size == secret.size());
  return secret;
}

P256Signature P256Key::sign(std::string_view text) const {
  const auto context = checked(DigestContext(EVP_MD_CTX_new()));
  check(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1);
  std::array<unsigned char, 80> der{};
  std::size_t size = der.size();
  check(EVP_DigestSign(context.get(), der.data(), &size, bytes_of(text), text.size()) == 1);
  const unsigned char* start = der.data();
  const auto parts = checked(Ecdsa(d2i_ECDSA_SIG(nullptr, &start, static_cast<long>(size))));
  P256Signature signature{};
  check(BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), signature.data(), coordinate_bytes) == coordinate_bytes);
  check(BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), signature.data() + coordinate_bytes, coordinate_bytes) ==
        coordinate_bytes);
  return signature;
}

}  // namespace travel_lab
