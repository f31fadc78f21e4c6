#include "engine.hpp"

#include "host.hpp"
#include "python_storage.hpp"
#include "records.hpp"

#include <travelchat/arguments.hpp>
#include <travelchat/memory_storage.hpp>
#include <travelchat/nats_backplane.hpp>
#include <travelchat/postgres_storage.hpp>
#include <travelchat/sqlite_storage.hpp>

#include <pybind11/chrono.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <csignal>
#include <exception>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace travelchat::python {

namespace {

// While it lives, new threads are made with all signals blocked: signals are for Python's main thread.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

using Queue = std::shared_ptr<ArrivalQueue>;

// The id that a call is about. A text that is no id is answered like an unknown one.
Uuid require_id(py::handle value, const char* name) {
  const auto id = to_id(value, name);
  if (!id)
    throw Failure{errc::not_found, std::string(name) + " must be an id that the engine gave, a UUID in lower case"};
  return *id;
}

void read(py::handle value, const char* name, Uuid& member) {
  member = require_id(value, name);
}
void read(py::handle value, const char* name, std::string& member) {
  member = to_text(value, name);
}
void read(py::handle value, const char* name, std::optional<std::string>& member) {
  member = to_optional_text(value, name);
}

// By the names of the members; what was left out keeps its default.
Draft to_draft(const py::dict& given) {
  Draft draft;
  std::size_t known = 0;
  detail::for_each_member<Draft>([&](auto member) {
    if (!given.contains(member.name)) return;
    ++known;
    const py::object value = given[member.name];
    read(value, member.name, draft.*member.pointer);
  });
  if (known == py::len(given)) return draft;
  for (const auto& [name, value] : given) {
    bool is_member = false;
    detail::for_each_member<Draft>([&](auto member) { is_member = is_member || name.equal(py::str(member.name)); });
    if (!is_member)
      throw py::type_error("send() got an unexpected keyword argument '" + py::cast<std::string>(name) + "'");
  }
  return draft;
}

// `member`: the argument that the problem is about.
void require_none(const Problem& problem, std::string_view member = {}) {
  if (!problem) return;
  std::string text(member);
  if (!text.empty()) text += '.';
  text += problem->what();
  // Two parameters have shorter names in Python.
  for (const std::string_view longer : {"before_seq", "since_rev"}) {
    if (const std::size_t at = text.find(longer); at != text.npos) text.erase(at + longer.size() - 4, 4);
  }
  throw Failure{errc::invalid_argument, std::move(text)};
}

EngineOptions to_options(const py::kwargs& given) {
  EngineOptions options;
  for (const auto& [key, value] : given) {
    const auto name = key.cast<std::string>();
    if (name == "shards") {
      options.shards = to_count(value, "shards");
    } else if (name == "readers") {
      options.readers = to_count(value, "readers");
    } else if (name == "max_queued_writes") {
      options.max_queued_writes = to_count(value, "max_queued_writes");
    } else if (name == "max_queued_reads") {
      options.max_queued_reads = to_count(value, "max_queued_reads");
    } else if (name == "max_batch") {
      options.max_batch = to_count(value, "max_batch");
    } else if (name == "max_replay") {
      options.max_replay = to_count(value, "max_replay");
    } else if (name == "max_replay_backlog") {
      options.max_replay_backlog = to_count(value, "max_replay_backlog");
    } else if (name == "typing_timeout") {
      options.typing_timeout = value.cast<std::chrono::milliseconds>();
    } else if (name == "token_lifetime") {
      options.token_lifetime = value.cast<std::chrono::milliseconds>();
    } else if (name == "max_live_tokens") {
      options.max_live_tokens = to_count(value, "max_live_tokens");
    } else if (name == "token_cache_entries") {
      options.token_cache_entries = to_count(value, "token_cache_entries");
    } else if (name == "token_cache_lifetime") {
      options.token_cache_lifetime = value.cast<std::chrono::milliseconds>();
    } else if (name == "sweep_interval") {
      options.sweep_interval = value.cast<std::chrono::seconds>();
    } else if (name == "credential_check_interval") {
      options.credential_check_interval = value.cast<std::chrono::milliseconds>();
    } else if (name == "max_kept_changes") {
      options.max_kept_changes = to_count(value, "max_kept_changes");
    } else if (name == "max_change_age") {
      options.max_change_age = std::chrono::ceil<std::chrono::hours>(value.cast<std::chrono::milliseconds>());
    } else if (name == "poll_interval") {
      options.poll_interval = value.cast<std::chrono::milliseconds>();
    } else if (name == "poll_interval_down") {
      options.poll_interval_down = value.cast<std::chrono::milliseconds>();
    } else {
      throw py::type_error("a ChatEngine has no option \"" + name + "\"");
    }
  }
  return options;
}

// Logs through Python's logging. Called on any thread of the engine or the storage; no thread waits for those while it
// holds the GIL.
void log_at(const char* level, std::string_view line) noexcept {
  try {
    const GilGuard gil;
    try {
      py::module_::import("logging").attr("getLogger")("travelchat").attr(level)("%s", to_python(std::string(line)));
    } catch (py::error_already_set& thrown) {
      thrown.discard_as_unraisable("travelchat's log");
    }
  } catch (const std::exception&) {
    // The interpreter is ending, so the line is dropped.
  }
}

void log_line(std::string_view line) noexcept {
  log_at("warning", line);
}

void log_record(const LogRecord& record) {
  std::string line(record.event);
  for (const std::string_view part : {record.subject, record.detail}) {
    if (!part.empty()) line.append(": ").append(part);
  }
  switch (record.level) {
    case LogLevel::debug:
      return log_at("debug", line);
    case LogLevel::info:
      return log_at("info", line);
    case LogLevel::warning:
      return log_at("warning", line);
    case LogLevel::error:
      return log_at("error", line);
  }
}

NativeStorage open_sqlite(std::filesystem::path path, std::size_t max_readers, std::size_t checkpoint_bytes) {
  // Until it is open, the last line becomes the exception's text.
  struct Told {
    bool is_open = false;
    std::string last;
  };
  const auto told = std::make_shared<Told>();
  const auto log = [told](std::string_view line) {
    if (told->is_open)
      log_line(line);
    else
      told->last = line;
  };
  auto opened = without_gil([&] {
    const SignalsBlocked blocked;
    return SqliteStorage::open({std::move(path), max_readers, checkpoint_bytes, log});
  });
  if (!opened) throw Failure{describe(opened.error()).code, told->last};
  told->is_open = true;
  return NativeStorage(*std::move(opened));
}

NativeStorage open_postgres(std::string url, std::size_t lanes, std::size_t max_readers,
                            std::chrono::milliseconds patience, std::chrono::milliseconds connect_timeout) {
  return without_gil([&] {
    const SignalsBlocked blocked;
    try {
      return NativeStorage(
          PostgresStorage::open({std::move(url), lanes, max_readers, patience, connect_timeout, log_line}));
    } catch (const OptionError&) {
      throw;
    } catch (const std::system_error& thrown) {
      throw Failure{describe(thrown.code()).code, thrown.what()};
    }
  });
}

NativeBackplane make_nats(std::vector<std::string> servers, std::string subject_prefix, std::string token,
                          std::string key) {
  // nats.c starts its threads at the first use, and they do not exist in a forked child.
  static const SinceFork first_use;
  first_use.check("process's NATS client");
  const SignalsBlocked blocked;
  try {
    return NativeBackplane(make_nats_backplane(
        {std::move(servers), std::move(subject_prefix), std::move(token), std::move(key), log_line}));
  } catch (const std::system_error& thrown) {
    throw py::value_error(thrown.what());
  }
}

// (token, value, error) as the package takes it.
py::object to_python(Arrival& arrival) {
  py::object value = py::none();
  py::object error = py::none();
  std::visit(
      [&](auto& content) {
        using Content = std::decay_t<decltype(content)>;
        if constexpr (std::is_same_v<Content, errc>) {
          error = make_error(content);
        } else if constexpr (std::is_same_v<Content, Subscription>) {
          value = py::cast(Listening(std::move(content)));
        } else if constexpr (std::is_same_v<Content, FeedReady>) {
          // Its arrival is the whole message.
        } else if constexpr (std::is_same_v<Content, HostCall> || std::is_same_v<Content, HttpCall>) {
          value = python::to_python(content);
        } else if constexpr (std::is_same_v<Content, HttpResponse>) {
          py::list headers;
          for (const auto& [name, text] : content.headers) {
            headers.append(py::make_tuple(py::bytes(name), py::bytes(text)));
          }
          value = py::make_tuple(content.status, std::move(headers),
                                 py::bytes(content.shared_body ? *content.shared_body : content.body));
        } else {
          value = python::to_python(content);
        }
      },
      arrival.content);
  return py::make_tuple(arrival.token, std::move(value), std::move(error));
}

void subscribe(const Engine& self, const Queue& queue, std::uint64_t token, const std::shared_ptr<Feed>& feed,
               py::handle conversation_id, py::handle listener, py::handle since, py::handle epoch) {
  std::optional<Participant> who;
  if (!listener.is_none()) who = to_participant(listener);
  SubscribeOptions options;
  options.since_rev = to_optional_count(since, "since");
  options.epoch = to_optional_epoch(epoch);
  const Uuid id = require_id(conversation_id, "conversation_id");
  ChatEngine& engine = self.running();
  engine.async_find_conversation(id, [&engine, answer = Answer(queue, token), feed, who = std::move(who),
                                      options](result<Conversation> found) mutable {
    if (!found) return answer.fail(describe(found.error()).code);
    // Without a listener, a program may read everything.
    Participant participant = who ? std::move(*who) : Participant{found->org_id, Role::advisor, "-", {}};
    const Uuid conversation = found->id;
    options.known = &*found;
    engine.async_subscribe(std::move(participant), conversation, feed, std::move(options), std::move(answer));
  });
}

}  // namespace

