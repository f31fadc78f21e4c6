#include "websocket/handshake.hpp"

#include "http/request_checks.hpp"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>

namespace travelchat::websocket {

Handshake check_handshake(const HandshakeHeaders& headers) noexcept {
  if (!headers.is_get || !headers.is_http_1_1) return Handshake::bad_request;
  if (!http::has_token(headers.upgrade, "websocket") || !http::has_token(headers.connection, "upgrade")) {
    return Handshake::upgrade_required;
  }
  // 16 bytes in base64.
  if (headers.key.size() != 24 || !headers.key.ends_with("==") ||
      !std::all_of(headers.key.begin(), headers.key.end() - 2, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
      })) {
    return Handshake::bad_request;
  }
  return headers.version == "13" ? Handshake::ok : Handshake::upgrade_required;
}

std::string accept_key(std::string_view key) {
  std::string text(key);
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 section 1.3
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 29> encoded{};
  const int size = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(digest.size()));
  return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(size)};
}

}  // namespace travelchat::websocket
