#include "host.hpp"

#include "values.hpp"

#include <algorithm>
#include <utility>

namespace travelchat::node {
namespace {

std::optional<Advisor> to_advisor(Napi::Value value) {
  if (value.IsNull() || value.IsUndefined()) return std::nullopt;
  const Arguments from = Arguments::of(value, "authenticate()");
  Advisor advisor;
  advisor.org_id = from.string("orgId");
  advisor.id = from.string("id");
  advisor.name = from.optional_string("name").value_or("");
  advisor.avatar_url = from.optional_string("avatarUrl");
  advisor.expires_at = from.optional_time("expiresAt");
  // Unless the host knows better, a session is a cookie's: then writes from other origins are refused.
  advisor.by_cookie = from.boolean("byCookie", true);
  return advisor;
}

std::optional<SharedTrip> to_trip(Napi::Value value) {
  if (value.IsNull() || value.IsUndefined()) return std::nullopt;
  const Arguments from = Arguments::of(value, "findTrip()");
  SharedTrip trip;
  trip.id = from.string("id");
  trip.org_id = from.string("orgId");
  trip.client_id = from.optional_string("clientId");
  trip.title = from.optional_string("title").value_or("");
  trip.share_enabled = from.boolean("shareEnabled", false);
  trip.share_token = from.optional_string("shareToken").value_or("");
  trip.client_name = from.optional_string("clientName");
  trip.advisor_name = from.optional_string("advisorName");
  trip.advisor_avatar_url = from.optional_string("advisorAvatarUrl");
  return trip;
}

std::vector<ClientCard> to_cards(Napi::Value value) {
  auto holder = Napi::Object::New(value.Env());
  holder.Set("findClients()", value);
  std::vector<ClientCard> cards;
  for (const Arguments& from : Arguments(holder).objects("findClients()")) {
    ClientCard card;
    card.id = from.string("id");
    card.name = from.string("name");
    card.avatar_url = from.optional_string("avatarUrl");
    if (const auto trip = from.optional_object("activeTrip")) {
      card.active_trip = ActiveTrip{trip->string("id"), trip->string("title")};
    }
    cards.push_back(std::move(card));
  }
  return cards;
}

std::vector<std::string> to_ids(Napi::Value value) {
  auto holder = Napi::Object::New(value.Env());
  holder.Set("searchClients()", value);
  return Arguments(holder).strings("searchClients()");
}

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

}  // namespace

JsHost::JsHost(std::shared_ptr<Loop> loop, Napi::Function ask) : loop_(std::move(loop)), ask_(loop_->listen(ask)) {}

JsHost::~JsHost() {
  loop_->post([ask = ask_](Loop& loop, Napi::Env) { loop.unlisten(ask); });
}

template <class T, class Read>
void JsHost::ask(const char* method, std::string json, std::shared_ptr<void> context, Reply<T> reply, Read read) {
  loop_->post([ask = ask_, method, json = std::move(json), context = std::move(context), reply = std::move(reply),
               read](Loop& loop, Napi::Env env) {
    const Napi::FunctionReference* function = loop.listener(ask);
    if (function == nullptr) return;
    const Napi::Value given =
        context ? static_cast<Napi::ObjectReference*>(context.get())->Value() : Napi::Value(env.Undefined());
    const auto answer = Napi::Function::New(env, [reply, read](const Napi::CallbackInfo& info) {
      if (info.Length() > 0 && info[0].IsString()) {
        reply(to_errc(std::string(info[0].As<Napi::String>())));
        return;
      }
      try {
        reply(read(info.Length() > 1 ? info[1] : info.Env().Undefined()));
      } catch (const Napi::Error&) {
        reply(errc::internal);
        throw;
      }
    });
    function->Call({Napi::String::New(env, method), Napi::String::New(env, json), given, answer});
  });
}

void JsHost::authenticate(RequestCredentials credentials, Reply<std::optional<Advisor>> reply) {
  std::string json;
  {
    JsonObject object(json);
    object.add("cookie", credentials.cookie);
    object.add("authorization", credentials.authorization);
  }
  ask<std::optional<Advisor>>("authenticate", std::move(json), std::move(credentials.context), std::move(reply),
                              to_advisor);
}

void JsHost::find_trip(std::string trip_id, Reply<std::optional<SharedTrip>> reply) {
  std::string json;
  JsonObject(json).add("tripId", trip_id);
  ask<std::optional<SharedTrip>>("findTrip", std::move(json), nullptr, std::move(reply), to_trip);
}

void JsHost::find_clients(std::string org_id, std::vector<std::string> client_ids,
                          Reply<std::vector<ClientCard>> reply) {
  std::string json;
  {
    JsonObject object(json);
    object.add("orgId", org_id);
    append_strings(client_ids, object.key("clientIds"));
  }
  ask<std::vector<ClientCard>>("findClients", std::move(json), nullptr, std::move(reply), to_cards);
}

void JsHost::search_clients(std::string org_id, std::string text, Reply<std::vector<std::string>> reply) {
  std::string json;
  {
    JsonObject object(json);
    object.add("orgId", org_id);
    object.add("text", text);
  }
  ask<std::vector<std::string>>("searchClients", std::move(json), nullptr, std::move(reply), to_ids);
}

void JsHost::notify(PushNotification notification) {
  std::string json;
  {
    JsonObject object(json);
    object.add("orgId", notification.org_id);
    object.add("title", notification.title);
    object.add("body", notification.body);
    object.add("url", notification.url);
  }
  ask<bool>(
      "notify", std::move(json), nullptr, [](const result<bool>&) {}, [](Napi::Value) { return true; });
}

std::shared_ptr<void> to_context(const std::shared_ptr<Loop>& loop, Napi::Value value) {
  if (!value.IsObject()) return nullptr;
  auto* reference = new Napi::ObjectReference(Napi::Persistent(value.As<Napi::Object>()));
  return {static_cast<void*>(reference), [loop](void* given) {
            auto* kept = static_cast<Napi::ObjectReference*>(given);
            // An environment that has ended has taken the value with it; the reference cannot be given back any more.
            if (!loop->post([kept](Loop&, Napi::Env) { delete kept; })) kept->SuppressDestruct();
          }};
}

HttpRequest to_request(const std::shared_ptr<Loop>& loop, Napi::Value value) {
  const Arguments from = Arguments::of(value, "request");
  HttpRequest request;
  request.method = from.string("method");
  request.target = from.string("target");
  const std::vector<std::string> headers = from.strings("headers");
  for (std::size_t i = 0; i + 1 < headers.size(); i += 2) {
    request.headers.emplace_back(lower_case(headers[i]), headers[i + 1]);
  }
  if (const Napi::Value body = from.value("body"); body.IsBuffer()) {
    const auto bytes = body.As<Napi::Buffer<char>>();
    request.body.assign(bytes.Data(), bytes.Length());
  }
  request.remote_address = from.optional_string("remoteAddress").value_or("");
  request.is_secure = from.boolean("isSecure", false);
  request.context = to_context(loop, from.value("context"));
  return request;
}

BeastServerOptions to_server_options(Napi::Value value) {
  const Arguments from = Arguments::of(value, "options");
  BeastServerOptions options;
  const auto size = [&](const char* name, std::size_t& into) {
    if (const auto number = from.optional_number(name)) into = static_cast<std::size_t>(*number);
  };
  const auto time = [&](const char* name, std::chrono::milliseconds& into) {
    if (const auto number = from.optional_milliseconds(name)) into = *number;
  };
  options.listens = false;
  options.allowed_origins = from.strings("allowedOrigins");
  size("maxHeaderBytes", options.max_header_bytes);
  size("maxBodyBytes", options.max_body_bytes);
  size("maxFrameBytes", options.max_frame_bytes);
  size("maxFragments", options.max_fragments);
  size("maxOutboxBytes", options.max_outbox_bytes);
  size("maxConnections", options.max_connections);
  time("pingInterval", options.ping_interval);
  time("silenceTimeout", options.silence_timeout);
  time("closeTimeout", options.close_timeout);
  if (const Napi::Value limits = from.value("rateLimits"); limits.IsBoolean() && !limits.ToBoolean()) {
    options.rate_limits = RateLimits::off();
  } else if (const auto given = from.optional_object("rateLimits")) {
    const auto limit = [&](const char* name, RateLimit& into) {
      if (const auto one = given->optional_object(name)) {
        into = {static_cast<std::size_t>(one->number("count")),
                one->optional_milliseconds("windowMs").value_or(into.window)};
      }
    };
    limit("messages", options.rate_limits.messages);
    limit("typingFrames", options.rate_limits.typing_frames);
    limit("chatTokens", options.rate_limits.chat_tokens);
    if (const auto count = given->optional_number("socketsPerParticipant")) {
      options.rate_limits.sockets_per_participant = static_cast<std::size_t>(*count);
    }
  }
  return options;
}

}  // namespace travelchat::node
