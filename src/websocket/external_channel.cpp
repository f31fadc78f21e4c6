#include "websocket/external_channel.hpp"

#include "websocket/external_web_socket.hpp"

#include <boost/asio/post.hpp>

namespace travelchat {
namespace {

constexpr std::size_t max_waiting_messages = 1'000;

}  // namespace

ExternalSocket& ExternalSocket::operator=(ExternalSocket&& other) noexcept {
  std::swap(channel_, other.channel_);
  return *this;
}

ExternalSocket::~ExternalSocket() {
  closed();
}

void ExternalSocket::receive_text(std::string text) {
  if (channel_) channel_->receive({std::move(text), false});
}

void ExternalSocket::receive_binary() {
  if (channel_) channel_->receive({{}, true});
}

void ExternalSocket::acknowledge(std::size_t batches) {
  if (channel_) channel_->acknowledge(batches);
}

void ExternalSocket::closed() {
  if (channel_) channel_->end();
}

void ExternalSocket::Channel::receive(websocket::Received::Message message) {
  std::unique_lock lock(mutex_);
  if (over_ || received_.ended || received_.flooded) return;
  received_.message_bytes += message.text.size();
  if (received_.messages.size() >= max_waiting_messages || received_.message_bytes > max_waiting_bytes_) {
    received_.flooded = true;
  } else {
    received_.messages.push_back(std::move(message));
  }
  wake(std::move(lock));
}

void ExternalSocket::Channel::end() {
  std::unique_lock lock(mutex_);
  if (over_ || received_.ended) return;
  received_.ended = true;
  wake(std::move(lock));
}

void ExternalSocket::Channel::wake(std::unique_lock<std::mutex> lock) {
  if (!socket_ || posted_) return;
  posted_ = true;
  boost::asio::io_context& context = socket_->context();
  lock.unlock();
  run_state_->if_running([&] { boost::asio::post(context, [self = shared_from_this()] { self->hand_over(); }); });
}

void ExternalSocket::Channel::attach(std::shared_ptr<websocket::ExternalWebSocket> socket) {
  std::unique_lock lock(mutex_);
  socket_ = std::move(socket);
  wake(std::move(lock));
}

void ExternalSocket::Channel::detach() noexcept {
  std::shared_ptr<websocket::ExternalWebSocket> socket;
  const std::scoped_lock lock(mutex_);
  over_ = true;
  received_ = {};
  // Destroyed after the lock is released.
  socket.swap(socket_);
}

void ExternalSocket::Channel::hand_over() {
  std::shared_ptr<websocket::ExternalWebSocket> socket;
  websocket::Received received;
  {
    const std::scoped_lock lock(mutex_);
    posted_ = false;
    socket = socket_;
    received = std::exchange(received_, {});
    // Nothing that comes after the end is taken.
    received_.ended = received.ended;
  }
  if (socket) socket->receive(std::move(received));
}

}  // namespace travelchat

namespace travelchat::websocket {

ExternalPeer::~ExternalPeer() {
  if (channel_) close(describe(errc::closed).close_code, describe(errc::closed).name);
}

void ExternalPeer::accept(std::string_view subprotocol) {
  accepted_ = true;
  channel_->connection_->accept(subprotocol);
}

void ExternalPeer::send(TextBatch batch) {
  if (channel_) channel_->connection_->send(std::move(batch));
}

void ExternalPeer::close(std::uint16_t code, std::string_view reason) noexcept {
  if (!channel_) return;
  if (!accepted_) accept({});
  const auto channel = std::move(channel_);
  channel->detach();
  const auto connection = std::move(channel->connection_);
  connection->close(code, reason);
}

}  // namespace travelchat::websocket
