#include "transport/chat_socket.hpp"

#include "wire/wire.hpp"

#include <boost/asio/bind_executor.hpp>

#include <string>
#include <utility>
#include <variant>

namespace travelchat::transport {
namespace {

// A socket may send this many times the limit before it is closed; below that, frames are only dropped.
constexpr std::uint32_t flood_factor = 10;
SocketOwner owner_of(const Participant& participant, const Uuid& conversation_id) {
  return {conversation_id, participant.role, participant.org_id, participant.id};
}

}  // namespace

ChatSocket::ChatSocket(Shard& shard, Server::Place place, RawSocket socket, Participant participant,
                       const Uuid& conversation_id, SubscribeOptions listening, std::optional<TimePoint> expires_at)
    : WebSocket(shard, std::move(place), std::move(socket)),
      participant_(std::move(participant)),
      conversation_id_(conversation_id),
      listening_(listening) {
  expire_at(expires_at);
}

void ChatSocket::opened() {
  if (!shard_.admit_socket(owner_of(participant_, conversation_id_))) {
    close(describe(errc::rate_limited).close_code, describe(errc::rate_limited).name);
    return;
  }
  counted_ = true;
  shard_.counters().chat_sockets.add(1);
  auto self = std::static_pointer_cast<ChatSocket>(shared_from_this());
  shard_.server().engine().async_subscribe(
      participant_, conversation_id_, self, listening_,
      boost::asio::bind_executor(shard_.executor(), [self](result<Subscription> subscription) {
        if (!subscription) {
          const ErrorInfo& error = describe(subscription.error());
          self->WebSocket::close(error.close_code, error.name);
        } else if (self->is_open()) {
          self->subscription_ = std::move(*subscription);
        }
      }));
}

void ChatSocket::closed() noexcept {
  subscription_.reset();
  if (!counted_) return;
  counted_ = false;
  shard_.counters().chat_sockets.subtract(1);
  shard_.release_socket(owner_of(participant_, conversation_id_));
}

void ChatSocket::deliver(const std::shared_ptr<const EventBatch>& batch) noexcept {
  shard_.counters().frames_sent.add(batch->events().size());
  send(batch->encoded());
}

void ChatSocket::received(std::string_view text) {
  const auto frame = wire::parse_client_frame(text);
  if (!frame)
    refuse(frame.error());
  else if (const auto* typing = std::get_if<wire::TypingFrame>(&*frame))
    take_typing(typing->is_typing);
  else
    take_seen();
}

// Frames over the limit are dropped, but the last of them counts in the end: nobody is left typing because the frame
// that said otherwise was one too many.
void ChatSocket::take_typing(bool is_typing) {
  const RateLimit& limit = shard_.server().options().rate_limits.typing_frames;
  if (limit.count > 0) {
    const auto now = std::chrono::steady_clock::now();
    if (now - typing_window_ >= limit.window) {
      typing_window_ = now;
      typing_frames_ = 0;
    }
    if (++typing_frames_ > limit.count) {
      late_typing_ = is_typing;
      if (typing_frames_ > limit.count * flood_factor) {
        close(describe(errc::rate_limited).close_code, describe(errc::rate_limited).name);
      }
      return;
    }
  }
  late_typing_.reset();
  subscription_.set_typing(is_typing);
}

// One at a time: whatever comes meanwhile is one more.
void ChatSocket::take_seen() {
  if (marking_) {
    mark_again_ = true;
    return;
  }
  marking_ = true;
  shard_.server().engine().async_mark(
      participant_, conversation_id_,
      boost::asio::bind_executor(shard_.executor(), [self = std::static_pointer_cast<ChatSocket>(shared_from_this())](
                                                        const result<Marked>& marked) {
        self->marking_ = false;
        if (!self->is_open()) return;
        if (!marked) {
          self->mark_again_ = false;
          std::string event;
          wire::append_error_event(describe(marked.error()), event);
          self->send(make_text_frame(event));
        } else if (std::exchange(self->mark_again_, false)) {
          self->take_seen();
        }
      }));
}

void ChatSocket::tick(const Now& now) {
  WebSocket::tick(now);
  if (late_typing_ && is_open() &&
      now.steady - typing_window_ >= shard_.server().options().rate_limits.typing_frames.window) {
    subscription_.set_typing(*late_typing_);
    late_typing_.reset();
  }
}

}  // namespace travelchat::transport