NativeStorage::~NativeStorage() {
  if (!since_fork_.same_process()) {
    abandon(std::move(storage_));
  } else if (storage_) {
    without_gil([this] { storage_.reset(); });
  }
}

void NativeStorage::require() const {
  since_fork_.check("storage");
  if (!storage_) throw py::value_error("storage: this one belongs to an engine already; open one for each engine");
}

std::unique_ptr<Storage> NativeStorage::take() {
  require();
  return std::move(storage_);
}

NativeBackplane::~NativeBackplane() {
  if (!since_fork_.same_process()) {
    abandon(std::move(backplane_));
  } else if (backplane_) {
    without_gil([this] { backplane_.reset(); });
  }
}

void NativeBackplane::require() const {
  since_fork_.check("backplane");
  if (!backplane_) throw py::value_error("backplane: this one belongs to an engine already; make one for each engine");
}

std::unique_ptr<Backplane> NativeBackplane::take() {
  require();
  return std::move(backplane_);
}

Listening::~Listening() {
  if (!since_fork_.same_process()) abandon(std::move(subscription_));
}

void Listening::set_typing(bool is_typing) {
  since_fork_.check("subscription");
  subscription_.set_typing(is_typing);
}

void Listening::end() {
  if (since_fork_.same_process()) subscription_.reset();
}

