#include "websocket/web_socket.hpp"

#include "server/await.hpp"
#include "server/chat_request.hpp"
#include "server/chat_socket.hpp"
#include "server/inbox_socket.hpp"
#include "server/token_check.hpp"
#include "websocket/relay_socket.hpp"
#include "websocket/wire_socket.hpp"

#include "core/clock.hpp"

#include "wire/socket_text.hpp"

#include <travelchat/validate.hpp>

#include <boost/asio/post.hpp>

namespace travelchat::transport {
namespace {

// The fifth refused message within this closes.
constexpr std::uint32_t refusal_window_ms = 10'000;
// RFC 6455 section 7.1.5: it ended without one.
constexpr std::uint16_t no_close_code = 1006;

std::uint32_t steady_milliseconds() {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

// Opened only to tell the peer why it is refused.
template <class Carrier>
class RefusedSocket final : public Carrier {
 public:
  RefusedSocket(Shard& shard, Upgrade& upgrade, const ErrorInfo* error) : Carrier(shard, upgrade), error_(*error) {}

  void deliver(const std::shared_ptr<const EventBatch>&) noexcept override {}

 private:
  void opened() override { this->close_with(error_); }
  void received(std::string_view) override {}
  void closed() noexcept override {}

  const ErrorInfo& error_;
};

// Makes the socket on its own shard's thread and opens it there.
template <template <class> class Kind, class... Args>
void open_on(Shard& from, Shard& to, Upgrade upgrade, Args... args) {
  auto open = [&to, upgrade = std::move(upgrade), ... args = std::move(args)]() mutable {
    if (to.was_cut()) return;
    std::shared_ptr<WebSocket> socket;
    if (upgrade.relay)
      socket = std::make_shared<Kind<RelaySocket>>(to, upgrade, std::move(args)...);
    else
      socket = std::make_shared<Kind<WireSocket>>(to, upgrade, std::move(args)...);
    to.admit(std::move(socket), std::move(upgrade));
  };
  if (&from == &to)
    open();
  else
    boost::asio::post(to.context(), std::move(open));
}

// What is not one of ours counts as `errc::internal`.
void refuse(Shard& shard, Upgrade upgrade, const error_code& error) {
  open_on<RefusedSocket>(shard, shard, std::move(upgrade), &describe(error));
}

// A Bearer credential in the form of a chat token is one.
void find_chat_token(Upgrade& upgrade) {
  if (upgrade.chat_token) return;
  const auto bearer = bearer_token(upgrade.credentials.authorization);
  if (bearer && is_token(*bearer)) upgrade.chat_token = std::string(*bearer);
}

Credential credential_of(const Advisor& advisor) {
  if (advisor.session_id.empty()) return {};
  return Credential::of_session(advisor.session_id, advisor.expires_at.value_or(TimePoint::max()));
}

Detached admit_inbox(Shard& shard, Upgrade upgrade) {
  find_chat_token(upgrade);
  if (upgrade.chat_token) {
    const auto claims = co_await TokenCheck(shard, upgrade.remote_address, *upgrade.chat_token);
    // A client's credential is good, but not here.
    refuse(shard, std::move(upgrade), claims ? make_error_code(errc::forbidden) : claims.error());
    co_return;
  }
  auto advisor = co_await ask_host<std::optional<Advisor>>(shard, "authenticate", [&](Host& host, auto reply) {
    host.authenticate(std::move(upgrade.credentials), std::move(reply));
  });
  if (!advisor || !*advisor || !is_signed_in(**advisor, utc_now())) {
    refuse(shard, std::move(upgrade), advisor ? make_error_code(errc::unauthenticated) : advisor.error());
    co_return;
  }
  if (shard.server()
          .limits()
          .take(Limits::Act::opening, {(*advisor)->org_id, Role::advisor, (*advisor)->id, {}})
          .count() > 0) {
    refuse(shard, std::move(upgrade), errc::rate_limited);
    co_return;
  }
  // Where other nodes write, the list is read before the handshake is answered, as a conversation's revision is.
  InboxOptions listening;
  if (shard.server().engine().backplane_state() != BackplaneState::none) {
    auto list = co_await ask_engine<std::vector<ConversationSummary>>(shard, [&](auto handler) {
      shard.server().engine().async_list_conversations({(*advisor)->org_id, std::nullopt, {}}, std::move(handler));
    });
    if (!list) {
      refuse(shard, std::move(upgrade), list.error());
      co_return;
    }
    listening.known_list = std::move(*list);
  }
  listening.credential = credential_of(**advisor);
  Shard& home = shard.server().shard(shard.server().engine().shard_of_inbox((*advisor)->org_id));
  open_on<InboxSocket>(shard, home, std::move(upgrade), std::move(**advisor), std::move(listening));
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
  SubscribeOptions listening;
  listening.since_rev = claim->since;
  listening.epoch = claim->epoch;
  auto known = std::make_unique<Conversation>();
  auto rests_on = std::make_unique<SocketClaim>();
  if (upgrade.chat_token) {
    auto claims = co_await TokenCheck(shard, upgrade.remote_address, *upgrade.chat_token);
    if (!claims) {
      refuse(shard, std::move(upgrade), claims.error());
      co_return;
    }
    if (claim->role != Role::client || claim->user_id != claims->client_id ||
        claim->conversation_id != claims->conversation_id) {
      refuse(shard, std::move(upgrade), errc::forbidden);
      co_return;
    }
    listening.credential = Credential::of_chat_token(*upgrade.chat_token, claims->expires_at);
    known->id = claims->conversation_id;
    known->org_id = claims->org_id;
    known->client_id = claims->client_id;
    if (const auto token = ChatToken::parse(*upgrade.chat_token)) {
      rests_on->link = LinkClaim{*token, claims->org_id, claims->client_id, std::move(claims->trip_id)};
    }
    participant = {std::move(claims->org_id), Role::client, std::move(claims->client_id), {}};
    expires_at = claims->expires_at;
  } else {
    auto advisor = co_await ask_host<std::optional<Advisor>>(shard, "authenticate", [&](Host& host, auto reply) {
      host.authenticate(std::move(upgrade.credentials), std::move(reply));
    });
    if (!advisor || !*advisor || !is_signed_in(**advisor, utc_now())) {
      refuse(shard, std::move(upgrade), advisor ? make_error_code(errc::unauthenticated) : advisor.error());
      co_return;
    }
    if (claim->role != Role::advisor || claim->user_id != (*advisor)->id) {
      refuse(shard, std::move(upgrade), errc::forbidden);
      co_return;
    }
    listening.credential = credential_of(**advisor);
    rests_on->session_id = std::move((*advisor)->session_id);
    participant = {std::move((*advisor)->org_id), Role::advisor, std::move((*advisor)->id), {}};
    expires_at = (*advisor)->expires_at;
  }
  if (server.limits().take(Limits::Act::opening, participant).count() > 0) {
    refuse(shard, std::move(upgrade), errc::rate_limited);
    co_return;
  }
  // An advisor's claim is checked with it. A client's token has told; but where other nodes write, the conversation's
  // revision is read before the handshake is answered, so that nothing can happen in between.
  if (participant.role == Role::advisor || server.engine().backplane_state() != BackplaneState::none) {
    auto conversation = co_await ask_engine<Conversation>(shard, [&](auto handler) {
      server.engine().async_find_conversation(claim->conversation_id, std::move(handler));
    });
    if (!conversation) {
      refuse(shard, std::move(upgrade), conversation.error());
      co_return;
    }
    if (conversation->org_id != participant.org_id) {
      refuse(shard, std::move(upgrade), errc::forbidden);
      co_return;
    }
    *known = std::move(*conversation);
  }
  Shard& home = server.shard(server.engine().shard_of(claim->conversation_id));
  open_on<ChatSocket>(shard, home, std::move(upgrade), std::move(participant), std::move(known), listening, expires_at,
                      std::move(rests_on));
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

WebSocket::WebSocket(Shard& shard, Upgrade& upgrade) : Connection(shard), place_(std::move(upgrade.place)) {
  if (!shard.server().access_log) return;
  record_ = std::make_unique<Record>(
      Record{upgrade.remote_address, shard.server().base_path().text() + (upgrade.is_inbox ? "/ws/inbox" : "/ws/chat"),
             std::chrono::steady_clock::now()});
}

WebSocket::~WebSocket() = default;

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
  send_event(event);
}

bool WebSocket::leave_open(Stage next, std::uint16_t code) noexcept {
  if (stage_ != Stage::open) return false;
  stage_ = next;
  shard_.counters().closes_with(code).add(1);
  if (record_) {
    const auto duration = std::chrono::steady_clock::now() - record_->begun;
    shard_.server().record({"GET", record_->path, 101, record_->bytes,
                            std::chrono::duration_cast<std::chrono::microseconds>(duration), record_->remote_address,
                            code != 0 ? code : no_close_code});
  }
  closed();
  return true;
}

void WebSocket::close(errc reason) noexcept {
  close_with(describe(reason));
}

void WebSocket::drain() {
  close_with(describe(errc::closed));
}

bool WebSocket::close_if_expired(const Now& now) {
  if (now.utc < expires_at_) return false;
  close_with(describe(errc::unauthenticated));
  return true;
}

}  // namespace travelchat::transport
