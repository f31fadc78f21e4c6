#include "websocket/web_socket.hpp"

#include <travelchat/http.hpp>

namespace travelchat::websocket {
namespace {

// The connection ended without a close frame (RFC 6455 section 7.1.5).
constexpr std::uint16_t no_close_code = 1006;

}  // namespace

WebSocket::WebSocket(SocketLoop& loop, Upgrade& upgrade) : Connection(loop), slot_(std::move(upgrade.slot)) {
  if (!loop.server().access_log) return;
  record_ = std::make_unique<Record>(Record{upgrade.remote_address, upgrade.path, std::chrono::steady_clock::now()});
}

WebSocket::~WebSocket() = default;

bool WebSocket::leave_open(Stage next, std::uint16_t code) noexcept {
  if (stage_ != Stage::open) return false;
  stage_ = next;
  loop().socket_counters().closes_with(code).add(1);
  if (record_) {
    const auto duration = std::chrono::steady_clock::now() - record_->begun;
    loop_.server().record({"GET", record_->path, 101, record_->bytes,
                           std::chrono::duration_cast<std::chrono::microseconds>(duration), record_->remote_address,
                           code != 0 ? code : no_close_code});
  }
  closed();
  return true;
}

bool WebSocket::close_if_expired(const http::Now& now) {
  if (now.utc < expires_at_) return false;
  close_with(describe(errc::unauthenticated));
  return true;
}

}  // namespace travelchat::websocket
