#include "engine.hpp"

#include "host.hpp"
#include "js_storage.hpp"
#include "libpq.hpp"
#include "records.hpp"
#include "subscription.hpp"
#include "values.hpp"

#include <travelchat/beast_server.hpp>
#include <travelchat/local_backplane.hpp>
#include <travelchat/memory_storage.hpp>
#include <travelchat/postgres_storage.hpp>
#include <travelchat/record_json.hpp>
#include <travelchat/sqlite_storage.hpp>
#include <travelchat/wire.hpp>

#include <boost/asio/post.hpp>

#include <memory>
#include <mutex>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>

namespace travelchat::node {
namespace {

// ---- Results as text ----

template <detail::Described T>
std::string to_json(const T& record) {
  std::string json;
  wire::json::append_value(record, json);
  return json;
}

std::string to_json(const std::vector<ConversationSummary>& rows) {
  std::string json = "[";
  for (const ConversationSummary& row : rows) {
    if (json.size() > 1) json += ',';
    append_summary(row, json);
  }
  return json += ']';
}

std::string to_json(std::uint64_t number) {
  return std::to_string(number);
}

std::string to_json(const Uuid& id) {
  return '"' + to_string(id) + '"';
}

std::string to_json(bool value) {
  return value ? "true" : "false";
}

std::string to_json(const std::vector<Reaction>& reactions) {
  std::string json;
  wire::append(std::span<const Reaction>(reactions), json);
  return json;
}

// ---- Operations ----

// The completion handler of an operation: passes the outcome to JavaScript, from any thread.
class Settle {
 public:
  Settle(std::shared_ptr<Loop> loop, std::uint64_t done) : loop_(std::move(loop)), done_(done) {}

  template <class T>
  void operator()(const result<T>& outcome) const {
    if (outcome)
      settle(*loop_, done_, {}, to_json(*outcome));
    else
      settle(*loop_, done_, outcome.error(), {});
  }

 private:
  std::shared_ptr<Loop> loop_;
  std::uint64_t done_;
};

// Gives the engine, or throws when it is closed. Reading an argument may run JavaScript that closes it, so each
// operation reads all arguments before it calls this.
class Open {
 public:
  Open(EngineState& state, Napi::Env env) : state_(state), env_(env) {}
  ChatEngine& operator()() const;

