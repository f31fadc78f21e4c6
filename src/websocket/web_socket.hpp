// One open WebSocket: what its peer says, what it is told, and when it has to end.
//
// How its frames travel is left to two subclasses: a TcpWebSocket reads and writes them itself, an ExternalWebSocket
// has somebody else do it. What a socket is for is the application's, as a template over those two, so that
// sending to a thousand sockets costs no virtual call for it. Belongs to its loop's thread.
#pragma once

#include "http/connection.hpp"
#include "http/server.hpp"
#include "http/socket.hpp"
#include "websocket/external_channel.hpp"
#include "websocket/socket_loop.hpp"

#include <travelchat/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace travelchat::websocket {

// A request for a socket whose handshake is in order.
struct Upgrade {
  explicit Upgrade(http::ConnectionSlot of) noexcept : slot(std::move(of)) {}

  http::ConnectionSlot slot;
  std::string_view subprotocol;  // to be picked; a literal. Empty: none
  std::string path;              // for the access log
  std::string remote_address;

  // Where its frames travel: on a connection that is the server's own ...
  http::RawSocket socket;
  std::string accept_key;
  std::string early_bytes;  // what came behind the request
  // ... or, when this is set, with somebody else.
  std::optional<ExternalPeer> external_peer;
};

class WebSocket : public http::Connection {
 public:
  WebSocket(SocketLoop& loop, Upgrade& upgrade);
  ~WebSocket() override;

  SocketLoop& loop() const noexcept { return static_cast<SocketLoop&>(loop_); }
  bool is_open() const noexcept { return stage_ == Stage::open; }

  // Answers the request: opens it, or with `refusal` only to close it with that code, because browsers hide the status
  // of a handshake that is refused.
  virtual void open(const Upgrade& upgrade, const ErrorInfo* refusal) = 0;
  // Sends a ping, so that `last_heard` shows whether the peer is still there.
  virtual void ping() = 0;
  // When the peer last sent anything.
  virtual http::SteadyTime last_heard() const noexcept = 0;

  // Starts the closing handshake; `code` 1005 closes without one. Nothing is sent afterwards.
  virtual void close(std::uint16_t code, std::string_view reason = {}) = 0;
  void close_with(const ErrorInfo& error) { close(error.close_code, error.name); }
  void drain() final { close_with(describe(errc::closed)); }

 protected:
  enum class Stage : std::uint8_t { unopened, open, closing, ending, gone };
  using ExpiryTime = std::chrono::sys_time<std::chrono::milliseconds>;

  // The peer has been answered.
  virtual void opened() = 0;
  // A text message of the peer.
  virtual void received(std::string_view text) = 0;
  // It has ended: releases everything that it holds. Called once.
  virtual void closed() noexcept = 0;

  // When its credential ends; it is closed then with 4401.
  void expire_at(std::optional<ExpiryTime> time) noexcept { expires_at_ = time.value_or(ExpiryTime::max()); }
  // Whether it was closed because its credential has expired.
  bool close_if_expired(const http::Now& now);
  // Leaves the stage `open` for `next`: counts the code, writes the access log and calls `closed`. False: it was not
  // open.
  bool leave_open(Stage next, std::uint16_t code) noexcept;
  void count_sent(std::size_t bytes) noexcept {
    if (record_) record_->bytes += bytes;
  }

  Stage stage_ = Stage::unopened;

 private:
  // For the access log.
  struct Record {
    std::string remote_address;
    std::string path;
    http::SteadyTime begun;
    std::size_t bytes = 0;
  };

  http::ConnectionSlot slot_;
  std::unique_ptr<Record> record_;  // null: there is no log
  ExpiryTime expires_at_ = ExpiryTime::max();
};

}  // namespace travelchat::websocket
