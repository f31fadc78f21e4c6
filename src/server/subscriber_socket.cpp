#include "server/subscriber_socket.hpp"

#include "wire/socket_text.hpp"

#include <chrono>
#include <string>

namespace travelchat::server {
namespace {

// The fifth refused message within this closes.
constexpr std::uint32_t refusal_window_ms = 10'000;

std::uint32_t steady_milliseconds() {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

}  // namespace

std::weak_ptr<SubscriberSocket> SubscriberSocket::weak() {
  return std::shared_ptr<SubscriberSocket>(web_socket().shared_from_this(), this);
}

void SubscriberSocket::refuse(const error_code& error) {
  const std::uint32_t now = steady_milliseconds();
  std::uint32_t& oldest = refused_at_[refused_ % refused_at_.size()];
  if (refused_ >= refused_at_.size() && now - oldest < refusal_window_ms) {
    web_socket().close(describe(errc::malformed_json).close_code, describe(error).name);
    return;
  }
  oldest = now;
  // Kept small: from the ring's size on, only the remainder matters.
  if (++refused_ == 2 * refused_at_.size()) refused_ = static_cast<std::uint8_t>(refused_at_.size());
  std::string event;
  wire::append_error_event(describe(error), event);
  send_event(event);
}

http::Buffer make_text_frame(std::string_view payload) {
  std::string frame;
  frame.reserve(payload.size() + 10);
  wire::append_text_frame(payload, frame);
  return std::make_shared<const std::string>(std::move(frame));
}

}  // namespace travelchat::server
