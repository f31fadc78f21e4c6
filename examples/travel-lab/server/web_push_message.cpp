#include "web_push_message.hpp"

#include "base64url.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <memory>
#include <span>
#include <stdexcept>

namespace travel_lab {
namespace {

// The record's size as the header names it; our one record is never larger.
constexpr std::uint32_t record_bytes = 4'096;
constexpr std::size_t tag_bytes = 16;
constexpr char last_record = '\x02';

struct FreeContext {
  void operator()(EVP_KDF* kdf) const noexcept { EVP_KDF_free(kdf); }
  void operator()(EVP_KDF_CTX* context) const noexcept { EVP_KDF_CTX_free(context); }
  void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};

void check(bool ok) {
  if (!ok) throw std::runtime_error("OpenSSL cannot encrypt a push message");
}

OSSL_PARAM octets(const char* name, std::span<const std::uint8_t> bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(bytes.data()), bytes.size());
}

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// HKDF with SHA-256 (RFC 5869).
template <std::size_t Size>
std::array<std::uint8_t, Size> hkdf(std::span<const std::uint8_t> salt, std::span<const std::uint8_t> secret,
                                    std::string_view info) {
  const std::unique_ptr<EVP_KDF, FreeContext> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  check(kdf != nullptr);
  const std::unique_ptr<EVP_KDF_CTX, FreeContext> context(EVP_KDF_CTX_new(kdf.get()));
  check(context != nullptr);
  std::array<char, 7> digest{"SHA256"};
  const std::array<OSSL_PARAM, 5> params{
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), digest.size() - 1),
      octets(OSSL_KDF_PARAM_SALT, salt), octets(OSSL_KDF_PARAM_KEY, secret),
      octets(OSSL_KDF_PARAM_INFO, bytes_of(info)), OSSL_PARAM_construct_end()};
  std::array<std::uint8_t, Size> derived{};
  check(EVP_KDF_derive(context.get(), derived.data(), derived.size(), params.data()) == 1);
  return derived;
}

void append(std::span<const std::uint8_t> bytes, std::string& out) {
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void append_sealed(std::string_view plaintext, const std::array<std::uint8_t, 16>& key,
                   const std::array<std::uint8_t, 12>& nonce, std::string& out) {
  const std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context(EVP_CIPHER_CTX_new());
  check(context != nullptr);
  check(EVP_EncryptInit_ex(context.get(), EVP_aes_128_gcm(), nullptr, key.data(), nonce.data()) == 1);
  const std::size_t start = out.size();
  out.resize(start + plaintext.size() + tag_bytes);
  auto* target = reinterpret_cast<std::uint8_t*>(out.data()) + start;
  int size = 0;
  check(EVP_EncryptUpdate(context.get(), target, &size, bytes_of(plaintext).data(),
                          static_cast<int>(plaintext.size())) == 1);
  target += size;
  check(EVP_EncryptFinal_ex(context.get(), target, &size) == 1);
  check(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, tag_bytes, target) == 1);
}

}  // namespace

std::optional<PushKeys> parse_push_keys(std::string_view p256dh, std::string_view auth) {
  const auto point_bytes = decode_base64url(p256dh);
  const auto secret = decode_base64url(auth);
  if (!point_bytes || !secret) return std::nullopt;
  const auto point = parse_p256_point(*point_bytes);
  PushKeys keys;
  if (!point || secret->size() != keys.auth.size()) return std::nullopt;
  keys.p256dh = *point;
  std::ranges::copy(*secret, keys.auth.begin());
  return keys;
}

std::optional<std::string> encrypt_push_message(std::string_view payload, const PushKeys& receiver,
                                                const P256Key& sender, const PushSalt& salt, std::size_t padding) {
  if (payload.size() > max_push_payload_bytes || padding > max_push_payload_bytes - payload.size()) {
    return std::nullopt;
  }
  // Section 3.4: the shared secret and the browser's own are combined, bound to both public keys.
  std::string info("WebPush: info\0", 14);
  append(receiver.p256dh, info);
  append(sender.public_point(), info);
  const auto key_material = hkdf<32>(receiver.auth, sender.agree(receiver.p256dh), info);
  const auto key = hkdf<16>(salt, key_material, {"Content-Encoding: aes128gcm\0", 28});
  const auto nonce = hkdf<12>(salt, key_material, {"Content-Encoding: nonce\0", 24});

  std::string body;
  body.reserve(max_push_body_bytes);
  append(salt, body);
  for (int shift = 24; shift >= 0; shift -= 8) body += static_cast<char>(record_bytes >> shift & 0xFF);
  body += static_cast<char>(sender.public_point().size());
  append(sender.public_point(), body);

  std::string record(payload);
  record += last_record;
  record.append(padding, '\0');
  append_sealed(record, key, nonce, body);
  return body;
}

}  // namespace travel_lab
