// The connection of a WebSocket whose frames Python sends and receives: what the server sends waits here until Python
// takes it.
#pragma once

#include "arrival_queue.hpp"

#include <travelchat/external_socket.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace travelchat::python {

// It wakes Python only when that has found it empty. Bounded by the server: what was sent and not acknowledged counts
// against `max_outbox_bytes`, and beyond that the socket is closed.
class PythonConnection final : public ExternalConnection {
 public:
  PythonConnection(const std::shared_ptr<ArrivalQueue>& queue, std::uint64_t token) : queue_(queue), token_(token) {}

  void accept(std::string_view subprotocol) noexcept override;
  void send(TextBatch batch) noexcept override;
  void close(std::uint16_t code, std::string_view reason) noexcept override;

  // (accepted, texts, batches, closed): the subprotocol when the handshake is to be completed, else None; the texts to
  // be sent and how many batches they are; the code and the reason to close with, else None. None in place of the
  // tuple: nothing waits, and Python will be woken.
  py::object take();

 private:
  void wake_if_awaited(std::unique_lock<std::mutex> lock) noexcept;

  const std::weak_ptr<ArrivalQueue> queue_;
  const std::uint64_t token_;
  std::mutex mutex_;
  std::optional<std::string> accepted_;
  std::deque<TextBatch> batches_;
  std::optional<std::pair<std::uint16_t, std::string>> closed_;
  bool is_awaited_ = false;
};

}  // namespace travelchat::python
