#include "host.hpp"

#include "engine.hpp"
#include "values.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <type_traits>
#include <utility>

namespace travelchat::node {
namespace {

// The type of an answer to a question that expects none.
struct Nothing {};

std::optional<Advisor> to_advisor(Napi::Value value) {
  if (value.IsNull() || value.IsUndefined()) return std::nullopt;
  const Arguments from = Arguments::of(value, "authenticate()");
  Advisor advisor;
  advisor.org_id = from.host_id("orgId");
  advisor.id = from.host_id("id");
  advisor.name = from.optional_string("name").value_or("");
  advisor.avatar_url = from.optional_string("avatarUrl");
  advisor.expires_at = from.optional_time("expiresAt");
  // Unless the host knows better, a session is a cookie's: then writes from other origins are refused.
  advisor.by_cookie = from.boolean("byCookie", true);
  advisor.session_id = from.optional_string("sessionId").value_or("");
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

ClientCard to_card(const Arguments& from) {
  ClientCard card;
  card.id = from.string("id");
  card.name = from.string("name");
  card.avatar_url = from.optional_string("avatarUrl");
  if (const auto trip = from.optional_object("activeTrip")) {
    card.active_trip = ActiveTrip{trip->string("id"), trip->string("title")};
  }
  return card;
}

std::vector<ClientCard> to_cards(Napi::Value value) {
  auto holder = Napi::Object::New(value.Env());
  holder.Set("findClients()", value);
  return Arguments(holder).objects("findClients()", to_card);
}

std::vector<std::string> to_ids(Napi::Value value) {
  auto holder = Napi::Object::New(value.Env());
  holder.Set("searchClients()", value);
  const Arguments from(holder);
  if (!from.has("searchClients()"))
    throw Napi::TypeError::New(value.Env(), "searchClients() must be an array of strings, not " + kind_of(value));
  return from.strings("searchClients()");
}

// Null or undefined is refused: it would end every session.
std::vector<std::string> to_session_ids(Napi::Value value) {
  if (!value.IsArray()) {
    throw Napi::TypeError::New(value.Env(), "checkSessions() must be an array of strings, not " + kind_of(value));
  }
  auto holder = Napi::Object::New(value.Env());
  holder.Set("checkSessions()", value);
  return Arguments(holder).strings("checkSessions()");
}

std::uint64_t to_number(const Napi::Value& value) {
  return value.IsNumber() ? static_cast<std::uint64_t>(value.As<Napi::Number>().Int64Value()) : 0;
}

std::uint64_t to_number(void* context) {
  return reinterpret_cast<std::uintptr_t>(context);
}

// The bytes of a string with one byte in each character; empty for any other value.
std::string to_bytes(const Napi::Value& value) {
  std::array<char, 2048> buffer;
  std::size_t size = 0;
  if (napi_get_value_string_latin1(value.Env(), value, buffer.data(), buffer.size(), &size) != napi_ok) return {};
  if (size < buffer.size() - 1) return {buffer.data(), size};
  napi_get_value_string_latin1(value.Env(), value, nullptr, 0, &size);
  std::string bytes(size, '\0');
  napi_get_value_string_latin1(value.Env(), value, bytes.data(), size + 1, &size);
  return bytes;
}

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

}  // namespace

struct JsHost::Questions {
  // Reads the answer, or throws; gives a task for the engine's threads.
  using Take = std::function<std::function<void()>(const Napi::Value& error, const Napi::Value& value)>;

  struct Open {
    std::chrono::steady_clock::time_point since;
    Take take;
  };

  // Drops the questions that were asked before `time`: their time limit is over.
  void forget_until(std::chrono::steady_clock::time_point time) {
    while (!open.empty() && open.begin()->second.since < time) open.erase(open.begin());
  }

