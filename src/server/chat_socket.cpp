#include "server/chat_socket.hpp"

#include "server/chat_server.hpp"
#include "websocket/external_web_socket.hpp"
#include "websocket/tcp_web_socket.hpp"

#include "wire/socket_text.hpp"

#include <boost/asio/bind_executor.hpp>

#include <string>
#include <utility>
#include <variant>

namespace travelchat::server {
namespace {

// A socket may send this many times the limit before it is closed; below that, frames are only dropped.
constexpr std::uint32_t flood_factor = 10;

SocketOwner owner_of(const Participant& participant, const Uuid& conversation_id) {
  return {conversation_id, participant.role, participant.org_id, participant.id};
}

}  // namespace

template <class BaseSocket>
ChatSocket<BaseSocket>::ChatSocket(ChatLoop& loop, websocket::Upgrade& upgrade, Participant participant,
                                   std::unique_ptr<const Conversation> conversation, const SubscribeOptions& listening,
                                   std::optional<TimePoint> expires_at, std::unique_ptr<const SocketClaim> claim)
    : BaseSocket(loop, upgrade),
      participant_(std::move(participant)),
      conversation_(std::move(conversation)),
      conversation_id_(conversation_->id),
      listening_(listening) {
  this->expire_at(expires_at);
  this->set_claim(std::move(claim));
}

template <class BaseSocket>
SocketOwner ChatSocket<BaseSocket>::owner() const {
  return owner_of(participant_, conversation_id_);
}

template <class BaseSocket>
void ChatSocket<BaseSocket>::opened() {
  loop().sockets().add(owner(), *this);
  counted_ = true;
  loop().chat_counters().chat_sockets.add(1);
  auto self = std::static_pointer_cast<ChatSocket>(this->shared_from_this());
  const auto known = std::move(conversation_);
  listening_.known = known.get();
  loop().server().engine().async_subscribe(
      participant_, conversation_id_, self, std::exchange(listening_, {}),
      boost::asio::bind_executor(loop().executor(), [self](result<Subscription> subscription) {
        if (!subscription) {
          self->close_with(describe(subscription.error()));
        } else if (self->is_open()) {
          self->subscription_ = std::move(*subscription);
        }
      }));
}

template <class BaseSocket>
void ChatSocket<BaseSocket>::closed() noexcept {
  subscription_.reset();
  // A "seen" that the limit has delayed takes effect now. This is no way around the limit, because opening sockets has
  // a limit of its own.
  if (std::exchange(held_back_seen_, {})) mark();
  if (!counted_) return;
  counted_ = false;
  loop().chat_counters().chat_sockets.subtract(1);
  loop().sockets().remove(owner(), *this);
}

template <class BaseSocket>
void ChatSocket<BaseSocket>::deliver(const std::shared_ptr<const EventBatch>& batch) noexcept {
  loop().chat_counters().events_sent.add(batch->events().size());
  send(batch->encoded());
}

template <class BaseSocket>
void ChatSocket<BaseSocket>::received(std::string_view text) {
  const auto frame = wire::parse_client_frame(text);
  if (!frame)
    this->refuse(frame.error());
  else if (const auto* typing = std::get_if<wire::TypingFrame>(&*frame))
    typing_received(typing->is_typing);
  else
    seen_received();
}

// Frames over the limit are dropped, except that the last one takes effect when the window ends. Otherwise somebody
// could be shown as typing for ever because the frame that ended it was over the limit.
template <class BaseSocket>
void ChatSocket<BaseSocket>::typing_received(bool is_typing) {
  const RateLimit& limit = loop().server().chat_options().rate_limits.typing_frames;
  if (limit.count > 0) {
    const auto now = std::chrono::steady_clock::now();
    if (now - typing_window_ >= limit.window) {
      typing_window_ = now;
      typing_frames_ = 0;
    }
    if (++typing_frames_ > limit.count) {
      held_back_typing_ = is_typing;
      if (typing_frames_ > limit.count * flood_factor) {
        this->close_with(describe(errc::rate_limited));
      }
      return;
    }
  }
  held_back_typing_.reset();
  subscription_.set_typing(is_typing);
}

// One mark at a time. Frames that come meanwhile become one more mark, and so do frames over the limit, once it allows
// that.
template <class BaseSocket>
void ChatSocket<BaseSocket>::seen_received() {
  if (marking_) {
    mark_once_more_ = true;
    return;
  }
  if (held_back_seen_) return;
  const auto delay = loop().server().limits().take(Limits::Act::mark, participant_);
  if (delay.count() > 0)
    held_back_seen_ = std::chrono::steady_clock::now() + delay;
  else
    mark();
}

template <class BaseSocket>
void ChatSocket<BaseSocket>::mark() {
  marking_ = true;
  loop().server().engine().async_mark(
      participant_, conversation_id_,
      boost::asio::bind_executor(loop().executor(), [self = std::static_pointer_cast<ChatSocket>(
                                                         this->shared_from_this())](const result<Marked>& marked) {
        self->marking_ = false;
        if (!self->is_open()) {
          if (marked && std::exchange(self->mark_once_more_, false)) self->mark();
          return;
        }
        if (!marked) {
          self->mark_once_more_ = false;
          std::string event;
          wire::append_error_event(describe(marked.error()), event);
          self->send_event(event);
        } else if (std::exchange(self->mark_once_more_, false)) {
          self->seen_received();
        }
      }));
}

template <class BaseSocket>
void ChatSocket<BaseSocket>::tick(const http::Now& now) {
  BaseSocket::tick(now);
  if (held_back_typing_ && is_open() &&
      now.steady - typing_window_ >= loop().server().chat_options().rate_limits.typing_frames.window) {
    subscription_.set_typing(*held_back_typing_);
    held_back_typing_.reset();
  }
  if (held_back_seen_ && is_open() && now.steady >= *held_back_seen_) {
    held_back_seen_.reset();
    seen_received();
  }
}

template class ChatSocket<websocket::TcpWebSocket>;
template class ChatSocket<websocket::ExternalWebSocket>;

}  // namespace travelchat::server
