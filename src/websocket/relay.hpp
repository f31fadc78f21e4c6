// The way between a RelaySocket and the SocketCarrier that has its connection: what comes in from any thread, to the
// event loop where the socket lives, and what goes out.
#pragma once

#include "http/run_state.hpp"

#include <travelchat/carried_socket.hpp>
#include <travelchat/error.hpp>

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

class RelaySocket;

// What has come in since the socket looked last.
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

// Shared by the CarriedSocket outside and the Relay inside. Any thread.
class Line : public std::enable_shared_from_this<Line> {
 public:
  Line(std::shared_ptr<http::RunState> run_state, std::shared_ptr<SocketCarrier> carrier,
       std::size_t max_waiting_bytes) noexcept
      : run_state_(std::move(run_state)), carrier_(std::move(carrier)), max_waiting_bytes_(max_waiting_bytes) {}

  void receive(Received::Message message);
  // Wakes nobody: the socket asks when it has something to send, which is when it matters.
  void taken(std::size_t batches) noexcept { taken_batches_.fetch_add(batches, std::memory_order_relaxed); }
  void ended();

 private:
  friend class Relay;

  // What came before the socket was there is handed over in a later round of its loop: by then it has its
  // subscription.
  void attach(std::shared_ptr<RelaySocket> socket);
  void detach() noexcept;
  void wake(std::unique_lock<std::mutex> lock);
  void hand_over();

  std::shared_ptr<http::RunState> run_state_;
  std::shared_ptr<SocketCarrier> carrier_;
  std::size_t max_waiting_bytes_;
  std::mutex mutex_;
  std::shared_ptr<RelaySocket> socket_;  // null: not yet open, or over
  Received received_;
  std::atomic<std::size_t> taken_batches_{0};
  bool posted_ = false;
  bool over_ = false;
};

// The socket's end, first within the request for it. Destroyed without a close, it closes as a server that stops does.
class Relay {
 public:
  explicit Relay(std::shared_ptr<Line> line) noexcept : line_(std::move(line)) {}
  Relay(Relay&&) noexcept = default;
  Relay& operator=(Relay&&) = delete;
  ~Relay();

  void accept(std::string_view subprotocol);
  void send(TextBatch batch);
  // Accepts first when that has not been done.
  void close(std::uint16_t code, std::string_view reason) noexcept;
  void attach(std::shared_ptr<RelaySocket> socket) { line_->attach(std::move(socket)); }
  // Batches that were acknowledged since the last call.
  std::size_t taken_batches() noexcept {
    return line_ ? line_->taken_batches_.exchange(0, std::memory_order_relaxed) : 0;
  }

 private:
  std::shared_ptr<Line> line_;  // null once closed
  bool accepted_ = false;
};

}  // namespace travelchat::websocket
