// The chat's own HTTP routes: each a coroutine on its connection's event loop.
//
// The order of the checks is part of the contract: what is missing (400), the credential (401), the origin (403), what
// it names (404), what it says (400).
#include "http/request_checks.hpp"
#include "server/await.hpp"
#include "server/chat_exchange.hpp"
#include "server/chat_request.hpp"
#include "server/route_table.hpp"
#include "server/token_check.hpp"

#include "core/clock.hpp"

#include <travelchat/validate.hpp>
#include <travelchat/wire.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace travelchat::server {
namespace {

using SignedIn = result<std::optional<Advisor>>;

// ---- What every handler does ----

auto authenticate(const ChatExchange& exchange) {
  return ask_host<std::optional<Advisor>>(
      exchange.loop(), "authenticate",
      [credentials = exchange.credentials()](Host& host, Reply<std::optional<Advisor>> reply) mutable {
        host.authenticate(std::move(credentials), std::move(reply));
      });
}

// False when nobody is signed in: then it has answered. The origin is checked by `admit_writer`, for requests that
// write.
bool admit_reader(ChatExchange& exchange, const SignedIn& advisor) {
  if (advisor && *advisor && is_signed_in(**advisor, utc_now())) return true;
  exchange.fail(advisor ? make_error_code(errc::unauthenticated) : advisor.error());
  return false;
}

bool admit_writer(ChatExchange& exchange, const SignedIn& advisor) {
  if (!admit_reader(exchange, advisor)) return false;
  if (!(*advisor)->by_cookie || exchange.from_trusted_origin()) return true;
  exchange.fail(errc::cross_origin);
  return false;
}

Participant participant_of(Advisor&& advisor) {
  std::string name = clean_name(advisor.name);
  if (name.empty()) name = "Advisor";
  return {std::move(advisor.org_id), Role::advisor, std::move(advisor.id), std::move(name)};
}

// The chat token of a client's request: in the body, or as Bearer. A Bearer credential with dots is a JWT, so no chat
// token was given.
result<std::string> find_chat_token(const ChatExchange& exchange, const wire::Body& body) {
  const auto field = body.string("chatToken");
  if (field) {
    if (field->empty()) return errc::missing_field;
    return std::string(*field);
  }
  if (field.error() != make_error_code(errc::missing_field)) return field.error();
  const auto bearer = http::bearer_token(exchange.header(ChatExchange::Field::authorization));
  if (!bearer || bearer->empty() || bearer->find('.') != bearer->npos) return errc::missing_field;
  return std::string(*bearer);
}

TokenCheck authenticate_token(const ChatExchange& exchange, std::string token) {
  return {exchange.loop(), exchange.remote_address(), std::move(token)};
}

// Answers for a token that `authenticate_token` did not accept, or for what follows from one.
void fail_token(ChatExchange& exchange, const error_code& error) {
  if (error == make_error_code(errc::rate_limited))
    exchange.fail_rate_limited(
        std::max(exchange.server().limits().token_delay(exchange.remote_address()), std::chrono::milliseconds{1}));
  else
    exchange.fail(error);
}

// The conversation that the path names, when it is the token's.
result<Uuid> token_conversation(const ChatExchange& exchange, const TokenClaims& claims) {
  const auto id = parse_uuid(exchange.param(0));
  if (!id || *id != claims.conversation_id) return errc::not_found;
  return *id;
}

// A client's card, asked of the host when it was not asked lately. `await_resume` gives the client's name for people.
class ClientName {
 public:
  ClientName(ChatLoop& loop, const TokenClaims& claims)
      : loop_(loop), claims_(claims), ask_(loop, "find_clients", Ask{&claims}) {}

  bool await_ready() {
    if (const auto card = loop_.client_cards().find(claims_.org_id, claims_.client_id)) {
      if (*card != nullptr) name_ = clean_name((*card)->name);
      return true;
    }
    asked_ = true;
    return ask_.await_ready();
  }

  bool await_suspend(std::coroutine_handle<> waiting) { return ask_.await_suspend(waiting); }

