// A socket of /ws/inbox: one advisor listens to the organization's list of conversations.
#pragma once

#include "websocket/web_socket.hpp"

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace travelchat::transport {

// `Carrier`: WireSocket or RelaySocket.
template <class Carrier>
class InboxSocket final : public Carrier {
 public:
  InboxSocket(Shard& shard, Upgrade& upgrade, Advisor advisor, InboxOptions listening);

  void deliver(const std::shared_ptr<const EventBatch>& batch) noexcept override;
  std::optional<SocketOwner> owner() const override;

 private:
  using Carrier::is_open;
  using Carrier::send;
  using Carrier::shard_;

  void opened() override;
  void received(std::string_view text) override;
  void closed() noexcept override;

  // Sends what waits, in order, as far as its clients' cards are known.
  void send_waiting();
  std::shared_ptr<InboxSocket> self() { return std::static_pointer_cast<InboxSocket>(this->shared_from_this()); }

  std::string org_id_;
  std::string advisor_id_;
  InboxOptions listening_;  // until it is opened
  Subscription subscription_;
  // Behind an answer of the host. Bounded: one more closes 4408.
  std::deque<std::shared_ptr<const EventBatch>> waiting_;
  bool asking_ = false;
  bool counted_ = false;
};

}  // namespace travelchat::transport
