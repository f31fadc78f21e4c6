// The opening handshake of a WebSocket (RFC 6455 section 4.2): pure checks of the request's headers.
//
// Values only; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace travelchat::websocket {

// The parts of a request that section 4.2.1 has rules about.
struct HandshakeHeaders {
  bool is_http_1_1 = false;
  bool is_get = false;
  std::string_view upgrade;
  std::string_view connection;
  std::string_view key;
  std::string_view version;
};
enum class Handshake : std::uint8_t { ok, bad_request, upgrade_required };
Handshake check_handshake(const HandshakeHeaders& headers) noexcept;

// The Sec-WebSocket-Accept of a key.
std::string accept_key(std::string_view key);

}  // namespace travelchat::websocket
