// One open WebSocket as the chat sees it: what its peer says, what it is told, and when it has to end.
//
// How its frames travel is left to two subclasses: a WireSocket reads and writes them itself, a RelaySocket has
// somebody else do it. What a socket is for (chat, inbox, refusal) is a template over those two, so that the path from
// a room to a thousand sockets has no call more for it. Belongs to its shard's thread.
#pragma once

#include "http/outbox.hpp"
#include "http/request_checks.hpp"
#include "http/socket.hpp"
#include "server/server.hpp"
#include "server/shard.hpp"
#include "websocket/relay.hpp"

#include <travelchat/engine.hpp>
#include <travelchat/host.hpp>
#include <travelchat/subscriber.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace travelchat::transport {

// A request for a socket whose handshake is in order.
struct Upgrade {
  explicit Upgrade(Server::Place of) noexcept : place(std::move(of)) {}

  Server::Place place;
  bool is_inbox = false;
  bool speaks_v1 = false;  // the subprotocol was offered
  bool origin_ok = false;
  std::optional<Query> query;  // nullopt: malformed
  std::optional<std::string> chat_token;
  std::string remote_address;
  RequestCredentials credentials;

  // Where its frames travel: on a connection that is the server's own ...
  RawSocket socket;
  std::string accept_key;
  std::string early_bytes;  // what came behind the request
  // ... or, when this is set, with somebody else.
  std::optional<Relay> relay;
};

// Decides who it is, hands it to the shard where it belongs, and opens it there; a refused one is opened and closed
// with its code. On the shard of the connection.
void open_web_socket(Shard& shard, Upgrade upgrade);

class WebSocket : public Connection, public Subscriber {
 public:
  WebSocket(Shard& shard, Upgrade& upgrade);
  ~WebSocket() override;

  // Answers the request: opens it, or with `refusal` only to close it with that code, because browsers hide the status
  // of a handshake that is refused.
  virtual void open(const Upgrade& upgrade, const ErrorInfo* refusal) = 0;
  // Whose sockets it counts among; nullopt: nobody's.
  virtual std::optional<SocketOwner> owner() const { return std::nullopt; }
  // Has its peer show that it is there, by a ping.
  virtual void ask() = 0;
  // When the peer showed that last.
  virtual SteadyTime heard() const noexcept = 0;

  // Starts the closing handshake; `code` 1005 closes without one. Nothing is delivered afterwards.
  virtual void close(std::uint16_t code, std::string_view reason = {}) = 0;
  void close_with(const ErrorInfo& error) { close(error.close_code, error.name); }
  // ---- Subscriber ----
  void close(errc reason) noexcept final;

  void drain() final;
  const SocketClaim* claim() const noexcept final { return is_open() ? claim_.get() : nullptr; }
  void end_claim() final { close(errc::unauthenticated); }

 protected:
  enum class Stage : std::uint8_t { unopened, open, closing, ending, gone };

  // The peer has been answered.
  virtual void opened() = 0;
  // A text message of the peer.
  virtual void received(std::string_view text) = 0;
  // It is over: let go of everything. Called once.
  virtual void closed() noexcept = 0;
  // One event for this peer alone.
  virtual void send_event(std::string_view json) = 0;

  bool is_open() const noexcept { return stage_ == Stage::open; }
  // Tells the peer that its message was not acceptable; closes when that goes on.
  void refuse(const error_code& error);
  void rest_on(std::unique_ptr<const SocketClaim> claim) noexcept { claim_ = std::move(claim); }
  void expire_at(std::optional<TimePoint> time) noexcept { expires_at_ = time.value_or(TimePoint::max()); }
  // Whether it was closed because its credential has expired.
  bool close_if_expired(const Now& now);
  // From open to `next`: counts the code, records it, and lets go. False: it was not open.
  bool leave_open(Stage next, std::uint16_t code) noexcept;
  void count_sent(std::size_t bytes) noexcept {
    if (record_) record_->bytes += bytes;
  }

  // For the access log.
  struct Record {
    std::string remote_address;
    std::string path;
    SteadyTime begun;
    std::size_t bytes = 0;
  };

  Server::Place place_;
  std::unique_ptr<Record> record_;  // null: there is no log
  std::unique_ptr<const SocketClaim> claim_;
  TimePoint expires_at_ = TimePoint::max();
  std::array<std::uint32_t, 4> refused_at_{};  // milliseconds of the steady clock, a ring
  std::uint8_t refused_ = 0;
  Stage stage_ = Stage::unopened;
};

// A frame for a client, as a buffer of its own.
Buffer make_text_frame(std::string_view payload);

}  // namespace travelchat::transport
