// A socket of /ws/inbox: one advisor listens to the organization's list of conversations.
#pragma once

#include "transport/web_socket.hpp"

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace travelchat::transport {

class InboxSocket final : public WebSocket {
 public:
  InboxSocket(Shard& shard, Server::Place place, RawSocket socket, Advisor advisor, InboxOptions listening);

  void deliver(const std::shared_ptr<const EventBatch>& batch) noexcept override;

 private:
  void opened() override;
  void received(std::string_view text) override;
  void closed() noexcept override;

  // Sends what waits, in order, as far as its clients' cards are known.
  void send_waiting();
  std::shared_ptr<InboxSocket> self() { return std::static_pointer_cast<InboxSocket>(shared_from_this()); }

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
