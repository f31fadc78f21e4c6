// What the chat remembers for the connections on one of the engine's I/O threads: calls to the host that wait, the open
// sockets by owner, what the host has said of clients and credentials.
//
// Owned by the server; everything but the counts belongs to the loop's thread.
#pragma once

#include "http/counters.hpp"
#include "http/outbox.hpp"
#include "server/client_cards.hpp"
#include "server/credential_watch.hpp"
#include "server/sockets_by_owner.hpp"
#include "websocket/socket_loop.hpp"

#include <travelchat/event.hpp>

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace travelchat::server {

class ChatServer;

// A call that the host has not answered yet, with a coroutine behind it.
class PendingCall {
 public:
  // Looks at its deadline. Loop's thread.
  virtual void tick(http::SteadyTime now) = 0;
  // Forgets the coroutine. Loop's thread.
  virtual void abandon() = 0;

 protected:
  virtual ~PendingCall() = default;

 private:
  friend class ChatLoop;
  std::size_t index_ = 0;
};

struct ChatCounters {
  http::Counter chat_sockets;   // gauge
  http::Counter inbox_sockets;  // gauge
  http::Counter events_sent;
};

class ChatLoop final : public websocket::SocketLoop {
 public:
  ChatLoop(ChatServer& server, boost::asio::io_context& context);
  ~ChatLoop() override;

  ChatServer& server() const noexcept;
  ChatCounters& chat_counters() noexcept { return counters_; }
  const ChatCounters& chat_counters() const noexcept { return counters_; }
  CredentialWatch& credentials() noexcept { return credentials_; }
  SocketsByOwner& sockets() noexcept { return sockets_; }
  ClientCards& client_cards() noexcept { return client_cards_; }

  void add(PendingCall& call);
  void remove(PendingCall& call) noexcept;

  // The bytes of an inbox batch, made once for all advisors of an organization.
  http::Buffer find_inbox_bytes(const EventBatch& batch) const noexcept;
  void remember_inbox_bytes(std::shared_ptr<const EventBatch> batch, http::Buffer bytes);

 private:
  void on_tick(const http::Now& now) override;
  void on_drain() override;
  // Forgets every coroutine that waits for the host.
  void on_abort() override;

  std::vector<PendingCall*> calls_;
  SocketsByOwner sockets_;
  ClientCards client_cards_;
  CredentialWatch credentials_{*this};
  std::shared_ptr<const EventBatch> inbox_batch_;
  http::Buffer inbox_bytes_;
  ChatCounters counters_;
};

}  // namespace travelchat::server
