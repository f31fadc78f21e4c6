#include "transport/web_socket.hpp"

#include "transport/await.hpp"
#include "transport/chat_socket.hpp"
#include "transport/inbox_socket.hpp"

#include "core/validate.hpp"
#include "wire/wire.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>

namespace travelchat::transport {
namespace {

// Reads in one turn, so that a peer that sends without end does not keep the shard from others.
constexpr int max_reads = 4;

// The fifth refused message within this closes.
constexpr std::uint32_t refusal_window_ms = 10'000;

std::uint32_t steady_milliseconds() {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

const Buffer& ping_buffer() {
  static const Buffer buffer = std::make_shared<const std::string>(ping_frame);
  return buffer;
}

// Opened only to tell the peer why it is refused.
class RefusedSocket final : public WebSocket {
 public:
  RefusedSocket(Shard& shard, Server::Place place, RawSocket socket, const ErrorInfo& error)
      : WebSocket(shard, std::move(place), std::move(socket)), error_(error) {}

  void deliver(const std::shared_ptr<const EventBatch>&) noexcept override {}

 private:
  void opened() override { close(error_.close_code, error_.name); }
  void received(std::string_view) override {}
  void closed() noexcept override {}

  const ErrorInfo& error_;
};

// Makes the socket on its own shard's thread and opens it there.
template <class Make>
void open_on(Shard& from, Shard& to, Upgrade upgrade, Make make) {
  auto open = [&to, upgrade = std::move(upgrade), make = std::move(make)]() mutable {
    if (to.was_cut()) return;
    const std::shared_ptr<WebSocket> socket = make(to, upgrade);
    socket->open(upgrade);
  };
  if (&from == &to)
    open();
  else
    boost::asio::post(to.context(), std::move(open));
}

void refuse(Shard& shard, Upgrade upgrade, errc error) {
  open_on(shard, shard, std::move(upgrade), [error](Shard& to, Upgrade& asked) -> std::shared_ptr<WebSocket> {
    return std::make_shared<RefusedSocket>(to, std::move(asked.place), std::move(asked.socket), describe(error));
  });
}

// A Bearer credential in the form of a chat token is one.
void find_chat_token(Upgrade& upgrade) {
  if (upgrade.chat_token) return;
  const auto bearer = bearer_token(upgrade.credentials.authorization);
  if (bearer && is_token(*bearer)) upgrade.chat_token = std::string(*bearer);
}

Detached admit_inbox(Shard& shard, Upgrade upgrade) {
  find_chat_token(upgrade);
  if (upgrade.chat_token) {
    const auto claims = co_await ask_engine<TokenClaims>(shard, [&](auto handler) {
      shard.server().engine().async_authenticate_token(*upgrade.chat_token, std::move(handler));
    });
    // A client's credential is good, but not here.
    refuse(shard, std::move(upgrade), claims ? errc::forbidden : errc::unauthenticated);
    co_return;
  }
  auto advisor = co_await ask_host<std::optional<Advisor>>(
      shard, [&](Host& host, auto reply) { host.authenticate(std::move(upgrade.credentials), std::move(reply)); });
  if (!advisor || !*advisor) {
    refuse(shard, std::move(upgrade), advisor ? errc::unauthenticated : errc::internal);
    co_return;
  }
  // Where other nodes write, the list is read before the handshake is answered, as a conversation's revision is.
  InboxOptions listening;
  if (shard.server().engine().backplane_state() != BackplaneState::none) {
    auto list = co_await ask_engine<std::vector<ConversationSummary>>(shard, [&](auto handler) {
      shard.server().engine().async_list_conversations({(*advisor)->org_id, std::nullopt, {}}, std::move(handler));
    });
    if (!list) {
      refuse(shard, std::move(upgrade), static_cast<errc>(list.error().value()));
      co_return;
    }
    listening.known_list = std::move(*list);
  }
  Shard& home = shard.server().shard(shard.server().engine().shard_of_inbox((*advisor)->org_id));
  open_on(shard, home, std::move(upgrade),
          [advisor = std::move(**advisor), listening = std::move(listening)](
              Shard& to, Upgrade& asked) mutable -> std::shared_ptr<WebSocket> {
            return std::make_shared<InboxSocket>(to, std::move(asked.place), std::move(asked.socket),
                                                 std::move(advisor), std::move(listening));
          });
}

// Parameters first, then the credential, then whether both agree, then what they name.
Detached admit_chat(Shard& shard, Upgrade upgrade) {
  Server& server = shard.server();
  auto claim = upgrade.query ? parse_chat_claim(*upgrade.query) : std::nullopt;
  if (!claim) {
    refuse(shard, std::move(upgrade), errc::invalid_argument);
    co_return;
  }
  find_chat_token(upgrade);
  Participant participant;
  std::optional<TimePoint> expires_at;
  SubscribeOptions listening{claim->since};
  if (upgrade.chat_token) {
    auto claims = co_await ask_engine<TokenClaims>(shard, [&](auto handler) {
      server.engine().async_authenticate_token(*upgrade.chat_token, std::move(handler));
    });
    if (!claims) {
      refuse(shard, std::move(upgrade), static_cast<errc>(claims.error().value()));
      co_return;
    }
    if (claim->role != Role::client || claim->user_id != claims->client_id ||
        claim->conversation_id != claims->conversation_id) {
      refuse(shard, std::move(upgrade), errc::forbidden);
      co_return;
    }
    participant = {std::move(claims->org_id), Role::client, std::move(claims->client_id), {}};
    expires_at = claims->expires_at;
  } else {
    auto advisor = co_await ask_host<std::optional<Advisor>>(
        shard, [&](Host& host, auto reply) { host.authenticate(std::move(upgrade.credentials), std::move(reply)); });
    if (!advisor || !*advisor) {
      refuse(shard, std::move(upgrade), advisor ? errc::unauthenticated : errc::internal);
      co_return;
    }
    if (claim->role != Role::advisor || claim->user_id != (*advisor)->id) {
      refuse(shard, std::move(upgrade), errc::forbidden);
      co_return;
    }
    participant = {std::move((*advisor)->org_id), Role::advisor, std::move((*advisor)->id), {}};
    expires_at = (*advisor)->expires_at;
  }
  // An advisor's claim is checked with it. A client's token has told; but where other nodes write, the conversation's
  // revision is read before the handshake is answered, so that nothing can happen in between.
  if (participant.role == Role::advisor || server.engine().backplane_state() != BackplaneState::none) {
    const auto conversation = co_await ask_engine<Conversation>(shard, [&](auto handler) {
      server.engine().async_find_conversation(claim->conversation_id, std::move(handler));
    });
    if (!conversation) {
      refuse(shard, std::move(upgrade), static_cast<errc>(conversation.error().value()));
      co_return;
    }
    if (conversation->org_id != participant.org_id) {
      refuse(shard, std::move(upgrade), errc::forbidden);
      co_return;
    }
    listening.known_rev = conversation->rev;
  }
  Shard& home = server.shard(server.engine().shard_of(claim->conversation_id));
  open_on(shard, home, std::move(upgrade),
          [participant = std::move(participant), id = claim->conversation_id, listening, expires_at](
              Shard& to, Upgrade& asked) mutable -> std::shared_ptr<WebSocket> {
            return std::make_shared<ChatSocket>(to, std::move(asked.place), std::move(asked.socket),
                                                std::move(participant), id, listening, expires_at);
          });
}

}  // namespace

void open_web_socket(Shard& shard, Upgrade upgrade) {
  if (!upgrade.origin_ok)
    refuse(shard, std::move(upgrade), errc::cross_origin);
  else if (upgrade.is_inbox)
    admit_inbox(shard, std::move(upgrade));
  else
    admit_chat(shard, std::move(upgrade));
}

Buffer make_text_frame(std::string_view payload) {
  std::string frame;
  frame.reserve(payload.size() + 10);
  wire::append_text_frame(payload, frame);
  return std::make_shared<const std::string>(std::move(frame));
}

WebSocket::WebSocket(Shard& shard, Server::Place place, RawSocket socket)
    : Connection(shard),
      place_(std::move(place)),
      socket_(shard.context(), std::move(socket)),
      outbox_(shard, socket_, *this),
      heard_(std::chrono::steady_clock::now()),
      next_ping_(heard_ + shard.server().options().ping_interval) {}

WebSocket::~WebSocket() = default;

void WebSocket::open(const Upgrade& upgrade) {
  if (!socket_.is_open()) {
    gone();
    return;
  }
  std::string answer =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
  answer += upgrade.accept_key;
  if (upgrade.speaks_v1) answer += "\r\nSec-WebSocket-Protocol: travelchat.v1";
  answer += "\r\n\r\n";
  shard_.counters().answers[0].add(1);
  outbox_.append(std::move(answer));
  opened();
  if (shard_.draining()) close(describe(errc::closed).close_code);
  if (!upgrade.early_bytes.empty()) {
    std::string bytes = upgrade.early_bytes;
    take(bytes);
  }
  wait();
}

void WebSocket::wait() {
  if (stage_ == Stage::gone) return;
  socket_.wait_readable([self = std::static_pointer_cast<WebSocket>(shared_from_this())](const error_code& ec) {
    if (ec)
      self->gone();
    else
      self->read();
  });
}

void WebSocket::read() {
  const auto scratch = shard_.scratch();
  for (int reads = 0; reads < max_reads && stage_ != Stage::gone; ++reads) {
    const auto [size, state] = socket_.read(scratch.data(), scratch.size());
    if (state == Socket::State::blocked) break;
    if (state != Socket::State::ok) {
      gone();
      return;
    }
    shard_.counters().bytes_received.add(size);
    heard_ = std::chrono::steady_clock::now();
    take(scratch.first(size));
    if (!socket_.has_tls() && size < scratch.size()) break;
  }
  wait();
}

// What comes once the closing handshake has begun is read, so that the connection is not reset, and ignored.
void WebSocket::take(std::span<char> bytes) {
  if (stage_ != Stage::open) return;
  const BeastServerOptions& options = shard_.server().options();
  const std::uint16_t fault = reader_.consume(bytes, {options.max_frame_bytes, options.max_fragments}, *this);
  if (fault != 0) close(fault);
}

void WebSocket::on_message(std::string_view text) {
  if (stage_ != Stage::open) return;
  shard_.counters().frames_received.add(1);
  received(text);
}

void WebSocket::on_ping(std::string_view payload) {
  if (stage_ != Stage::open) return;
  std::string pong;
  append_pong_frame(payload, pong);
  send(std::make_shared<const std::string>(std::move(pong)));
}

void WebSocket::on_close(std::uint16_t code) {
  close(code);
}

void WebSocket::send(Buffer frames) {
  if (stage_ != Stage::open) return;
  if (outbox_.would_pass(shard_.server().options().max_outbox_bytes, frames->size())) {
    outbox_.drop_unsent_frames();
    socket_.widen_send_buffer();
    close(describe(errc::too_slow).close_code, describe(errc::too_slow).name);
    return;
  }
  outbox_.append(std::move(frames));
}

void WebSocket::refuse(const error_code& error) {
  const std::uint32_t now = steady_milliseconds();
  std::uint32_t& oldest = refused_at_[refused_ % refused_at_.size()];
  if (refused_ >= refused_at_.size() && now - oldest < refusal_window_ms) {
    close(describe(errc::malformed_json).close_code, describe(error).name);
    return;
  }
  oldest = now;
  // Beyond the ring's size only the position counts.
  if (++refused_ == 2 * refused_at_.size()) refused_ = static_cast<std::uint8_t>(refused_at_.size());
  std::string event;
  wire::append_error_event(describe(error), event);
  send(make_text_frame(event));
}

void WebSocket::close(std::uint16_t code, std::string_view reason) {
  if (stage_ != Stage::open) return;
  stage_ = Stage::closing;
  shard_.counters().closes_with(code).add(1);
  closed();
  std::string frame;
  append_close_frame(code, reason, frame);
  outbox_.append(std::move(frame));
  outbox_.seal();
  outbox_.tell_when_drained();
  deadline_ = std::chrono::steady_clock::now() + shard_.server().options().close_timeout;
}

void WebSocket::close(errc reason) noexcept {
  close(describe(reason).close_code, describe(reason).name);
}

void WebSocket::outbox_drained() {
  if (stage_ == Stage::closing) end_output();
}

// Our close frame is out. The peer answers with its own and waits for the end of the stream, which it gets at once;
// what it still sends is read until it ends too, or until the deadline.
void WebSocket::end_output() {
  stage_ = Stage::ending;
  socket_.shutdown_write();
}

void WebSocket::gone() {
  if (stage_ == Stage::gone) return;
  const bool was_open = stage_ == Stage::open;
  stage_ = Stage::gone;
  outbox_.seal();
  if (was_open) {
    shard_.counters().closes_with(0).add(1);
    closed();
  }
  socket_.close();
}

void WebSocket::drain() {
  close(describe(errc::closed).close_code, describe(errc::closed).name);
}

void WebSocket::tick(const Now& now) {
  const BeastServerOptions& options = shard_.server().options();
  if (stage_ == Stage::open) {
    if (now.steady - heard_ >= options.silence_timeout) {
      gone();
    } else if (now.utc >= expires_at_) {
      close(describe(errc::unauthenticated).close_code, describe(errc::unauthenticated).name);
    } else if (now.steady >= next_ping_) {
      next_ping_ = now.steady + options.ping_interval;
      send(ping_buffer());
    }
  } else if (stage_ != Stage::gone && now.steady >= deadline_) {
    gone();
  }
}

}  // namespace travelchat::transport