 private:
  EngineState& state_;
  Napi::Env env_;
};

using Run = void (*)(const Open& engine, const Arguments& args, Settle done);

struct Operation {
  std::string_view name;
  Run run;
};

// clang-format off
constexpr Operation operations[] = {
    {"openConversation", [](const Open& engine, const Arguments& args, Settle done) {
       std::string org_id = args.string("orgId");
       std::string client_id = args.string("clientId");
       args.require_none(find_problem_of_host_id("orgId", org_id));
       args.require_none(find_problem_of_host_id("clientId", client_id));
       engine().async_open_conversation(std::move(org_id), std::move(client_id), std::move(done));
     }},
    {"findConversation", [](const Open& engine, const Arguments& args, Settle done) {
       const Uuid id = args.uuid("conversationId");
       engine().async_find_conversation(id, std::move(done));
     }},
    {"listConversations", [](const Open& engine, const Arguments& args, Settle done) {
       ConversationQuery query;
       query.org_id = args.string("orgId");
       query.text = args.optional_string("text");
       query.client_ids = args.strings("clientIds");
       args.require_none(find_problem(query));
       engine().async_list_conversations(std::move(query), std::move(done));
     }},
    {"countUnread", [](const Open& engine, const Arguments& args, Settle done) {
       std::string org_id = args.string("orgId");
       engine().async_count_unread(std::move(org_id), std::move(done));
     }},
    {"send", [](const Open& engine, const Arguments& args, Settle done) {
       Participant sender = args.participant("sender");
       Draft draft;
       draft.content = args.content("content");
       read_members<detail::MembersWithout<Draft, &Draft::content, &Draft::conversation_id>>(args, draft);
       draft.conversation_id = args.uuid("conversationId");
       args.require_none(find_problem(sender), "sender");
       args.require_none(find_problem(draft));
       engine().async_send(std::move(sender), std::move(draft), std::move(done));
     }},
    {"listMessages", [](const Open& engine, const Arguments& args, Settle done) {
       Participant reader = args.participant("reader");
       MessageQuery query;
       query.before_seq = args.optional_number("before");
       query.since_rev = args.optional_number("since");
       query.epoch = args.optional_epoch("epoch");
       query.limit = static_cast<std::size_t>(args.optional_number("limit").value_or(query.limit));
       query.conversation_id = args.uuid("conversationId");
       args.require_none(find_problem(query));
       engine().async_list_messages(std::move(reader), std::move(query), std::move(done));
     }},
    {"react", [](const Open& engine, const Arguments& args, Settle done) {
       Participant reactor = args.participant("reactor");
       const Emoji emoji = to_emoji(args, "emoji");
       const Uuid conversation_id = args.uuid("conversationId");
       const Uuid message_id = args.uuid("messageId");
       args.require_none(find_problem(reactor), "reactor");
       engine().async_react(std::move(reactor), conversation_id, message_id, emoji, std::move(done));
     }},
    {"unreact", [](const Open& engine, const Arguments& args, Settle done) {
       Participant reactor = args.participant("reactor");
       const Uuid conversation_id = args.uuid("conversationId");
       const Uuid message_id = args.uuid("messageId");
       args.require_none(find_problem(reactor), "reactor");
       engine().async_unreact(std::move(reactor), conversation_id, message_id, std::move(done));
     }},
    {"mark", [](const Open& engine, const Arguments& args, Settle done) {
       Participant viewer = args.participant("viewer");
       const Uuid conversation_id = args.uuid("conversationId");
       args.require_none(find_problem(viewer), "viewer");
       engine().async_mark(std::move(viewer), conversation_id, std::move(done));
     }},
    {"issueToken", [](const Open& engine, const Arguments& args, Settle done) {
       TokenGrant grant;
       grant.org_id = args.string("orgId");
       grant.client_id = args.string("clientId");
       grant.trip_id = args.string("tripId");
       grant.conversation_id = args.uuid("conversationId");
       grant.share_token = args.optional_string("shareToken");
       args.require_none(find_problem(grant));
       engine().async_issue_token(std::move(grant), std::move(done));
     }},
    {"authenticateToken", [](const Open& engine, const Arguments& args, Settle done) {
       std::string token = args.word("token");
       engine().async_authenticate_token(std::move(token), std::move(done));
     }},
    {"revokeToken", [](const Open& engine, const Arguments& args, Settle done) {
       std::string token = args.word("token");
       engine().async_revoke_token(std::move(token), std::move(done));
     }},
    {"revokeTokens", [](const Open& engine, const Arguments& args, Settle done) {
       TokenFilter filter;
       filter.org_id = args.string("orgId");
       filter.client_id = args.optional_string("clientId");
       filter.trip_id = args.optional_string("tripId");
       args.require_none(find_problem(filter));
       engine().async_revoke_tokens(std::move(filter), std::move(done));
     }},
    {"sweepTokens", [](const Open& engine, const Arguments&, Settle done) {
       engine().async_sweep_tokens(std::move(done));
     }},
    {"pruneChanges", [](const Open& engine, const Arguments&, Settle done) {
       engine().async_prune_changes(std::move(done));
     }},
    {"beginEpoch", [](const Open& engine, const Arguments&, Settle done) {
       engine().async_begin_epoch(std::move(done));
     }},
    {"ping", [](const Open& engine, const Arguments&, Settle done) { engine().async_ping(std::move(done)); }},
};
// clang-format on

// ---- Options ----

// The names of the levels in JavaScript.
const char* to_name(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      break;
  }
  return "error";
}

EngineOptions to_options(const std::shared_ptr<Loop>& loop, const Arguments& from) {
  EngineOptions options;
  const auto size = [&](const char* name, std::size_t& into) {
    if (const auto value = from.optional_number(name)) into = static_cast<std::size_t>(*value);
  };
  const auto time = [&](const char* name, auto& into) {
    if (const auto value = from.optional_milliseconds(name)) {
      into = std::chrono::duration_cast<std::decay_t<decltype(into)>>(*value);
    }
  };
  size("shards", options.shards);
  size("readers", options.readers);
  size("maxQueuedWrites", options.max_queued_writes);
  size("maxQueuedReads", options.max_queued_reads);
  size("maxBatch", options.max_batch);
  size("maxReplay", options.max_replay);
  size("maxReplayBacklog", options.max_replay_backlog);
  time("typingTimeout", options.typing_timeout);
  time("tokenLifetime", options.token_lifetime);
  size("maxLiveTokens", options.max_live_tokens);
  size("tokenCacheEntries", options.token_cache_entries);
  time("tokenCacheLifetime", options.token_cache_lifetime);
  time("sweepInterval", options.sweep_interval);
  if (const auto count = from.optional_number("maxKeptChanges")) options.max_kept_changes = *count;
  if (const auto age = from.optional_milliseconds("maxChangeAge")) {
    options.max_change_age = std::chrono::ceil<std::chrono::hours>(*age);
  }
  time("pollInterval", options.poll_interval);
  time("pollIntervalDown", options.poll_interval_down);
  time("credentialCheckInterval", options.credential_check_interval);
  if (from.has("log")) {
    // log(level, event, subject, detail)
    options.log = [loop, listener = Listening(loop, from.value("log").As<Napi::Function>())](const LogRecord& record) {
      loop->post([listener, level = to_name(record.level), event = std::string(record.event),
                  subject = std::string(record.subject), detail = std::string(record.detail)](Loop&, Napi::Env env) {
        const Napi::FunctionReference* function = listener.function();
        if (function == nullptr) return;
        function->Call({Napi::String::New(env, level), Napi::String::New(env, event), Napi::String::New(env, subject),
                        Napi::String::New(env, detail)});
      });
    };
  }
  return options;
}

// Empty: nobody is told.
std::function<void(std::string_view)> to_log(const std::shared_ptr<Loop>& loop, const Arguments& from) {
  if (!from.has("log")) return {};
  const Napi::Value log = from.value("log");
  if (!log.IsFunction()) {
    throw Napi::TypeError::New(log.Env(), "storage.log must be a function, not " + kind_of(log));
  }
  return [loop, listener = Listening(loop, log.As<Napi::Function>())](std::string_view line) {
    loop->post([listener, line = std::string(line)](Loop&, Napi::Env env) {
      if (const auto* function = listener.function()) function->Call({Napi::String::New(env, line)});
    });
  };
}

PostgresStorageOptions to_postgres_options(const std::shared_ptr<Loop>& loop, const Arguments& from) {
  PostgresStorageOptions options;
  options.url = from.string("url");
  if (const auto n = from.optional_number("lanes")) options.lanes = static_cast<std::size_t>(*n);
  if (const auto n = from.optional_number("maxReaders")) options.max_readers = static_cast<std::size_t>(*n);
  if (const auto time = from.optional_milliseconds("patience")) options.patience = *time;
  if (const auto time = from.optional_milliseconds("connectTimeout")) options.connect_timeout = *time;
  options.log = to_log(loop, from);
  return options;
}

// Thrown when a library that the storage needs is not installed.
struct Unavailable {
  const char* problem;
};

// One bus for each database URL, so that engines of this process on the same database tell each other of changes.
std::shared_ptr<LocalBus> bus_of(const std::string& url) {
  static std::mutex mutex;
  static std::unordered_map<std::string, std::weak_ptr<LocalBus>> buses;
  const std::scoped_lock lock(mutex);
  std::erase_if(buses, [](const auto& entry) { return entry.second.expired(); });
  std::shared_ptr<LocalBus> bus = buses[url].lock();
  if (!bus) buses[url] = bus = make_local_bus();
  return bus;
}

// The engines of one process on one PostgreSQL tell each other what they write.
StorageAndBackplane open_storage(const std::shared_ptr<Loop>& loop, const Arguments& from) {
  const std::string kind = from.string("kind");
  if (kind == "memory") return {make_memory_storage(), nullptr};
  if (kind == "sqlite") {
    SqliteStorageOptions options;
    options.path = from.string("path");
    if (const auto n = from.optional_number("maxReaders")) options.max_readers = static_cast<std::size_t>(*n);
    if (const auto n = from.optional_number("checkpointBytes")) options.checkpoint_bytes = static_cast<std::size_t>(*n);
    // Until it is open, the last line becomes the text of the exception.
    struct Told {
      bool is_open = false;
      std::string last;
    };
    const auto told = std::make_shared<Told>();
    options.log = [told, log = to_log(loop, from)](std::string_view line) {
      if (!told->is_open)
        told->last = line;
      else if (log)
        log(line);
    };
    auto opened = SqliteStorage::open(std::move(options));
    if (!opened) throw Refused{describe(opened.error()).code, told->last};
    told->is_open = true;
    return {std::move(*opened), nullptr};
  }
  if (kind == "postgres") {
    PostgresStorageOptions options = to_postgres_options(loop, from);
    if (const char* problem = load_libpq()) throw Unavailable{problem};
    auto bus = bus_of(options.url);
    return {PostgresStorage::open(std::move(options)), make_local_backplane(std::move(bus))};
  }
  const Napi::Value call = from.value("call");
  if (!call.IsFunction()) throw Napi::TypeError::New(call.Env(), "storage is none that travelchat knows");
  std::unique_ptr<Storage> storage;
  if (from.boolean("hasUpkeep", false))
    storage = std::make_unique<JsStorageWithUpkeep>(loop, call.As<Napi::Function>());
  else
    storage = std::make_unique<JsStorage>(loop, call.As<Napi::Function>());
  return {std::move(storage), nullptr};
}

errc to_errc(const std::error_code& error) noexcept {
  const std::error_category& ours = category();
  return error.category() == ours ? static_cast<errc>(error.value()) : errc::internal;
}

// An error by its name; the package makes a ChatError of it, whose cause says `detail` to an operator.
Napi::Error named_error(Napi::Env env, errc code, const std::string& detail = {}) {
  const ErrorInfo& info = describe(code);
  Napi::Error error = Napi::Error::New(env, std::string(info.message));
  if (!detail.empty()) error.Set("cause", Napi::Error::New(env, detail).Value());
  error.Set("code", std::string(info.name));
  return error;
}

Napi::Error closed_error(Napi::Env env) {
  return named_error(env, errc::closed, "the engine is closed");
}

ChatEngine& Open::operator()() const {
  if (state_.is_closed()) throw closed_error(env_);
  return state_.engine();
}

std::uint64_t keep(Loop& loop, const Napi::Value& function) {
  if (!function.IsFunction()) throw Napi::TypeError::New(function.Env(), "a function is missing");
  return loop.keep(function.As<Napi::Function>());
}

}  // namespace

