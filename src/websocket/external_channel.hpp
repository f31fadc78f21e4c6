// Connects an ExternalWebSocket with the ExternalConnection of the application: passes what comes in, from any thread,
// to the socket's event loop, and what goes out to the connection.
#pragma once

#include "http/run_state.hpp"

#include <travelchat/error.hpp>
#include <travelchat/external_socket.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace travelchat::websocket {

class ExternalPeer;
class ExternalWebSocket;

// What has come in since the last hand-over to the socket.
struct Received {
  struct Message {
    std::string text;
    bool is_binary = false;
  };
  std::vector<Message> messages;  // before `ended`
  std::size_t message_bytes = 0;
  bool flooded = false;  // more came than may wait
  bool ended = false;
};

}  // namespace travelchat::websocket

namespace travelchat {

// Shared by the ExternalSocket outside and the ExternalPeer inside. Any thread.
class ExternalSocket::Channel : public std::enable_shared_from_this<Channel> {
 public:
  Channel(std::shared_ptr<http::RunState> run_state, std::shared_ptr<ExternalConnection> connection,
          std::size_t max_waiting_bytes) noexcept
      : run_state_(std::move(run_state)), connection_(std::move(connection)), max_waiting_bytes_(max_waiting_bytes) {}

  void receive(websocket::Received::Message message);
  // Only counts: the socket reads the count when it sends something, which is when it needs it.
  void acknowledge(std::size_t batches) noexcept { acknowledged_.fetch_add(batches, std::memory_order_relaxed); }
  void end();

 private:
  friend class websocket::ExternalPeer;

  // What came before is handed over in a later round of the socket's loop: by then the socket has its subscription.
  void attach(std::shared_ptr<websocket::ExternalWebSocket> socket);
  void detach() noexcept;
  void wake(std::unique_lock<std::mutex> lock);
  void hand_over();

  std::shared_ptr<http::RunState> run_state_;
  std::shared_ptr<ExternalConnection> connection_;
  std::size_t max_waiting_bytes_;
  std::mutex mutex_;
  std::shared_ptr<websocket::ExternalWebSocket> socket_;  // null: not yet open, or over
  websocket::Received received_;
  std::atomic<std::size_t> acknowledged_{0};
  bool posted_ = false;
  bool over_ = false;
};

}  // namespace travelchat

namespace travelchat::websocket {

// The peer behind an external connection, owned by the request for a socket and then by the socket. When it is
// destroyed without a close, it closes with the code of a server that stops.
class ExternalPeer {
 public:
  explicit ExternalPeer(std::shared_ptr<ExternalSocket::Channel> channel) noexcept : channel_(std::move(channel)) {}
  ExternalPeer(ExternalPeer&&) noexcept = default;
  ExternalPeer& operator=(ExternalPeer&&) = delete;
  ~ExternalPeer();

  void accept(std::string_view subprotocol);
  void send(TextBatch batch);
  // Accepts first when that has not been done.
  void close(std::uint16_t code, std::string_view reason) noexcept;
  // From now on what comes in goes to this socket.
  void attach(std::shared_ptr<ExternalWebSocket> socket) { channel_->attach(std::move(socket)); }
  // Batches that were acknowledged since the last call.
  std::size_t acknowledged_batches() noexcept {
    return channel_ ? channel_->acknowledged_.exchange(0, std::memory_order_relaxed) : 0;
  }

 private:
  std::shared_ptr<ExternalSocket::Channel> channel_;  // null once closed
  bool accepted_ = false;
};

}  // namespace travelchat::websocket
