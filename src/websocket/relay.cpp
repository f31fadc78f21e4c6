#include "websocket/relay.hpp"

#include "websocket/relay_socket.hpp"

#include <boost/asio/post.hpp>

namespace travelchat {

CarriedSocket& CarriedSocket::operator=(CarriedSocket&& other) noexcept {
  std::swap(line_, other.line_);
  return *this;
}

CarriedSocket::~CarriedSocket() {
  closed();
}

void CarriedSocket::receive_text(std::string text) {
  if (line_) line_->receive({std::move(text), false});
}

void CarriedSocket::receive_binary() {
  if (line_) line_->receive({{}, true});
}

void CarriedSocket::taken(std::size_t batches) {
  if (line_) line_->taken(batches);
}

void CarriedSocket::closed() {
  if (line_) line_->ended();
}

namespace websocket {
namespace {

constexpr std::size_t max_waiting_messages = 1'000;

}  // namespace

void Line::receive(Received::Message message) {
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

void Line::ended() {
  std::unique_lock lock(mutex_);
  if (over_ || received_.ended) return;
  received_.ended = true;
  wake(std::move(lock));
}

void Line::wake(std::unique_lock<std::mutex> lock) {
  if (!socket_ || posted_) return;
  posted_ = true;
  boost::asio::io_context& context = socket_->context();
  lock.unlock();
  run_state_->if_running([&] { boost::asio::post(context, [self = shared_from_this()] { self->hand_over(); }); });
}

void Line::attach(std::shared_ptr<RelaySocket> socket) {
  std::unique_lock lock(mutex_);
  socket_ = std::move(socket);
  wake(std::move(lock));
}

void Line::detach() noexcept {
  std::shared_ptr<RelaySocket> socket;
  const std::scoped_lock lock(mutex_);
  over_ = true;
  received_ = {};
  // Not destroyed under the lock.
  socket.swap(socket_);
}

void Line::hand_over() {
  std::shared_ptr<RelaySocket> socket;
  Received received;
  {
    const std::scoped_lock lock(mutex_);
    posted_ = false;
    socket = socket_;
    received = std::exchange(received_, {});
    // Nothing is taken in behind the end.
    received_.ended = received.ended;
  }
  if (socket) socket->take(std::move(received));
}

Relay::~Relay() {
  if (line_) close(describe(errc::closed).close_code, describe(errc::closed).name);
}

void Relay::accept(std::string_view subprotocol) {
  accepted_ = true;
  line_->carrier_->accept(subprotocol);
}

void Relay::send(TextBatch batch) {
  if (line_) line_->carrier_->send(std::move(batch));
}

void Relay::close(std::uint16_t code, std::string_view reason) noexcept {
  if (!line_) return;
  if (!accepted_) accept({});
  const auto line = std::move(line_);
  line->detach();
  const auto carrier = std::move(line->carrier_);
  carrier->close(code, reason);
}

}  // namespace websocket
}  // namespace travelchat
