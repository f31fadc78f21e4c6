#include "server/socket_request.hpp"

#include "http/external_request.hpp"
#include "server/await.hpp"
#include "server/chat_exchange.hpp"
#include "server/chat_request.hpp"
#include "server/chat_socket.hpp"
#include "server/inbox_socket.hpp"
#include "server/router.hpp"
#include "server/token_check.hpp"
#include "websocket/external_web_socket.hpp"
#include "websocket/handshake.hpp"
#include "websocket/tcp_web_socket.hpp"

#include "core/clock.hpp"

#include <travelchat/validate.hpp>

#include <boost/asio/post.hpp>

#include <memory>
#include <string_view>
#include <vector>

namespace travelchat::server {
namespace {

// A socket that is opened only to be closed with the code of an error.
template <class BaseSocket>
class RefusedSocket final : public BaseSocket {
 public:
  RefusedSocket(ChatLoop& loop, websocket::Upgrade& upgrade, const ErrorInfo* error)
      : BaseSocket(loop, upgrade), error_(*error) {}

 private:
  void opened() override { this->close_with(error_); }
  void received(std::string_view) override {}
  void closed() noexcept override {}

  const ErrorInfo& error_;
};

// Makes the socket on its own loop's thread and opens it there.
template <template <class> class Socket, class... Args>
void open_on(ChatLoop& from, ChatLoop& to, websocket::Upgrade upgrade, Args... args) {
  auto open = [&to, upgrade = std::move(upgrade), ... args = std::move(args)]() mutable {
    if (to.was_aborted()) return;
    const auto admit = [&](auto socket) {
      if constexpr (requires { socket->owner(); }) {
        const SocketOwner owner = socket->owner();
        to.sockets().admit(owner, std::move(socket), std::move(upgrade));
      } else {
        socket->open(upgrade, nullptr);
      }
    };
    if (upgrade.external_peer)
      admit(std::make_shared<Socket<websocket::ExternalWebSocket>>(to, upgrade, std::move(args)...));
    else
      admit(std::make_shared<Socket<websocket::TcpWebSocket>>(to, upgrade, std::move(args)...));
  };
  if (&from == &to)
    open();
  else
    boost::asio::post(to.context(), std::move(open));
}

// Errors of other categories count as `errc::internal`.
void refuse(ChatLoop& loop, websocket::Upgrade upgrade, const error_code& error) {
  open_on<RefusedSocket>(loop, loop, std::move(upgrade), &describe(error));
}

// A Bearer credential in the form of a chat token is one.
void find_chat_token(SocketRequest& request) {
  if (request.chat_token) return;
  const auto bearer = http::bearer_token(request.credentials.authorization);
  if (bearer && is_token(*bearer)) request.chat_token = std::string(*bearer);
}

Credential credential_of(const Advisor& advisor) {
  if (advisor.session_id.empty()) return {};
  return Credential::of_session(advisor.session_id, advisor.expires_at.value_or(TimePoint::max()));
}

DetachedTask admit_inbox(ChatLoop& loop, SocketRequest request) {
  find_chat_token(request);
  if (request.chat_token) {
    const auto claims = co_await TokenCheck(loop, request.upgrade.remote_address, *request.chat_token);
    // A valid chat token is a client's, who may not listen to an inbox.
    refuse(loop, std::move(request.upgrade), claims ? make_error_code(errc::forbidden) : claims.error());
    co_return;
  }
  auto advisor = co_await ask_host<std::optional<Advisor>>(loop, "authenticate", [&](Host& host, auto reply) {
    host.authenticate(std::move(request.credentials), std::move(reply));
  });
  if (!advisor || !*advisor || !is_signed_in(**advisor, utc_now())) {
    refuse(loop, std::move(request.upgrade), advisor ? make_error_code(errc::unauthenticated) : advisor.error());
    co_return;
  }
  if (loop.server()
          .limits()
          .take(Limits::Act::opening, {(*advisor)->org_id, Role::advisor, (*advisor)->id, {}})
          .count() > 0) {
    refuse(loop, std::move(request.upgrade), errc::rate_limited);
    co_return;
  }
  // Where others write, the list is read before the handshake is answered, as a conversation's revision is.
  InboxOptions listening;
  if (loop.server().engine().has_other_writers()) {
    auto list = co_await ask_engine<std::vector<ConversationSummary>>(loop, [&](auto handler) {
      loop.server().engine().async_list_conversations({(*advisor)->org_id, std::nullopt, {}}, std::move(handler));
    });
    if (!list) {
      refuse(loop, std::move(request.upgrade), list.error());
      co_return;
    }
    listening.known_list = std::move(*list);
  }
  listening.credential = credential_of(**advisor);
  ChatLoop& home = loop.server().loop(loop.server().engine().shard_of_inbox((*advisor)->org_id));
  open_on<InboxSocket>(loop, home, std::move(request.upgrade), std::move(**advisor), std::move(listening));
}

// Parameters first, then the credential, then whether both agree, then what they name.
DetachedTask admit_chat(ChatLoop& loop, SocketRequest request) {
  ChatServer& server = loop.server();
  auto claim = request.query ? parse_chat_claim(*request.query) : std::nullopt;
  if (!claim) {
    refuse(loop, std::move(request.upgrade), errc::invalid_argument);
    co_return;
  }
  find_chat_token(request);
  Participant participant;
  std::optional<TimePoint> expires_at;
  SubscribeOptions listening;
  listening.since_rev = claim->since;
  listening.epoch = claim->epoch;
  auto known = std::make_unique<Conversation>();
  auto socket_claim = std::make_unique<SocketClaim>();
  if (request.chat_token) {
    auto claims = co_await TokenCheck(loop, request.upgrade.remote_address, *request.chat_token);
    if (!claims) {
      refuse(loop, std::move(request.upgrade), claims.error());
      co_return;
    }
    if (claim->role != Role::client || claim->user_id != claims->client_id ||
        claim->conversation_id != claims->conversation_id) {
      refuse(loop, std::move(request.upgrade), errc::forbidden);
      co_return;
    }
    listening.credential = Credential::of_chat_token(*request.chat_token, claims->expires_at);
    known->id = claims->conversation_id;
    known->org_id = claims->org_id;
    known->client_id = claims->client_id;
    if (const auto token = ChatToken::parse(*request.chat_token)) {
      socket_claim->link = LinkClaim{*token, claims->org_id, claims->client_id, std::move(claims->trip_id)};
    }
    participant = {std::move(claims->org_id), Role::client, std::move(claims->client_id), {}};
    expires_at = claims->expires_at;
  } else {
    auto advisor = co_await ask_host<std::optional<Advisor>>(loop, "authenticate", [&](Host& host, auto reply) {
      host.authenticate(std::move(request.credentials), std::move(reply));
    });
    if (!advisor || !*advisor || !is_signed_in(**advisor, utc_now())) {
      refuse(loop, std::move(request.upgrade), advisor ? make_error_code(errc::unauthenticated) : advisor.error());
      co_return;
    }
    if (claim->role != Role::advisor || claim->user_id != (*advisor)->id) {
      refuse(loop, std::move(request.upgrade), errc::forbidden);
      co_return;
    }
    listening.credential = credential_of(**advisor);
    socket_claim->session_id = std::move((*advisor)->session_id);
    participant = {std::move((*advisor)->org_id), Role::advisor, std::move((*advisor)->id), {}};
    expires_at = (*advisor)->expires_at;
  }
  if (server.limits().take(Limits::Act::opening, participant).count() > 0) {
    refuse(loop, std::move(request.upgrade), errc::rate_limited);
    co_return;
  }
  // For an advisor, the conversation is read to check the claim; a client's token has the answer. Where others write,
  // its revision is read in any case, since it is where a new room begins to tell, and before the handshake is
  // answered, so that no event is missed in between.
  if (participant.role == Role::advisor || server.engine().has_other_writers()) {
    auto conversation = co_await ask_engine<Conversation>(loop, [&](auto handler) {
      server.engine().async_find_conversation(claim->conversation_id, std::move(handler));
    });
    if (!conversation) {
      refuse(loop, std::move(request.upgrade), conversation.error());
      co_return;
    }
    if (conversation->org_id != participant.org_id) {
      refuse(loop, std::move(request.upgrade), errc::forbidden);
      co_return;
    }
    *known = std::move(*conversation);
  }
  ChatLoop& home = server.loop(server.engine().shard_of(claim->conversation_id));
  open_on<ChatSocket>(loop, home, std::move(request.upgrade), std::move(participant), std::move(known), listening,
                      expires_at, std::move(socket_claim));
}

SocketRequest read_socket_request(const http::Request& request, const ChatServer& server, http::ConnectionSlot slot) {
  const Subprotocols offered = parse_subprotocols(request.header(http::Request::Field::sec_websocket_protocol));
  SocketRequest asked(std::move(slot));
  asked.is_inbox = server.chat_path(request.path())[1] == "inbox";
  if (offered.travelchat_v1) asked.upgrade.subprotocol = "travelchat.v1";
  asked.upgrade.remote_address = request.remote_address();
  asked.upgrade.path = server.base_path().text() + (asked.is_inbox ? "/ws/inbox" : "/ws/chat");
  if (auto parsed = http::Query::parse(request.raw_query())) asked.query = std::move(*parsed);
  if (offered.auth_token) {
    asked.chat_token = std::string(*offered.auth_token);
  } else if (asked.query) {
    if (const auto token = asked.query->value("chatToken")) asked.chat_token = std::string(*token);
  }
  asked.credentials = credentials_of(request);
  // Fetch metadata says nothing more here: only `Origin` is required of a browser that opens a socket.
  asked.origin_ok = request.from_trusted_origin({});
  return asked;
}

}  // namespace

SocketRequest read_socket_request(const http::Request& request, const ChatServer& server,
                                  http::UpgradedConnection connection) {
  SocketRequest asked = read_socket_request(request, server, std::move(connection.slot));
  asked.upgrade.accept_key = websocket::accept_key(http::trim(request.header(http::Request::Field::sec_websocket_key)));
  asked.upgrade.socket = std::move(connection.socket);
  asked.upgrade.early_bytes = std::move(connection.early_bytes);
  return asked;
}

void open_web_socket(ChatLoop& loop, SocketRequest request) {
  if (!request.origin_ok)
    refuse(loop, std::move(request.upgrade), errc::cross_origin);
  else if (request.is_inbox)
    admit_inbox(loop, std::move(request));
  else
    admit_chat(loop, std::move(request));
}

void open_external_socket(ChatLoop& loop, http::ConnectionSlot slot, HttpRequest request,
                          websocket::ExternalPeer peer) {
  http::ExternalRequest asked(loop, http::ConnectionSlot(), std::move(request), http::Responder());
  const ChatServer& server = loop.server();
  const auto refuse_with = [&](errc error) { peer.close(describe(error).close_code, describe(error).name); };
  if (!asked.is_in_order()) {
    refuse_with(errc::invalid_argument);
  } else if (asked.read_target() || !is_socket_path(server.chat_path(asked.path()))) {
    refuse_with(errc::not_found);
  } else {
    SocketRequest wanted = read_socket_request(asked, server, std::move(slot));
    wanted.upgrade.external_peer.emplace(std::move(peer));
    open_web_socket(loop, std::move(wanted));
  }
}

}  // namespace travelchat::server