void settle(Loop& loop, std::uint64_t done, const error_code& error, std::string json) {
  loop.post([done, name = error ? std::string(describe(error).name) : std::string(), json = std::move(json)](
                Loop& here, Napi::Env env) {
    const Napi::FunctionReference function = here.take(done);
    if (function.IsEmpty()) return;
    napi_value text = nullptr;
    if (!name.empty())
      function.Call({Napi::String::New(env, name), env.Undefined()});
    else if (napi_create_string_utf8(env, json.data(), json.size(), &text) == napi_ok)
      function.Call({env.Null(), text});
    else  // the JSON is longer than a JavaScript string can be
      function.Call({Napi::String::New(env, std::string(describe(errc::internal).name)), env.Undefined()});
  });
}

// ---- EngineState ----

EngineState::EngineState(std::shared_ptr<Loop> loop, StorageAndBackplane parts, const EngineOptions& options)
    : loop_(std::move(loop)),
      has_other_writers_(parts.storage->has_other_writers()),
      engine_(std::make_unique<ChatEngine>(std::move(parts.storage), options, std::move(parts.backplane))) {}

EngineState::~EngineState() {
  end();
}

void EngineState::serve(std::unique_ptr<JsHost> host, std::unique_ptr<BeastServer> server) {
  host_ = std::move(host);
  server_ = std::move(server);
}