Engine::Engine(const py::object& storage, NativeBackplane* backplane, EngineOptions options) {
  // Both are checked before either is taken, so that after an error they can be used again.
  if (backplane) backplane->require();
  std::unique_ptr<Storage> taken;
  if (py::isinstance<NativeStorage>(storage)) {
    taken = storage.cast<NativeStorage&>().take();
  } else {
    taken = make_python_storage(storage);
  }
  std::unique_ptr<Backplane> link = backplane ? backplane->take() : nullptr;
  engine_ = without_gil([&] {
    const SignalsBlocked blocked;
    return std::make_shared<ChatEngine>(std::move(taken), options, std::move(link));
  });
}

Engine::~Engine() {
  if (since_fork_.same_process()) {
    close();
  } else {
    abandon(std::move(engine_));
  }
}

void Engine::close() {
  since_fork_.check("ChatEngine");
  // Taken under the GIL, so that calls of other threads do not see it any more.
  std::shared_ptr<ChatEngine> closing = std::exchange(engine_, nullptr);
  if (closing) without_gil([&] { closing.reset(); });
}

ChatEngine& Engine::running() const {
  since_fork_.check("ChatEngine");
  if (!engine_) throw Failure{errc::closed};
  return *engine_;
}

std::shared_ptr<ChatEngine> Engine::share() const {
  running();
  return engine_;
}

