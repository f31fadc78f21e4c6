// The open sockets of one event loop by whose they are, and how many of one owner's may be open at once
// (RateLimits::sockets_per_participant). On the loop's thread.
#pragma once

#include "http/connection.hpp"
#include "server/subscriber_socket.hpp"
#include "websocket/web_socket.hpp"

#include <travelchat/types.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace travelchat::server {

// Whose sockets are counted together.
struct SocketOwner {
  Uuid conversation_id;  // zero: the organization's inbox
  Role role = Role::advisor;
  std::string org_id;
  std::string id;
  friend bool operator==(const SocketOwner&, const SocketOwner&) = default;
};

struct SocketOwnerHash {
  std::size_t operator()(const SocketOwner& owner) const noexcept {
    return std::hash<Uuid>{}(owner.conversation_id) ^ std::hash<std::string>{}(owner.id);
  }
};

class SocketsByOwner {
 public:
  // `limit` 0: none.
  explicit SocketsByOwner(std::size_t limit) noexcept : limit_(limit) {}

  // Opens the socket, or refuses it because its owner has as many as allowed and all of them are alive. To find out,
  // the open ones are pinged, and the new one waits until each has answered, or until one has not answered in time and
  // is closed. So sockets of a lost network keep nobody out.
  void admit(const SocketOwner& owner, std::shared_ptr<websocket::WebSocket> socket, websocket::Upgrade upgrade);
  // It counts among its owner's from `add` to `remove`.
  void add(const SocketOwner& owner, SubscriberSocket& socket);
  void remove(const SocketOwner& owner, SubscriberSocket& socket) noexcept;

  // Lets in or refuses newcomers, as far as that is decided.
  void tick(http::SteadyTime now);
  // The server stops: no newcomer waits any longer.
  void drain();

  // `visit` opens and closes none.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& [owner, owned] : owners_) {
      for (SubscriberSocket* socket : owned.open) visit(*socket);
    }
  }

 private:
  struct Owned {
    std::vector<SubscriberSocket*> open;  // the oldest first
    // Until the open ones have answered. Bounded by the limit itself: one more is refused at once.
    std::vector<std::pair<std::shared_ptr<websocket::WebSocket>, std::unique_ptr<websocket::Upgrade>>> newcomers;
    http::SteadyTime asked_at{};
  };

  void decide(const SocketOwner& owner, http::SteadyTime now);

  const std::size_t limit_;
  std::unordered_map<SocketOwner, Owned, SocketOwnerHash> owners_;
  std::vector<SocketOwner> undecided_;  // who has newcomers
  bool is_draining_ = false;
};

}  // namespace travelchat::server
