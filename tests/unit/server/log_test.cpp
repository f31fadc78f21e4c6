// What an engine and a server tell their logs.
#include <travelchat/beast_server.hpp>
#include <travelchat/engine.hpp>
#include <travelchat/memory_storage.hpp>

#include "catch.hpp"
#include "use_future.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace travelchat::server {
namespace {

using test::get;
using test::use_future;

constexpr std::chrono::seconds patience{20};

struct Told {
  LogLevel level;
  std::string event;
  std::string subject;
  std::string detail;
  friend bool operator==(const Told&, const Told&) = default;
};

std::ostream& operator<<(std::ostream& out, const Told& line) {
  return out << line.event << ": " << line.subject << ": " << line.detail;
}

class TestLog {
 public:
  Log sink() {
    return [this](const LogRecord& record) {
      const std::scoped_lock lock(mutex_);
      lines_.push_back(
          {record.level, std::string(record.event), std::string(record.subject), std::string(record.detail)});
      changed_.notify_all();
    };
  }
  std::vector<Told> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, patience, [&] { return lines_.size() >= count; }));
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Told> lines_;
};

// Everybody is Ada, until something else is asked for.
class Moody final : public Host {
 public:
  enum class Mood { good, throws, throws_a_number, drops, keeps };

  void authenticate(RequestCredentials, Reply<std::optional<Advisor>> reply) override {
    switch (mood) {
      case Mood::good:
        return reply(Advisor{"org", "ada", "Ada", {}, {}, false});
      case Mood::throws:
        throw std::runtime_error("no database");
      case Mood::throws_a_number:
        throw 7;
      case Mood::drops:
        return;
      case Mood::keeps:
        kept.push_back(std::move(reply));
    }
  }
  void find_trip(std::string, Reply<std::optional<SharedTrip>> reply) override { reply(std::optional<SharedTrip>()); }
  void find_clients(std::string, std::vector<std::string>, Reply<std::vector<ClientCard>> reply) override {
    reply(std::vector<ClientCard>());
  }
  void search_clients(std::string, std::string, Reply<std::vector<std::string>> reply) override {
    reply(std::vector<std::string>());
  }
  void notify(PushNotification) override { throw std::runtime_error("no push service"); }

  std::atomic<Mood> mood{Mood::good};
  std::vector<Reply<std::optional<Advisor>>> kept;
};

// A storage that answers with another library's errors when it is told to.
class Foreign final : public Storage {
 public:
  error_code commit(std::span<const Write> writes, std::vector<result<Written>>& results) override {
    return inner->commit(writes, results);
  }
  result<std::optional<Conversation>> find_conversation(const Uuid& id) override {
    if (fails) return boost::system::errc::make_error_code(boost::system::errc::permission_denied);
    return inner->find_conversation(id);
  }
  result<std::vector<ConversationSummary>> list_conversations(const ConversationQuery& query) override {
    return inner->list_conversations(query);
  }
  result<MessagePage> list_messages(const MessageQuery& query) override { return inner->list_messages(query); }
  result<ChangeList> list_changes(const Uuid& id, std::uint64_t since, std::size_t limit) override {
    return inner->list_changes(id, since, limit);
  }
  result<Revisions> list_revisions(const RevisionQuery& query) override { return inner->list_revisions(query); }
  result<std::uint64_t> count_unread(const std::string& org_id) override { return inner->count_unread(org_id); }
  result<std::optional<TokenClaims>> find_token(const Sha256Digest& digest, TimePoint now) override {
    if (fails) return boost::system::errc::make_error_code(boost::system::errc::permission_denied);
    return inner->find_token(digest, now);
  }
  error_code ping() override { return inner->ping(); }

  std::unique_ptr<Storage> inner = make_memory_storage();
  std::atomic<bool> fails{false};
};

BeastServerOptions silent(Log log = {}) {
  BeastServerOptions options;
  options.listens = false;
  options.rate_limits = RateLimits::off();
  options.log = std::move(log);
  return options;
}

HttpRequest request_of(std::string method, std::string target) {
  HttpRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.headers = {{"host", "example.org"}};
  return request;
}

int ask(BeastServer& server, HttpRequest request) {
  std::promise<int> status;
  server.handle(std::move(request), [&](const HttpResponse& response) { status.set_value(response.status); });
  return get(status.get_future());
}

