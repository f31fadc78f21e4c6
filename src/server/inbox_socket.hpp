// A socket of /ws/inbox: one advisor listens to the organization's list of conversations.
#pragma once

#include "server/chat_loop.hpp"
#include "server/subscriber_socket.hpp"
#include "websocket/web_socket.hpp"

#include <travelchat/engine.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::server {

// `BaseSocket`: websocket::TcpWebSocket or websocket::ExternalWebSocket.
template <class BaseSocket>
class InboxSocket final : public BaseSocket, public SubscriberSocket {
 public:
  InboxSocket(ChatLoop& loop, websocket::Upgrade& upgrade, Advisor advisor, InboxOptions listening);

  ChatLoop& loop() const noexcept { return static_cast<ChatLoop&>(BaseSocket::loop()); }
  SocketOwner owner() const;
  void deliver(const std::shared_ptr<const EventBatch>& batch) noexcept override;
  websocket::WebSocket& web_socket() noexcept override { return *this; }

 private:
  using BaseSocket::is_open;
  using BaseSocket::send;

  void opened() override;
  void received(std::string_view text) override;
  void closed() noexcept override;
  void send_event(std::string_view json) override { send(make_text_frame(json)); }

  // Sends the batches that wait, in order, up to the first with a client whose card is not known yet.
  void send_waiting();
  std::shared_ptr<InboxSocket> self() { return std::static_pointer_cast<InboxSocket>(this->shared_from_this()); }

  std::string org_id_;
  std::string advisor_id_;
  InboxOptions listening_;  // until it is opened
  Subscription subscription_;
  // Batches that wait for an answer of the host. Bounded: one more closes the socket with 4408.
  std::deque<std::shared_ptr<const EventBatch>> waiting_;
  bool asking_ = false;
  bool counted_ = false;
};

}  // namespace travelchat::server
