// A socket of /ws/chat: one participant listens to one conversation.
#pragma once

#include "server/chat_loop.hpp"
#include "server/subscriber_socket.hpp"
#include "websocket/web_socket.hpp"

#include <travelchat/engine.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace travelchat::server {

// `BaseSocket`: websocket::TcpWebSocket or websocket::ExternalWebSocket.
template <class BaseSocket>
class ChatSocket final : public BaseSocket, public SubscriberSocket {
 public:
  ChatSocket(ChatLoop& loop, websocket::Upgrade& upgrade, Participant participant,
             std::unique_ptr<const Conversation> conversation, const SubscribeOptions& listening,
             std::optional<TimePoint> expires_at, std::unique_ptr<const SocketClaim> claim);

  ChatLoop& loop() const noexcept { return static_cast<ChatLoop&>(BaseSocket::loop()); }
  SocketOwner owner() const;
  void deliver(const std::shared_ptr<const EventBatch>& batch) noexcept override;
  websocket::WebSocket& web_socket() noexcept override { return *this; }
  void tick(const http::Now& now) override;

 private:
  using BaseSocket::is_open;
  using BaseSocket::send;

  void opened() override;
  void received(std::string_view text) override;
  void closed() noexcept override;
  void send_event(std::string_view json) override { send(make_text_frame(json)); }

  void typing_received(bool is_typing);
  void seen_received();
  void mark();

  Participant participant_;
  std::unique_ptr<const Conversation> conversation_;  // as it was read; until it is opened
  Uuid conversation_id_;
  Subscription subscription_;
  SubscribeOptions listening_;
  http::SteadyTime typing_window_{};  // since when `typing_frames_` counts
  std::uint32_t typing_frames_ = 0;
  std::optional<bool> held_back_typing_;  // of the last frame over the limit; takes effect when the window ends
  std::optional<http::SteadyTime> held_back_seen_;  // when frames over the limit are tried again, as one
  bool marking_ = false;
  bool mark_once_more_ = false;
  bool counted_ = false;
};

}  // namespace travelchat::server