void EngineState::flush() {
  if (deferred_.empty()) return;
  auto run = [tasks = std::exchange(deferred_, {})] {
    for (const auto& task : tasks) task();
  };
  // While it closes, the engine belongs to the closing thread. What is deferred then are answers of the host, which any
  // thread may give.
  if (is_closed())
    run();
  else
    boost::asio::post(engine_->shard_context(0), std::move(run));
}

void EngineState::close(std::chrono::milliseconds grace, std::uint64_t done) {
  flush();
  closing_ = true;
  closer_ = std::thread([this, grace, done] {
    shut_down(grace);
    loop_->post([this, done](Loop& loop, Napi::Env env) {
      const auto self = shared_from_this();
      closer_.join();
      loop.remove(*this);
      if (const Napi::FunctionReference function = loop.take(done); !function.IsEmpty()) {
        function.Call({env.Null(), Napi::String::New(env, "null")});
      }
    });
  });
}

void EngineState::end() noexcept {
  if (closer_.joinable()) closer_.join();
  shut_down(std::chrono::milliseconds{0});
}

void EngineState::shut_down(std::chrono::milliseconds grace) noexcept {
  if (server_) server_->stop(grace);
  server_.reset();
  engine_.reset();
}

// ---- Engine ----

Napi::Function Engine::define(Napi::Env env) {
  return DefineClass(env, "Engine",
                     {InstanceMethod("invoke", &Engine::invoke), InstanceMethod("subscribe", &Engine::subscribe),
                      InstanceMethod("close", &Engine::close), InstanceMethod("stats", &Engine::stats),
                      InstanceMethod("refresh", &Engine::refresh), InstanceMethod("endSession", &Engine::end_session),
                      InstanceMethod("serve", &Engine::serve), InstanceMethod("metrics", &Engine::metrics),
                      InstanceMethod("handle", &Engine::handle), InstanceMethod("answer", &Engine::answer),
                      InstanceMethod("flush", &Engine::flush), InstanceMethod("adopt", &Engine::adopt),
                      InstanceMethod("bridge", &Engine::bridge)});
}

