#include "websocket/handshake.hpp"

#include "catch.hpp"

#include <string_view>

using namespace travelchat::websocket;

TEST_CASE("A handshake is checked as RFC 6455 wants it") {
  HandshakeHeaders good{true, true, "WebSocket", "keep-alive, Upgrade", "dGhlIHNhbXBsZSBub25jZQ==", "13"};
  CHECK(check_handshake(good) == Handshake::ok);
  const auto with = [&](auto change) {
    HandshakeHeaders headers = good;
    change(headers);
    return check_handshake(headers);
  };
  CHECK(with([](auto& h) { h.version = "8"; }) == Handshake::upgrade_required);
  CHECK(with([](auto& h) { h.version = ""; }) == Handshake::upgrade_required);
  CHECK(with([](auto& h) { h.upgrade = ""; }) == Handshake::upgrade_required);
  CHECK(with([](auto& h) { h.upgrade = "h2c"; }) == Handshake::upgrade_required);
  CHECK(with([](auto& h) { h.connection = "keep-alive"; }) == Handshake::upgrade_required);
  for (const std::string_view key : {"", "c2hvcnQ=", "not base64 at all!! ====", "dGhlIHNhbXBsZSBub25jZQ=x"}) {
    CHECK(with([&](auto& h) { h.key = key; }) == Handshake::bad_request);
  }
  CHECK(with([](auto& h) { h.is_get = false; }) == Handshake::bad_request);
  CHECK(with([](auto& h) { h.is_http_1_1 = false; }) == Handshake::bad_request);
}

TEST_CASE("The accept key is that of RFC 6455's example") {
  CHECK(accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}