  std::map<std::uint64_t, Open> open;  // the oldest first
  std::uint64_t last = 0;
};

JsHost::JsHost(EngineState& state, Napi::Function ask, std::chrono::milliseconds timeout)
    : state_(state),
      timeout_(timeout),
      loop_(state.loop().shared_from_this()),
      ask_(loop_, ask),
      questions_(std::make_shared<Questions>()) {}

JsHost::~JsHost() {
  // Replies are destroyed on JavaScript's thread, where they are kept.
  loop_->post([questions = std::move(questions_)](Loop&, Napi::Env) {});
}

template <class T, class Read>
void JsHost::ask(const char* method, std::string json, const std::shared_ptr<void>& context, Reply<T> reply,
                 Read read) {
  loop_->post([ask = ask_, questions = questions_, timeout = timeout_, method, json = std::move(json),
               request = to_number(context.get()), reply = std::move(reply), read](Loop&, Napi::Env env) {
    const Napi::FunctionReference* function = ask.function();
    if (function == nullptr) return;
    const std::uint64_t question = ++questions->last;
    if constexpr (!std::is_same_v<T, Nothing>) {
      const auto now = std::chrono::steady_clock::now();
      if (timeout.count() > 0) questions->forget_until(now - timeout);
      auto take = [reply, read](const Napi::Value& error, const Napi::Value& value) {
        result<T> outcome(make_error_code(errc::internal));
        if (error.IsString()) {
          outcome = to_errc(std::string(error.As<Napi::String>()));
        } else {
          try {
            outcome = read(value);
          } catch (...) {
            reply(errc::internal);
            throw;
          }
        }
        return std::function<void()>([reply, outcome = std::move(outcome)]() mutable { reply(std::move(outcome)); });
      };
      questions->open.emplace(question, Questions::Open{now, std::move(take)});
    }
    function->Call({Napi::Number::New(env, static_cast<double>(question)), Napi::String::New(env, method),
                    Napi::String::New(env, json), Napi::Number::New(env, static_cast<double>(request))});
  });
}

void JsHost::answer(const Napi::CallbackInfo& info) {
  const auto found = questions_->open.find(to_number(info[0]));
  if (found == questions_->open.end()) return;
  const Questions::Take take = std::move(found->second.take);
  questions_->open.erase(found);
  state_.defer(take(info[1], info[2]));
}

void JsHost::authenticate(RequestCredentials credentials, Reply<std::optional<Advisor>> reply) {
  // The credentials are left out: JavaScript has the request.
  ask<std::optional<Advisor>>("authenticate", {}, credentials.context, std::move(reply), to_advisor);
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

void JsHost::check_sessions(std::vector<std::string> session_ids, Reply<std::vector<std::string>> reply) {
  std::string json;
  {
    JsonObject object(json);
    append_strings(session_ids, object.key("sessionIds"));
  }
  ask<std::vector<std::string>>("checkSessions", std::move(json), nullptr, std::move(reply), to_session_ids);
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
  ask<Nothing>(
      "notify", std::move(json), nullptr, [](const result<Nothing>&) {}, [](Napi::Value) { return Nothing{}; });
}

std::shared_ptr<void> to_context(std::uint64_t request) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): not an address but the request's number
  return {std::shared_ptr<void>(), reinterpret_cast<void*>(static_cast<std::uintptr_t>(request))};
}

std::shared_ptr<void> to_context(std::uint64_t request, std::shared_ptr<Loop> loop, Listening forget) {
  return {to_context(request).get(), [loop = std::move(loop), forget = std::move(forget)](void* given) {
            loop->post([forget, number = to_number(given)](Loop&, Napi::Env env) {
              const Napi::FunctionReference* function = forget.function();
              if (function != nullptr) function->Call({Napi::Number::New(env, static_cast<double>(number))});
            });
          }};
}

HttpRequest to_request(const Napi::CallbackInfo& info, std::size_t at) {
  HttpRequest request;
  request.method = to_bytes(info[at]);
  request.target = to_bytes(info[at + 1]);
  const std::string lines = to_bytes(info[at + 2]);
  for (std::string_view rest = lines; !rest.empty();) {
    const auto line = [&] {
      const std::string_view text = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(text.size() + 1, rest.size()));
      return text;
    };
    const std::string_view name = line();
    request.headers.emplace_back(lower_case(std::string(name)), line());
  }
  if (info[at + 3].IsBuffer()) {
    const auto bytes = info[at + 3].As<Napi::Buffer<char>>();
    request.body.assign(bytes.Data(), bytes.Length());
  }
  request.remote_address = to_bytes(info[at + 4]);
  request.is_secure = info[at + 5].ToBoolean();
  return request;
}

// Checked by the package.
static MetricsAccess to_access(std::string_view name) {
  if (name == "loopback") return MetricsAccess::loopback;
  if (name == "token") return MetricsAccess::token;
  return name == "nobody" ? MetricsAccess::nobody : MetricsAccess::everyone;
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
  options.base_path = from.optional_string("basePath").value_or("");
  options.allowed_origins = from.strings("allowedOrigins");
  options.trusted_proxies = from.strings("trustedProxies");
  size("maxHeaderBytes", options.max_header_bytes);
  size("maxBodyBytes", options.max_body_bytes);
  size("maxFrameBytes", options.max_frame_bytes);
  size("maxFragments", options.max_fragments);
  size("maxOutboxBytes", options.max_outbox_bytes);
  size("maxConnections", options.max_connections);
  time("pingInterval", options.ping_interval);
  time("silenceTimeout", options.silence_timeout);
  time("closeTimeout", options.close_timeout);
  time("hostTimeout", options.host_timeout);
  time("sessionCheckInterval", options.session_check_interval);
  time("shareCheckInterval", options.share_check_interval);
  if (const auto metrics = from.optional_string("metrics")) options.metrics = to_access(*metrics);
  options.metrics_token = from.optional_string("metricsToken").value_or("");
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
    limit("reactions", options.rate_limits.reactions);
    limit("marks", options.rate_limits.marks);
    limit("pages", options.rate_limits.pages);
    limit("openings", options.rate_limits.openings);
    limit("unknownTokens", options.rate_limits.unknown_tokens);
    if (const auto count = given->optional_number("socketsPerParticipant")) {
      options.rate_limits.sockets_per_participant = static_cast<std::size_t>(*count);
    }
  }
  return options;
}

}  // namespace travelchat::node