Engine::Engine(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Engine>(info) {
  const auto loop = Loop::of(info.Env());
  if (loop->has_ended()) throw named_error(info.Env(), errc::closed, "the process or the worker ends");
  try {
    const EngineOptions options = to_options(loop, Arguments::of(info[1], "options"));
    state_ = std::make_shared<EngineState>(loop, open_storage(loop, Arguments::of(info[0], "storage")), options);
  } catch (const Refused& refused) {
    throw named_error(info.Env(), refused.code, refused.detail);
  } catch (const Unavailable& unavailable) {
    throw named_error(info.Env(), errc::storage_failed, unavailable.problem);
  } catch (const OptionError& refused) {
    throw named_error(info.Env(), errc::invalid_argument, to_sentence(refused));
  } catch (const std::system_error& failed) {
    throw named_error(info.Env(), to_errc(failed.code()), failed.what());
  }
  loop->add(state_);
}

Engine::~Engine() {
  // The JavaScript object is gone, so nothing else can close the engine.
  if (state_ && !state_->is_closed()) state_->close(std::chrono::milliseconds{0}, 0);
}

void Engine::require_open(const Napi::CallbackInfo& info) const {
  if (state_->is_closed()) throw closed_error(info.Env());
}

// invoke(name, arguments, done)
void Engine::invoke(const Napi::CallbackInfo& info) {
  const std::string name = info[0].As<Napi::String>();
  require_open(info);
  for (const Operation& operation : operations) {
    if (operation.name != name) continue;
    const Arguments args = Arguments::of(info[1], name);
    const std::uint64_t done = keep(state_->loop(), info[2]);
    try {
      operation.run(Open(*state_, info.Env()), args, Settle(state_->loop().shared_from_this(), done));
    } catch (const Refused& refused) {
      state_->loop().take(done);
      throw named_error(info.Env(), refused.code, refused.detail);
    } catch (...) {
      state_->loop().take(done);
      throw;
    }
    return;
  }
  throw Napi::TypeError::New(info.Env(), "there is no operation " + name);
}

// subscribe({as?, conversationId?, orgId?, since?, maxQueued}, onWake, done): done(error, subscription)
void Engine::subscribe(const Napi::CallbackInfo& info) {
  require_open(info);
  const bool is_inbox = info[0].IsObject() && info[0].As<Napi::Object>().Has("orgId");
  const Arguments args = Arguments::of(info[0], is_inbox ? "subscribeInbox" : "subscribe");
  try {
    start_subscription(state_, args, is_inbox, info[1].As<Napi::Function>(), info[2].As<Napi::Function>());
  } catch (const Refused& refused) {
    throw named_error(info.Env(), refused.code, refused.detail);
  }
}

void Engine::close(const Napi::CallbackInfo& info) {
  require_open(info);
  const auto grace = std::chrono::milliseconds{info[0].As<Napi::Number>().Int64Value()};
  state_->close(grace, keep(state_->loop(), info[1]));
}

Napi::Value Engine::stats(const Napi::CallbackInfo& info) {
  require_open(info);
  return Napi::String::New(info.Env(), to_json(state_->engine().stats()));
}

void Engine::refresh(const Napi::CallbackInfo& info) {
  require_open(info);
  if (!info[0].IsString()) {
    throw Napi::TypeError::New(info.Env(), "refresh.conversationId must be a string, not " + kind_of(info[0]));
  }
  const auto id = parse_uuid(std::string(info[0].As<Napi::String>()));
  if (!id) {
    throw named_error(info.Env(), errc::not_found,
                      "refresh.conversationId must be an id that the engine gave, a UUID in lower case");
  }
  // Nobody else writes to this storage.
  if (!state_->has_other_writers()) return;
  state_->engine().refresh(*id);
}

// endSession(sessionId)
void Engine::end_session(const Napi::CallbackInfo& info) {
  require_open(info);
  if (!info[0].IsString()) {
    throw Napi::TypeError::New(info.Env(), "endSession.sessionId must be a string, not " + kind_of(info[0]));
  }
  const auto session_id = to_text(info[0].As<Napi::String>());
  if (!session_id) throw Napi::TypeError::New(info.Env(), std::string("endSession.sessionId must be ") + well_formed);
  state_->engine().end_session(*session_id);
}

}  // namespace travelchat::node
