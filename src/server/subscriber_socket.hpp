// A socket of the chat, on a connection of either kind: it listens to a room, counts among its participant's sockets,
// and has a credential.
//
// Belongs to its loop's thread.
#pragma once

#include "server/credential_watch.hpp"
#include "websocket/web_socket.hpp"

#include <travelchat/error.hpp>
#include <travelchat/subscriber.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

namespace travelchat::server {

class SubscriberSocket : public Subscriber {
 public:
  virtual websocket::WebSocket& web_socket() noexcept = 0;

  void close(errc reason) noexcept final { web_socket().close_with(describe(reason)); }
  // What the host is asked about while the socket is open; null: nothing. Lives as long as the socket.
  const SocketClaim* claim() const noexcept { return claim_.get(); }
  std::weak_ptr<SubscriberSocket> weak();

 protected:
  // One event for this peer alone.
  virtual void send_event(std::string_view json) = 0;
  // Tells the peer that its message was refused; closes at the fifth within ten seconds.
  void refuse(const error_code& error);
  void set_claim(std::unique_ptr<const SocketClaim> claim) noexcept { claim_ = std::move(claim); }

 private:
  std::unique_ptr<const SocketClaim> claim_;
  std::array<std::uint32_t, 4> refused_at_{};  // milliseconds of the steady clock, a ring
  std::uint8_t refused_ = 0;
};

// A frame for a client, as a buffer of its own.
http::Buffer make_text_frame(std::string_view payload);

}  // namespace travelchat::server
