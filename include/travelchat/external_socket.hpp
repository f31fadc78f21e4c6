// A WebSocket of the chat on an external connection: one whose frames the application's own server reads and writes
// (ASGI), or that is no socket of the system. `BeastServer::open_socket` makes one.
//
// It is treated as a socket of the server's own: credentials, limits, close codes, resume, and the event `alive` at
// every `ping_interval`. Only pings are left to the connection's owner, who must notice that the peer is gone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace travelchat {

// Text messages for the peer, in order. They lie in `memory`, which may be kept and is shared with other sockets.
struct TextBatch {
  std::shared_ptr<const std::string> memory;
  std::vector<std::string_view> texts;
};

// Implemented by the connection's owner; shared with the server until `close` was called. Called one call at a time, on
// threads of the engine: return at once.
class ExternalConnection {
 public:
  virtual ~ExternalConnection() = default;

  // The first call. Completes the handshake; `subprotocol` is the one to pick, empty for none. A socket that is refused
  // is accepted too, and closed with a code, because browsers hide the status of a refused handshake.
  virtual void accept(std::string_view subprotocol) noexcept = 0;
  // To be acknowledged by `ExternalSocket::acknowledge` once the batch has left. What is not acknowledged counts:
  // beyond `BeastServerOptions::max_outbox_bytes` the socket is closed with 4408.
  virtual void send(TextBatch batch) noexcept = 0;
  // The last call: closes the connection once what was sent has left; with 4408 what has not left may be dropped. It
  // follows `ExternalSocket::closed` as well.
  virtual void close(std::uint16_t code, std::string_view reason) noexcept = 0;
};

// The application's handle of the socket, by which it tells the server what happens. Destroying it means that the peer
// is gone. Any thread; messages count in the order in which they are handed in.
class ExternalSocket {
 public:
  class Channel;  // the server's

  ExternalSocket() noexcept = default;
  explicit ExternalSocket(std::shared_ptr<Channel> channel) noexcept : channel_(std::move(channel)) {}
  ExternalSocket(ExternalSocket&&) noexcept = default;
  ExternalSocket& operator=(ExternalSocket&& other) noexcept;
  ~ExternalSocket();

  // One whole message. Longer than `BeastServerOptions::max_frame_bytes`: closes with 1009; no valid UTF-8: 1007. A
  // peer that sends faster than the server reads (1,000 messages or `max_outbox_bytes` wait) is closed with 4429.
  void receive_text(std::string text);
  // Closes with 1003: the chat knows no binary messages.
  void receive_binary();
  // The oldest `batches` that were sent and not yet acknowledged have left.
  void acknowledge(std::size_t batches = 1);
  // The peer is gone or has begun to close.
  void closed();

 private:
  std::shared_ptr<Channel> channel_;
};

}  // namespace travelchat