void bind_engine(py::module_& module) {
  py::class_<NativeStorage>(module, "NativeStorage", "A storage of the library's own, until an engine takes it.");
  module.def("open_sqlite", &open_sqlite, py::arg("path"), py::arg("max_readers"), py::arg("checkpoint_bytes"));
  module.def("open_postgres", &open_postgres, py::arg("url"), py::arg("lanes"), py::arg("max_readers"),
             py::arg("patience"), py::arg("connect_timeout"));
  module.def("memory_storage", [] { return NativeStorage(make_memory_storage()); });

  py::class_<NativeBackplane>(module, "NativeBackplane", "What wakes the other nodes, until an engine takes it.");
  module.def("make_nats", &make_nats, py::arg("servers"), py::arg("subject_prefix"), py::arg("token"), py::arg("key"));

  py::class_<ArrivalQueue, Queue>(module, "ArrivalQueue")
      .def(py::init<>())
      .def("fileno", &ArrivalQueue::descriptor)
      .def("wait", &ArrivalQueue::wait)
      .def("take", [](ArrivalQueue& queue) {
        // All are converted first; this fails only when memory runs out.
        std::vector<Arrival> arrivals = queue.take();
        py::list list(arrivals.size());
        std::size_t at = 0;
        for (Arrival& arrival : arrivals) list[at++] = to_python(arrival);
        return list;
      });

  py::class_<Feed, std::shared_ptr<Feed>>(module, "Feed")
      .def(py::init<const Queue&, std::uint64_t, std::size_t>(), py::arg("queue"), py::arg("token"),
           py::arg("max_pending"))
      .def("take", &Feed::take, py::arg("max_events"))
      .def("end", &Feed::end)
      .def("closed", [](const Feed& feed) {
        const auto reason = feed.closed();
        return reason ? make_error(*reason) : py::none();
      });

  py::class_<Listening>(module, "Listening")
      .def("set_typing", &Listening::set_typing, py::arg("is_typing"))
      .def("end", &Listening::end);

  py::class_<Engine>(module, "Engine")
      .def(py::init([](const py::object& storage, NativeBackplane* backplane, const py::kwargs& options) {
             EngineOptions chosen = to_options(options);
             chosen.log = log_record;
             return std::make_unique<Engine>(storage, backplane, std::move(chosen));
           }),
           py::arg("storage"), py::arg("backplane"))
      .def("close", &Engine::close)
      .def("stats", [](const Engine& self) { return to_python(self.running().stats()); })
      .def("open_conversation",
           [](const Engine& self, const Queue& queue, std::uint64_t token, py::handle org_id, py::handle client_id) {
             auto org = to_text(org_id, "org_id");
             auto client = to_text(client_id, "client_id");
             require_none(find_problem_of_host_id("org_id", org));
             require_none(find_problem_of_host_id("client_id", client));
             self.running().async_open_conversation(std::move(org), std::move(client), Answer(queue, token));
           })
      .def("find_conversation",
           [](const Engine& self, const Queue& queue, std::uint64_t token, py::handle id) {
             const Uuid conversation = require_id(id, "conversation_id");
             self.running().async_find_conversation(conversation, Answer(queue, token));
           })
      .def("list_conversations",
           [](const Engine& self, const Queue& queue, std::uint64_t token, py::handle org_id, py::handle text,
              py::handle client_ids) {
             ConversationQuery query{to_text(org_id, "org_id"), to_optional_text(text, "text"),
                                     to_texts(client_ids, "client_ids")};
             require_none(find_problem(query));
             self.running().async_list_conversations(std::move(query), Answer(queue, token));
           })
      .def("count_unread",
           [](const Engine& self, const Queue& queue, std::uint64_t token, py::handle org_id) {
             auto org = to_text(org_id, "org_id");
             self.running().async_count_unread(std::move(org), Answer(queue, token));
           })
      .def("send",
           [](const Engine& self, const Queue& queue, std::uint64_t token, py::handle sender, const py::dict& given) {
             auto who = to_participant(sender);
             Draft draft = to_draft(given);
             require_none(find_problem(who), "sender");
             require_none(find_problem(draft));
             self.running().async_send(std::move(who), std::move(draft), Answer(queue, token));
           })
      .def("list_messages",
           [](const Engine& self, const Queue& queue, std::uint64_t token, py::handle reader,
              py::handle conversation_id, py::handle before, py::handle since, py::handle limit, py::handle epoch) {
             auto who = to_participant(reader);
             MessageQuery query{require_id(conversation_id, "conversation_id"), to_optional_count(before, "before"),
                                to_optional_count(since, "since"), to_count(limit, "limit"), to_optional_epoch(epoch)};
             require_none(find_problem(query));
             self.running().async_list_messages(std::move(who), std::move(query), Answer(queue, token));
           })
      .def("react",
           [](const Engine& self, const Queue& queue, std::uint64_t token, py::handle reactor,
              py::handle conversation_id, py::handle message_id, py::handle emoji) {
             const auto known = parse_emoji(to_text(emoji, "emoji"));
             if (!known) throw Failure{errc::invalid_emoji};
             auto who = to_participant(reactor);
             const Uuid conversation = require_id(conversation_id, "conversation_id");
             const Uuid message = require_id(message_id, "message_id");
             require_none(find_problem(who), "reactor");
             self.running().async_react(std::move(who), conversation, message, *known, Answer(queue, token));
           })
      .def("unreact",
           [](const Engine& self, const Queue& queue, std::uint64_t token, py::handle reactor,
              py::handle conversation_id, py::handle message_id) {
             auto who = to_participant(reactor);
             const Uuid conversation = require_id(conversation_id, "conversation_id");
             const Uuid message = require_id(message_id, "message_id");
             require_none(find_problem(who), "reactor");
             self.running().async_unreact(std::move(who), conversation, message, Answer(queue, token));
           })
      .def("mark",
           [](const Engine& self, const Queue& queue, std::uint64_t token, py::handle viewer,
              py::handle conversation_id) {
             auto who = to_participant(viewer);
             const Uuid conversation = require_id(conversation_id, "conversation_id");
             require_none(find_problem(who), "viewer");
             self.running().async_mark(std::move(who), conversation, Answer(queue, token));
           })
      .def("issue_token",
           [](const Engine& self, const Queue& queue, std::uint64_t token, py::handle org_id, py::handle client_id,
              py::handle trip_id, py::handle conversation_id, py::handle share_token) {
             TokenGrant grant{
                 to_text(org_id, "org_id"), to_text(client_id, "client_id"), to_text(trip_id, "trip_id"),
                 require_id(conversation_id, "conversation_id"),
                 share_token.is_none() ? std::nullopt : std::optional(to_well_formed(share_token, "share_token"))};
             require_none(find_problem(grant));
             self.running().async_issue_token(std::move(grant), Answer(queue, token));
           })
      .def("authenticate_token",
           [](const Engine& self, const Queue& queue, std::uint64_t token, py::handle chat_token) {
             auto secret = to_text(chat_token, "chat_token");
             self.running().async_authenticate_token(std::move(secret), Answer(queue, token));
           })
      .def("revoke_token",
           [](const Engine& self, const Queue& queue, std::uint64_t token, py::handle chat_token) {
             auto secret = to_text(chat_token, "chat_token");
             self.running().async_revoke_token(std::move(secret), Answer(queue, token));
           })
      .def("revoke_tokens",
           [](const Engine& self, const Queue& queue, std::uint64_t token, py::handle org_id, py::handle client_id,
              py::handle trip_id) {
             TokenFilter filter{to_text(org_id, "org_id"), to_optional_text(client_id, "client_id"),
                                to_optional_text(trip_id, "trip_id")};
             require_none(find_problem(filter));
             self.running().async_revoke_tokens(std::move(filter), Answer(queue, token));
           })
      .def("end_session",
           [](const Engine& self, py::handle session_id) {
             self.running().end_session(to_well_formed(session_id, "session_id"));
           })
      .def("sweep_tokens", [](const Engine& self, const Queue& queue,
                              std::uint64_t token) { self.running().async_sweep_tokens(Answer(queue, token)); })
      .def("prune_changes", [](const Engine& self, const Queue& queue,
                               std::uint64_t token) { self.running().async_prune_changes(Answer(queue, token)); })
      .def("begin_epoch", [](const Engine& self, const Queue& queue,
                             std::uint64_t token) { self.running().async_begin_epoch(Answer(queue, token)); })
      .def("ping", [](const Engine& self, const Queue& queue,
                      std::uint64_t token) { self.running().async_ping(Answer(queue, token)); })
      .def("subscribe", &subscribe)
      .def("subscribe_inbox", [](const Engine& self, const Queue& queue, std::uint64_t token,
                                 const std::shared_ptr<Feed>& feed, py::handle org_id) {
        auto org = to_text(org_id, "org_id");
        self.running().async_subscribe_inbox(std::move(org), feed, Answer(queue, token));
      });
}

}  // namespace travelchat::python