HttpRequest socket_request(std::string target, std::string subprotocols = {}) {
  HttpRequest request = request_of("GET", std::move(target));
  request.headers = {{"host", "example.org"},
                     {"upgrade", "websocket"},
                     {"connection", "Upgrade"},
                     {"sec-websocket-version", "13"},
                     {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="}};
  if (!subprotocols.empty()) request.headers.emplace_back("sec-websocket-protocol", std::move(subprotocols));
  return request;
}

// A peer that is closed, and says with what.
class Ending final : public ExternalConnection {
 public:
  void accept(std::string_view) noexcept override {}
  void send(TextBatch batch) noexcept override {
    if (!std::exchange(has_heard_, true)) heard_.set_value(batch.memory->size());
  }
  void close(std::uint16_t code, std::string_view) noexcept override { code_.set_value(code); }
  std::size_t wait_for_text() { return get(heard_.get_future()); }
  std::uint16_t wait_for_code() { return get(code_.get_future()); }

 private:
  bool has_heard_ = false;
  std::promise<std::size_t> heard_;
  std::promise<std::uint16_t> code_;
};

}  // namespace

TEST_CASE("what a function of the host throws is a 500 of which the log hears") {
  TestLog lines;
  Moody host;
  ChatEngine engine(make_memory_storage(), EngineOptions{.shards = 1});
  BeastServerOptions options = silent(lines.sink());
  options.host_timeout = std::chrono::milliseconds{50};
  BeastServer server(engine, host, std::move(options));
  REQUIRE_FALSE(server.start());
  const HttpRequest list = request_of("GET", "/api/conversations");

  CHECK(ask(server, list) == 200);
  host.mood = Moody::Mood::throws;
  CHECK(ask(server, list) == 500);
  CHECK(lines.wait_for(1).back() == Told{LogLevel::error, "host_threw", "authenticate", "no database"});
  host.mood = Moody::Mood::throws_a_number;
  CHECK(ask(server, list) == 500);
  CHECK(lines.wait_for(2).back().detail == "what was thrown is no std::exception");
  host.mood = Moody::Mood::drops;
  CHECK(ask(server, list) == 500);
  CHECK(lines.wait_for(3).back() == Told{LogLevel::error, "host_dropped", "authenticate", ""});
  host.mood = Moody::Mood::keeps;
  CHECK(ask(server, list) == 503);
  CHECK(lines.wait_for(4).back() == Told{LogLevel::error, "host_silent", "authenticate", ""});
  host.mood = Moody::Mood::good;
  CHECK(ask(server, list) == 200);
  CHECK(lines.wait_for(4).size() == 4);
}

TEST_CASE("what a handler of one's own throws is a 500 of which the log hears, by its method and path") {
  TestLog lines;
  Moody host;
  ChatEngine engine(make_memory_storage(), EngineOptions{.shards = 1, .log = lines.sink()});
  // Without a log of its own a server tells the engine's.
  BeastServer server(engine, host, silent());
  server.route("POST", "/bookings/:id",
               [](const HttpRequest&, const HttpRespond&) -> void { throw std::logic_error("no such booking"); });
  server.fallback([](const HttpRequest&, const HttpRespond&) -> void { throw std::logic_error("no such file"); });
  REQUIRE_FALSE(server.start());
  CHECK(ask(server, request_of("POST", "/bookings/7?secret=1")) == 500);
  CHECK(lines.wait_for(1).back() == Told{LogLevel::error, "host_threw", "POST /bookings/7", "no such booking"});
  CHECK(ask(server, request_of("GET", "/favicon.ico")) == 500);
  CHECK(lines.wait_for(2).back() == Told{LogLevel::error, "host_threw", "GET /favicon.ico", "no such file"});
}

TEST_CASE("a notification that throws costs the message nothing, and the log hears of it") {
  TestLog lines;
  Moody host;
  ChatEngine engine(make_memory_storage(), EngineOptions{.shards = 1});
  const auto conversation = get(engine.async_open_conversation("org", "carl", use_future)).value();
  const auto token =
      get(engine.async_issue_token(TokenGrant{"org", "carl", "trip", conversation.id}, use_future)).value().token;
  BeastServer server(engine, host, silent(lines.sink()));
  REQUIRE_FALSE(server.start());
  HttpRequest request = request_of("POST", "/api/conversations/" + to_string(conversation.id) + "/messages/client");
  request.headers.emplace_back("authorization", "Bearer " + token);
  request.headers.emplace_back("content-type", "application/json");
  request.body = R"({"content":"the secret of Carl"})";
  CHECK(ask(server, std::move(request)) == 201);
  CHECK(lines.wait_for(1) == std::vector{Told{LogLevel::error, "host_threw", "notify", "no push service"}});
}

TEST_CASE("logs that throw cost nobody anything") {
  Moody host;
  ChatEngine engine(make_memory_storage(), EngineOptions{.shards = 1});
  std::atomic<int> told{0};
  BeastServer server(engine, host, silent([&](const LogRecord&) {
                       ++told;
                       throw std::runtime_error("no log either");
                     }));
  server.access_log([](const AccessRecord&) { throw std::runtime_error("nor an access log"); });
  REQUIRE_FALSE(server.start());
  host.mood = Moody::Mood::throws;
  CHECK(ask(server, request_of("GET", "/api/conversations")) == 500);
  host.mood = Moody::Mood::good;
  CHECK(ask(server, request_of("GET", "/api/conversations")) == 200);
  // Of the host, and of the access log twice.
  CHECK(told == 3);
}

TEST_CASE("an error of another library's is none of ours, whatever its number") {
  TestLog lines;
  auto made = std::make_unique<Foreign>();
  Foreign& storage = *made;
  Moody host;
  ChatEngine engine(std::move(made), EngineOptions{.shards = 1, .log = lines.sink()});
  const auto conversation = get(engine.async_open_conversation("org", "carl", use_future)).value();
  BeastServer server(engine, host, silent());
  REQUIRE_FALSE(server.start());
  storage.fails = true;
  const std::string base = "/ws/chat?conversationId=" + to_string(conversation.id);
  const std::string token(64, 'a');
  for (const HttpRequest& request : {socket_request(base + "&userType=advisor&userId=ada"),
                                     socket_request(base + "&userType=client&userId=carl", "auth." + token),
                                     socket_request("/ws/inbox?chatToken=" + token)}) {
    INFO(request.target);
    const auto external = std::make_shared<Ending>();
    const ExternalSocket socket = server.open_socket(request, external);
    CHECK(external->wait_for_code() == describe(errc::internal).close_code);
  }
  for (const Told& line : lines.wait_for(3)) CHECK(line == Told{LogLevel::error, "storage_failed", "read", "internal"});
}

TEST_CASE("the access log hears of a WebSocket once it is over, with the code that closed it") {
  struct Entry {
    std::string method;
    std::string path;
    int status;
    std::size_t bytes;
    std::string remote_address;
    std::uint16_t close_code;
  };
  Moody host;
  ChatEngine engine(make_memory_storage(), EngineOptions{.shards = 1});
  const auto conversation = get(engine.async_open_conversation("org", "carl", use_future)).value();
  BeastServer server(engine, host, silent());
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Entry> entries;
  server.access_log([&](const AccessRecord& record) {
    const std::scoped_lock lock(mutex);
    entries.push_back({std::string(record.method), std::string(record.path), record.status, record.bytes,
                       std::string(record.remote_address), record.close_code});
    changed.notify_all();
  });
  const auto wait_for = [&](std::size_t count) {
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, patience, [&] { return entries.size() >= count; }));
    return entries.back();
  };
  REQUIRE_FALSE(server.start());

  HttpRequest request =
      socket_request("/ws/chat?conversationId=" + to_string(conversation.id) + "&userType=advisor&userId=ada");
  request.remote_address = "203.0.113.9";
  const auto open = std::make_shared<Ending>();
  ExternalSocket socket = server.open_socket(request, open);
  const std::size_t sent = open->wait_for_text();
  {
    const std::scoped_lock lock(mutex);
    CHECK(entries.empty());
  }
  socket = {};
  Entry entry = wait_for(1);
  CHECK(entry.method == "GET");
  CHECK(entry.path == "/ws/chat");
  CHECK(entry.status == 101);
  CHECK(entry.bytes == sent);
  CHECK(entry.remote_address == "203.0.113.9");
  CHECK(entry.close_code == 1006);

  request.target = "/ws/chat?conversationId=" + to_string(conversation.id) + "&userType=advisor&userId=somebody";
  const auto refused = std::make_shared<Ending>();
  const ExternalSocket second = server.open_socket(request, refused);
  CHECK(refused->wait_for_code() == 4403);
  CHECK(wait_for(2).close_code == 4403);

  const auto inbox = std::make_shared<Ending>();
  const ExternalSocket third = server.open_socket(socket_request("/ws/inbox"), inbox);
  CHECK(ask(server, request_of("GET", "/livez")) == 200);
  entry = wait_for(3);
  CHECK(entry.path == "/livez");
  CHECK(entry.close_code == 0);
  server.stop();
  entry = wait_for(4);
  CHECK(entry.path == "/ws/inbox");
  CHECK(entry.close_code == 1012);
}

}  // namespace travelchat::server
