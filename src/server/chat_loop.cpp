#include "server/chat_loop.hpp"

#include "server/chat_server.hpp"
#include "server/server_options.hpp"

#include "wire/socket_text.hpp"

#include <string>
#include <utility>

namespace travelchat::server {
namespace {

http::Buffer make_alive(const BeastServerOptions& options) {
  std::string event;
  wire::append_alive_event(options.ping_interval, event);
  return make_text_frame(event);
}

}  // namespace

ChatLoop::ChatLoop(ChatServer& server, boost::asio::io_context& context)
    : SocketLoop(server, context, to_socket_options(server.chat_options()), make_alive(server.chat_options())),
      sockets_(server.chat_options().rate_limits.sockets_per_participant) {}

ChatLoop::~ChatLoop() = default;

ChatServer& ChatLoop::server() const noexcept {
  return static_cast<ChatServer&>(SocketLoop::server());
}

void ChatLoop::add(PendingCall& call) {
  call.index_ = calls_.size();
  calls_.push_back(&call);
}

void ChatLoop::remove(PendingCall& call) noexcept {
  PendingCall* const last = calls_.back();
  calls_[call.index_] = last;
  last->index_ = call.index_;
  calls_.pop_back();
}

http::Buffer ChatLoop::find_inbox_bytes(const EventBatch& batch) const noexcept {
  return inbox_batch_.get() == &batch ? inbox_bytes_ : nullptr;
}

void ChatLoop::remember_inbox_bytes(std::shared_ptr<const EventBatch> batch, http::Buffer bytes) {
  inbox_batch_ = std::move(batch);
  inbox_bytes_ = std::move(bytes);
}

void ChatLoop::on_tick(const http::Now& now) {
  inbox_batch_ = nullptr;
  inbox_bytes_ = nullptr;
  for (std::size_t i = calls_.size(); i-- > 0;) {
    if (i < calls_.size()) calls_[i]->tick(now.steady);
  }
  sockets_.tick(now.steady);
  credentials_.tick(now);
}

void ChatLoop::on_drain() {
  sockets_.drain();
}

void ChatLoop::on_abort() {
  while (!calls_.empty()) calls_.back()->abandon();
  credentials_.clear();
}

}  // namespace travelchat::server