  std::string await_resume() {
    if (asked_) {
      auto cards = ask_.await_resume();
      std::optional<ClientCard> card;
      if (cards) {
        const auto it = std::ranges::find(*cards, claims_.client_id, &ClientCard::id);
        if (it != cards->end()) card = std::move(*it);
      }
      if (card) name_ = clean_name(card->name);
      loop_.client_cards().remember(claims_.org_id, claims_.client_id, std::move(card),
                                    std::chrono::seconds{cards ? 30 : 1});
    }
    return name_.empty() ? std::string("Client") : std::move(name_);
  }

 private:
  struct Ask {
    const TokenClaims* claims;
    void operator()(Host& host, Reply<std::vector<ClientCard>> reply) const {
      host.find_clients(claims->org_id, {claims->client_id}, std::move(reply));
    }
  };

  ChatLoop& loop_;
  const TokenClaims& claims_;
  HostAwaiter<std::vector<ClientCard>, Ask> ask_;
  std::string name_;
  bool asked_ = false;
};

// False when this participant has done so as often as it may: then it has answered.
bool within_limit(ChatExchange& exchange, Limits::Act act, const Participant& participant) {
  const auto delay = exchange.server().limits().take(act, participant);
  if (delay.count() == 0) return true;
  exchange.fail_rate_limited(delay);
  return false;
}

std::string reactions_json(const std::vector<Reaction>& reactions) {
  std::string json;
  wire::append(std::span<const Reaction>(reactions), json);
  return json;
}

std::string message_json(const Message& message) {
  std::string json;
  json.reserve(512 + message.content.size());
  wire::append(message, json);
  return json;
}

void append_nullable(const std::optional<std::string>& text, std::string& out) {
  if (text)
    wire::append_string(*text, out);
  else
    out += "null";
}

// ---- Conversations ----

DetachedTask list_conversations(ChatExchange exchange) {
  auto advisor = co_await authenticate(exchange);
  if (!admit_reader(exchange, advisor)) co_return;
  const std::string org_id = (*advisor)->org_id;
  if (!within_limit(exchange, Limits::Act::page, {org_id, Role::advisor, std::move((*advisor)->id), {}})) co_return;
  ConversationQuery query;
  query.org_id = org_id;
  if (const auto text = exchange.query().value("q"); text && !text->empty()) {
    query.text = std::string(*text);
    auto ids = co_await ask_host<std::vector<std::string>>(
        exchange.loop(), "search_clients",
        [&](Host& host, auto reply) { host.search_clients(org_id, *query.text, std::move(reply)); });
    if (!ids) {
      exchange.fail(ids.error());
      co_return;
    }
    query.client_ids = std::move(*ids);
  }
  const auto rows = co_await ask_engine<std::vector<ConversationSummary>>(exchange.loop(), [&](auto handler) {
    exchange.server().engine().async_list_conversations(std::move(query), std::move(handler));
  });
  if (!rows) {
    exchange.fail(rows.error());
    co_return;
  }
  std::unordered_map<std::string_view, const ClientCard*> cards;
  result<std::vector<ClientCard>> found = std::vector<ClientCard>{};
  if (!rows->empty()) {
    std::vector<std::string> ids;
    ids.reserve(rows->size());
    for (const ConversationSummary& row : *rows) ids.push_back(row.conversation.client_id);
    found = co_await ask_host<std::vector<ClientCard>>(exchange.loop(), "find_clients", [&](Host& host, auto reply) {
      host.find_clients(org_id, std::move(ids), std::move(reply));
    });
    if (!found) {
      exchange.fail(found.error());
      co_return;
    }
    for (const ClientCard& card : *found) cards.emplace(card.id, &card);
  }
  std::string json = "[";
  for (const ConversationSummary& row : *rows) {
    if (json.size() > 1) json += ',';
    const auto card = cards.find(row.conversation.client_id);
    wire::append(row, card == cards.end() ? nullptr : card->second, json);
  }
  json += ']';
  exchange.answer(200, std::move(json));
}

DetachedTask open_conversation(ChatExchange exchange) {
  auto advisor = co_await authenticate(exchange);
  if (!admit_writer(exchange, advisor)) co_return;
  const auto body = wire::Body::parse(exchange.body());
  const auto field = body ? body->string("clientId") : result<std::string_view>(body.error());
  if (!field) {
    exchange.fail(field.error());
    co_return;
  }
  const std::string client_id(*field);
  if (!is_host_id(client_id)) {
    // An id with a line break is an attempt to inject something, not an id that is unknown.
    exchange.fail(client_id.find_first_of("\r\n") == client_id.npos ? errc::not_found : errc::invalid_argument);
    co_return;
  }
  const std::string org_id = (*advisor)->org_id;
  if (!within_limit(exchange, Limits::Act::opening, {org_id, Role::advisor, std::move((*advisor)->id), {}})) co_return;
  // Only the organization's own clients have conversations.
  const auto cards = co_await ask_host<std::vector<ClientCard>>(
      exchange.loop(), "find_clients",
      [&](Host& host, auto reply) { host.find_clients(org_id, {client_id}, std::move(reply)); });
  if (!cards || std::ranges::find(*cards, client_id, &ClientCard::id) == cards->end()) {
    exchange.fail(cards ? make_error_code(errc::not_found) : cards.error());
    co_return;
  }
  const auto conversation = co_await ask_engine<Conversation>(exchange.loop(), [&](auto handler) {
    exchange.server().engine().async_open_conversation(org_id, client_id, std::move(handler));
  });
  if (!conversation) {
    exchange.fail(conversation.error());
    co_return;
  }
  std::string json;
  wire::append(*conversation, json);
  exchange.answer(200, std::move(json));
}

DetachedTask count_unread(ChatExchange exchange) {
  auto advisor = co_await authenticate(exchange);
  if (!admit_reader(exchange, advisor)) co_return;
  const std::string org_id = (*advisor)->org_id;
  if (!within_limit(exchange, Limits::Act::page, {org_id, Role::advisor, std::move((*advisor)->id), {}})) co_return;
  const auto count = co_await ask_engine<std::uint64_t>(exchange.loop(), [&](auto handler) {
    exchange.server().engine().async_count_unread(org_id, std::move(handler));
  });
  if (count)
    exchange.answer(200, "{\"count\":" + std::to_string(*count) + "}");
  else
    exchange.fail(count.error());
}

// ---- Messages ----

DetachedTask list_messages(ChatExchange exchange) {
  Participant reader;
  const auto bearer = http::bearer_token(exchange.header(ChatExchange::Field::authorization));
  if (bearer && is_token(*bearer)) {
    auto claims = co_await authenticate_token(exchange, std::string(*bearer));
    if (!claims) {
      fail_token(exchange, claims.error());
      co_return;
    }
    reader = {std::move(claims->org_id), Role::client, std::move(claims->client_id), {}};
  } else {
    auto advisor = co_await authenticate(exchange);
    if (!admit_reader(exchange, advisor)) co_return;
    reader = {std::move((*advisor)->org_id), Role::advisor, std::move((*advisor)->id), {}};
  }
  const auto id = parse_uuid(exchange.param(0));
  const auto page = parse_page(exchange.query(), id.value_or(Uuid{}));
  if (!page || !id) {
    exchange.fail(page ? make_error_code(errc::not_found) : page.error());
    co_return;
  }
  if (!within_limit(exchange, Limits::Act::page, reader)) co_return;
  const auto messages = co_await ask_engine<MessagePage>(exchange.loop(), [&](auto handler) {
    exchange.server().engine().async_list_messages(std::move(reader), *page, std::move(handler));
  });
  if (!messages) {
    exchange.fail(messages.error());
    co_return;
  }
  std::string json;
  wire::append(std::span<const Message>(messages->messages), json);
  std::string headers = messages->has_more ? "X-Has-More: true\r\n" : "X-Has-More: false\r\n";
  if (messages->epoch) headers += "X-Epoch: " + to_string(*messages->epoch) + "\r\n";
  exchange.answer(200, std::move(json), headers);
}

DetachedTask send_as_advisor(ChatExchange exchange) {
  auto advisor = co_await authenticate(exchange);
  if (!admit_writer(exchange, advisor)) co_return;
  const auto body = wire::Body::parse(exchange.body());
  auto draft = body ? wire::parse_draft(*body) : result<Draft>(body.error());
  if (!draft) {
    exchange.fail(draft.error());
    co_return;
  }
  const auto id = parse_uuid(exchange.param(0));
  if (!id) {
    exchange.fail(errc::not_found);
    co_return;
  }
  Participant sender = participant_of(std::move(**advisor));
  if (!within_limit(exchange, Limits::Act::message, sender)) co_return;
  const auto sent = co_await ask_engine<Sent>(exchange.loop(), [&](auto handler) {
    draft->conversation_id = *id;
    exchange.server().engine().async_send(std::move(sender), std::move(*draft), std::move(handler));
  });
  if (sent)
    exchange.answer(sent->created ? 201 : 200, message_json(sent->message));
  else
    exchange.fail(sent.error());
}

DetachedTask send_as_client(ChatExchange exchange) {
  const auto body = wire::Body::parse(exchange.body());
  auto draft = body ? wire::parse_draft(*body) : result<Draft>(body.error());
  auto token = body ? find_chat_token(exchange, *body) : result<std::string>(body.error());
  if (!draft || !token) {
    exchange.fail(draft ? token.error() : draft.error());
    co_return;
  }
  const auto claims = co_await authenticate_token(exchange, std::move(*token));
  const auto id = claims ? token_conversation(exchange, *claims) : result<Uuid>(claims.error());
  if (!id) {
    fail_token(exchange, id.error());
    co_return;
  }
  Participant sender{claims->org_id, Role::client, claims->client_id, {}};
  if (!within_limit(exchange, Limits::Act::message, sender)) co_return;
  sender.name = co_await ClientName(exchange.loop(), *claims);
  const auto sent = co_await ask_engine<Sent>(exchange.loop(), [&](auto handler) {
    draft->conversation_id = *id;
    exchange.server().engine().async_send(std::move(sender), std::move(*draft), std::move(handler));
  });
  if (!sent) {
    exchange.fail(sent.error());
    co_return;
  }
  const Message& stored = sent->message;
  if (sent->created && !exchange.loop().was_aborted()) {
    PushNotification push;
    push.org_id = stored.org_id;
    push.title = "New message from " + stored.sender_name;
    push.body = std::string(first_code_points(stored.content, 100));
    push.url = "/dashboard/messages?id=" + to_string(stored.conversation_id);
    try {
      exchange.server().host().notify(std::move(push));
    } catch (...) {
      // The message is stored all the same.
      exchange.server().logger().caught("host_threw", "notify");
    }
  }
  exchange.answer(sent->created ? 201 : 200, message_json(stored));
}

// ---- Read and seen ----

DetachedTask mark_read(ChatExchange exchange) {
  auto advisor = co_await authenticate(exchange);
  if (!admit_writer(exchange, advisor)) co_return;
  const auto id = parse_uuid(exchange.param(0));
  if (!id) {
    exchange.fail(errc::not_found);
    co_return;
  }
  Participant viewer = participant_of(std::move(**advisor));
  if (!within_limit(exchange, Limits::Act::mark, viewer)) co_return;
  const auto marked = co_await ask_engine<Marked>(exchange.loop(), [&](auto handler) {
    exchange.server().engine().async_mark(std::move(viewer), *id, std::move(handler));
  });
  if (marked)
    exchange.answer(200, "{\"ok\":true}");
  else
    exchange.fail(marked.error());
}

DetachedTask mark_seen(ChatExchange exchange) {
  const auto body = wire::Body::parse(exchange.body());
  auto token = body ? find_chat_token(exchange, *body) : result<std::string>(body.error());
  if (!token) {
    exchange.fail(token.error());
    co_return;
  }
  const auto claims = co_await authenticate_token(exchange, std::move(*token));
  const auto id = claims ? token_conversation(exchange, *claims) : result<Uuid>(claims.error());
  if (!id) {
    fail_token(exchange, id.error());
    co_return;
  }
  Participant viewer{claims->org_id, Role::client, claims->client_id, {}};
  if (!within_limit(exchange, Limits::Act::mark, viewer)) co_return;
  const auto marked = co_await ask_engine<Marked>(exchange.loop(), [&](auto handler) {
    exchange.server().engine().async_mark(std::move(viewer), *id, std::move(handler));
  });
  if (marked)
    exchange.answer(200, "{\"ok\":true}");
  else
    exchange.fail(marked.error());
}

// ---- Reactions ----

// Sets the reaction, or removes it when there is no emoji, and answers.
auto change_reaction(ChatExchange& exchange, Participant reactor, Uuid conversation_id, Uuid message_id,
                     std::optional<Emoji> emoji) {
  return ask_engine<std::vector<Reaction>>(
      exchange.loop(), [&engine = exchange.server().engine(), reactor = std::move(reactor), conversation_id, message_id,
                        emoji](auto handler) mutable {
        if (emoji)
          engine.async_react(std::move(reactor), conversation_id, message_id, *emoji, std::move(handler));
        else
          engine.async_unreact(std::move(reactor), conversation_id, message_id, std::move(handler));
      });
}

// What a reaction's body says: empty for a removal, which may have no body.
result<std::optional<Emoji>> wanted_emoji(const ChatExchange& exchange, const wire::Body& body) {
  if (exchange.method() == "DELETE") return std::optional<Emoji>();
  const auto text = body.string("emoji");
  if (!text) return text.error();
  const auto emoji = parse_emoji(*text);
  if (!emoji) return errc::invalid_emoji;
  return emoji;
}

// A missing emoji is reported before the credential is checked, a malformed one only to those who may react.
bool is_missing(const error_code& error) {
  return error == make_error_code(errc::missing_field);
}

DetachedTask react_as_advisor(ChatExchange exchange) {
  auto advisor = co_await authenticate(exchange);
  if (!admit_writer(exchange, advisor)) co_return;
  const auto body = wire::Body::parse(exchange.body());
  const auto emoji = body ? wanted_emoji(exchange, *body) : result<std::optional<Emoji>>(body.error());
  if (!emoji) {
    exchange.fail(emoji.error());
    co_return;
  }
  const auto conversation_id = parse_uuid(exchange.param(0));
  const auto message_id = parse_uuid(exchange.param(1));
  if (!conversation_id || !message_id) {
    exchange.fail(errc::not_found);
    co_return;
  }
  Participant reactor = participant_of(std::move(**advisor));
  if (!within_limit(exchange, Limits::Act::reaction, reactor)) co_return;
  const auto reactions = co_await change_reaction(exchange, std::move(reactor), *conversation_id, *message_id, *emoji);
  if (reactions)
    exchange.answer(200, reactions_json(*reactions));
  else
    exchange.fail(reactions.error());
}

DetachedTask react_as_client(ChatExchange exchange) {
  const auto body = wire::Body::parse(exchange.body());
  auto token = body ? find_chat_token(exchange, *body) : result<std::string>(body.error());
  if (!token) {
    exchange.fail(token.error());
    co_return;
  }
  const auto emoji = wanted_emoji(exchange, *body);
  if (!emoji && is_missing(emoji.error())) {
    exchange.fail(emoji.error());
    co_return;
  }
  const auto claims = co_await authenticate_token(exchange, std::move(*token));
  const auto id = claims ? token_conversation(exchange, *claims) : result<Uuid>(claims.error());
  if (!id || !emoji) {
    fail_token(exchange, id ? emoji.error() : id.error());
    co_return;
  }
  const auto message_id = parse_uuid(exchange.param(1));
  if (!message_id) {
    exchange.fail(errc::not_found);
    co_return;
  }
  Participant reactor{claims->org_id, Role::client, claims->client_id, {}};
  if (!within_limit(exchange, Limits::Act::reaction, reactor)) co_return;
  reactor.name = co_await ClientName(exchange.loop(), *claims);
  const auto reactions = co_await change_reaction(exchange, std::move(reactor), *id, *message_id, *emoji);
  if (reactions)
    exchange.answer(200, reactions_json(*reactions));
  else
    exchange.fail(reactions.error());
}

// ---- Chat tokens ----

std::string issued_token_json(const IssuedToken& issued, const Uuid& conversation_id, const SharedTrip& trip) {
  std::string json = "{\"chatToken\":";
  wire::append_string(issued.token, json);
  json += ",\"conversationId\":";
  wire::append_string(to_string(conversation_id), json);
  json += ",\"clientId\":";
  wire::append_string(*trip.client_id, json);
  json += ",\"clientName\":";
  append_nullable(trip.client_name, json);
  json += ",\"orgId\":";
  wire::append_string(trip.org_id, json);
  json += ",\"advisorName\":";
  append_nullable(trip.advisor_name, json);
  json += ",\"advisorAvatar\":";
  wire::append_picture_url(trip.advisor_avatar_url, json);
  json += ",\"expiresAt\":\"";
  wire::append_time(issued.expires_at, json);
  json += "\"}";
  return json;
}

DetachedTask issue_chat_token(ChatExchange exchange) {
  ChatServer& server = exchange.server();
  const auto delay = server.limits().take_chat_token(exchange.remote_address());
  if (delay.count() > 0) {
    exchange.fail_rate_limited(delay);
    co_return;
  }
  std::string trip_id;
  std::string share_token;
  if (exchange.method() == "POST") {
    const auto body = wire::Body::parse(exchange.body());
    const auto trip_field = body ? body->string("tripId") : result<std::string_view>(body.error());
    const auto token_field = body ? body->string("shareToken") : result<std::string_view>(body.error());
    if (!trip_field || !token_field) {
      exchange.fail(trip_field ? token_field.error() : trip_field.error());
      co_return;
    }
    trip_id = std::string(*trip_field);
    share_token = std::string(*token_field);
  } else {
    trip_id = std::string(exchange.query().value("tripId").value_or(""));
    share_token = std::string(exchange.query().value("shareToken").value_or(""));
  }
  if (trip_id.empty() || share_token.empty()) {
    exchange.fail(errc::missing_field);
    co_return;
  }
  if (!is_host_id(trip_id)) {
    exchange.fail(errc::not_found);
    co_return;
  }
  const auto asked_at = std::chrono::steady_clock::now();
  auto trip = co_await ask_host<std::optional<SharedTrip>>(
      exchange.loop(), "find_trip", [&](Host& host, auto reply) { host.find_trip(trip_id, std::move(reply)); });
  if (trip) exchange.loop().credentials().learn(trip_id, *trip, asked_at);
  if (!trip || !*trip) {
    exchange.fail(trip ? make_error_code(errc::not_found) : trip.error());
    co_return;
  }
  const SharedTrip& shared = **trip;
  if (!shared.share_enabled || shared.share_token.empty() || !http::equal_secrets(shared.share_token, share_token)) {
    exchange.fail(errc::sharing_disabled);
    co_return;
  }
  if (!shared.client_id) {
    exchange.fail(errc::trip_without_client);
    co_return;
  }
  const auto conversation = co_await ask_engine<Conversation>(exchange.loop(), [&](auto handler) {
    server.engine().async_open_conversation(shared.org_id, *shared.client_id, std::move(handler));
  });
  if (!conversation) {
    exchange.fail(conversation.error());
    co_return;
  }
  const auto issued = co_await ask_engine<IssuedToken>(exchange.loop(), [&](auto handler) {
    TokenGrant grant{shared.org_id, *shared.client_id, shared.id, conversation->id, shared.share_token};
    server.engine().async_issue_token(std::move(grant), std::move(handler));
  });
  if (!issued) {
    exchange.fail(issued.error());
    co_return;
  }
  exchange.answer(200, issued_token_json(*issued, conversation->id, shared));
}

// ---- For operators ----

DetachedTask live(ChatExchange exchange) {
  exchange.answer(200, "{\"status\":\"live\"}");
  co_return;
}

DetachedTask ready(ChatExchange exchange) {
  const auto answered = co_await ask_engine<bool>(
      exchange.loop(), [&](auto handler) { exchange.server().engine().async_ping(std::move(handler)); });
  if (!answered) {
    // 503 for any error of the storage, so that a load balancer sends no requests here.
    ErrorInfo error = describe(answered.error());
    error.http_status = 503;
    exchange.fail(error);
  } else if (exchange.loop().draining()) {
    exchange.fail(errc::closed);
  } else if (exchange.server().engine().backplane_state() == BackplaneState::down) {
    // It still serves everything; events of other nodes arrive a little later.
    exchange.answer(200, "{\"status\":\"degraded\",\"down\":[\"backplane\"]}");
  } else {
    exchange.answer(200, "{\"status\":\"ready\"}");
  }
}

bool has_metrics_token(const ChatExchange& exchange) {
  const auto token = http::bearer_token(exchange.header(ChatExchange::Field::authorization));
  return token && http::equal_secrets(*token, exchange.server().chat_options().metrics_token);
}

DetachedTask show_metrics(ChatExchange exchange) {
  const MetricsAccess access = exchange.server().chat_options().metrics;
  if (access == MetricsAccess::token && !has_metrics_token(exchange)) {
    exchange.fail(errc::unauthenticated);
    co_return;
  }
  if (access == MetricsAccess::loopback && !exchange.from_loopback()) {
    exchange.fail(errc::not_found);
    co_return;
  }
  HttpResponse response;
  response.headers.emplace_back("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = exchange.server().metrics();
  exchange.respond(std::move(response));
  co_return;
}

constexpr ChatRoute routes[] = {
    {"POST", "/api/conversations/:id/messages/client", BodyKind::json, send_as_client, true},
    {"POST", "/api/conversations/:id/messages", BodyKind::json, send_as_advisor},
    {"GET", "/api/conversations/:id/messages", BodyKind::none, list_messages, true},
    {"POST", "/api/conversations/:id/read", BodyKind::optional, mark_read},
    {"POST", "/api/conversations/:id/read/client", BodyKind::optional, mark_seen, true},
    {"POST", "/api/conversations/:id/messages/:messageId/reactions", BodyKind::json, react_as_advisor},
    {"DELETE", "/api/conversations/:id/messages/:messageId/reactions", BodyKind::optional, react_as_advisor},
    {"POST", "/api/conversations/:id/messages/:messageId/reactions/client", BodyKind::json, react_as_client, true},
    {"DELETE", "/api/conversations/:id/messages/:messageId/reactions/client", BodyKind::optional, react_as_client,
     true},
    {"GET", "/api/conversations", BodyKind::none, list_conversations},
    {"POST", "/api/conversations", BodyKind::json, open_conversation},
    {"GET", "/api/messages/unread-count", BodyKind::none, count_unread},
    {"GET", "/api/chat-token", BodyKind::none, issue_chat_token, true},
    {"POST", "/api/chat-token", BodyKind::json, issue_chat_token, true},
    {"GET", "/livez", BodyKind::none, live},
    {"GET", "/readyz", BodyKind::none, ready},
    {"GET", "/metrics", BodyKind::none, show_metrics, false, true},
};

constexpr std::string_view roots[] = {
    "/api/conversations", "/api/messages/unread-count", "/api/chat-token", "/livez", "/readyz", "/metrics", "/ws/chat",
    "/ws/inbox"};

}  // namespace

std::span<const ChatRoute> chat_routes() noexcept {
  return routes;
}

std::span<const std::string_view> chat_roots() noexcept {
  return roots;
}

}  // namespace travelchat::server
