#include "server/sockets_by_owner.hpp"

#include <algorithm>
#include <chrono>

namespace travelchat::server {
namespace {

// How long open sockets may take to answer a ping when a further one of their owner waits for a place.
constexpr auto answer_timeout = std::chrono::seconds{3};

}  // namespace

void SocketsByOwner::admit(const SocketOwner& owner, std::shared_ptr<websocket::WebSocket> socket,
                           websocket::Upgrade upgrade) {
  const auto found = limit_ == 0 ? owners_.end() : owners_.find(owner);
  if (found == owners_.end() || (found->second.open.size() < limit_ && found->second.newcomers.empty())) {
    socket->open(upgrade, nullptr);
    return;
  }
  Owned& owned = found->second;
  if (is_draining_ || owned.newcomers.size() >= limit_) {
    socket->open(upgrade, &describe(is_draining_ ? errc::closed : errc::rate_limited));
    return;
  }
  if (owned.newcomers.empty()) undecided_.push_back(owner);
  owned.newcomers.emplace_back(std::move(socket), std::make_unique<websocket::Upgrade>(std::move(upgrade)));
  owned.asked_at = std::chrono::steady_clock::now();
  // Copied, because a ping may close a socket that is too slow.
  const std::vector<SubscriberSocket*> open = owned.open;
  for (SubscriberSocket* const other : open) other->web_socket().ping();
}

void SocketsByOwner::tick(http::SteadyTime now) {
  for (const SocketOwner& owner : std::exchange(undecided_, {})) decide(owner, now);
}

void SocketsByOwner::decide(const SocketOwner& owner, http::SteadyTime now) {
  const auto found = owners_.find(owner);
  if (found == owners_.end()) return;
  const http::SteadyTime asked_at = found->second.asked_at;
  auto newcomers = std::exchange(found->second.newcomers, {});
  std::vector<websocket::WebSocket*> silent;
  for (SubscriberSocket* const open : found->second.open) {
    if (open->web_socket().last_heard() < asked_at) silent.push_back(&open->web_socket());
  }
  const bool is_over = silent.empty() || now - asked_at >= answer_timeout;
  if (is_over) {
    std::ranges::sort(silent, {}, &websocket::WebSocket::last_heard);
    const std::size_t all = newcomers.size() + found->second.open.size();
    const std::size_t too_many = all - std::min(all, limit_);
    for (std::size_t i = 0; i < std::min(silent.size(), too_many); ++i) {
      silent[i]->close_with(describe(errc::rate_limited));
    }
  }
  // Looked up anew each time: a socket may end within `open`, and the owner's last one removes the entry.
  const auto has_room = [&] {
    const auto it = owners_.find(owner);
    return it == owners_.end() || it->second.open.size() < limit_;
  };
  // The newest first: it is the most likely to be still in use.
  for (; !newcomers.empty() && has_room(); newcomers.pop_back()) {
    newcomers.back().first->open(*newcomers.back().second, nullptr);
  }
  if (!is_over && !newcomers.empty()) {
    Owned& owned = owners_[owner];
    owned.newcomers = std::move(newcomers);
    owned.asked_at = asked_at;
    undecided_.push_back(owner);
    return;
  }
  for (auto& [socket, upgrade] : newcomers) socket->open(*upgrade, &describe(errc::rate_limited));
}

void SocketsByOwner::drain() {
  is_draining_ = true;
  // They are told that the server stops, as the open ones are.
  for (const SocketOwner& owner : std::exchange(undecided_, {})) {
    const auto it = owners_.find(owner);
    if (it == owners_.end()) continue;
    for (auto& [socket, upgrade] : std::exchange(it->second.newcomers, {})) {
      socket->open(*upgrade, &describe(errc::closed));
    }
  }
}

void SocketsByOwner::add(const SocketOwner& owner, SubscriberSocket& socket) {
  owners_[owner].open.push_back(&socket);
}

void SocketsByOwner::remove(const SocketOwner& owner, SubscriberSocket& socket) noexcept {
  const auto found = owners_.find(owner);
  if (found == owners_.end()) return;
  Owned& owned = found->second;
  std::erase(owned.open, &socket);
  if (owned.open.empty() && owned.newcomers.empty()) owners_.erase(found);
}

}  // namespace travelchat::server
