// Requests and sockets that somebody else has received: the same answers as on a connection of the server's own.
#include <travelchat/beast_server.hpp>
#include <travelchat/memory_storage.hpp>

#include "catch.hpp"
#include "use_future.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <any>
#include <array>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace travelchat;
using test::get;
using test::use_future;

namespace {

constexpr auto patience = std::chrono::seconds{20};

// One organization with one client, one advisor and one shared trip.
class Agency final : public Host {
 public:
  void authenticate(RequestCredentials credentials, Reply<std::optional<Advisor>> reply) override {
    std::unique_lock lock(mutex_);
    contexts.push_back(credentials.context);
    if (holds_) {
      held_.push_back(std::move(reply));
      changed_.notify_all();
      return;
    }
    lock.unlock();
    reply(advisor_of(credentials));
  }
  void find_trip(std::string, Reply<std::optional<SharedTrip>> reply) override {
    if (keep(reply)) return;
    std::unique_lock lock(mutex_);
    ++trips_asked;
    changed_.notify_all();
    const auto answer = trip_;
    lock.unlock();
    reply(answer);
  }
  void check_sessions(std::vector<std::string> ids, Reply<std::vector<std::string>> reply) override {
    std::unique_lock lock(mutex_);
    ++sessions_asked;
    changed_.notify_all();
    const auto answer = sessions_;
    lock.unlock();
    if (!answer) return reply(errc::internal);
    std::erase_if(ids, [&](const std::string& id) { return std::ranges::find(*answer, id) == answer->end(); });
    reply(std::move(ids));
  }

  // What the host says from now on; nullopt of a trip: there is none. An error: it cannot say.
  void say_of_trip(result<std::optional<SharedTrip>> answer) {
    const std::scoped_lock lock(mutex_);
    trip_ = std::move(answer);
  }
  // nullopt: it cannot say.
  void say_of_sessions(std::optional<std::vector<std::string>> live) {
    const std::scoped_lock lock(mutex_);
    sessions_ = std::move(live);
  }
  // Until it was asked so often more, and has answered all but the last of them.
  void wait_for_questions(int Agency::*count, int more) {
    std::unique_lock lock(mutex_);
    const int before = this->*count;
    REQUIRE(changed_.wait_for(lock, patience, [&] { return this->*count > before + more; }));
  }
  int trips_asked = 0;
  int sessions_asked = 0;
  void find_clients(std::string, std::vector<std::string>, Reply<std::vector<ClientCard>> reply) override {
    if (!keep(reply)) reply(std::vector{ClientCard{"carl", "Carl", {}, {}}});
  }
  void search_clients(std::string, std::string, Reply<std::vector<std::string>> reply) override {
    if (!keep(reply)) reply(std::vector<std::string>{});
  }
  void notify(PushNotification) override {}

  static std::optional<Advisor> advisor_of(const RequestCredentials& credentials) {
    const bool by_cookie = credentials.cookie == "session=ada";
    if (!by_cookie && credentials.authorization != "Bearer a.d.a") return std::nullopt;
    return Advisor{"org", "ada", "Ada", {}, {}, by_cookie, "session-of-ada"};
  }

  // From now on nobody is told who they are.
  void hold() {
    const std::scoped_lock lock(mutex_);
    holds_ = true;
  }
  Reply<std::optional<Advisor>> wait_for_held() {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, patience, [&] { return !held_.empty(); }));
    return held_.front();
  }
  // Once the server does not need them any more.
  void forget_held() {
    const std::scoped_lock lock(mutex_);
    held_.clear();
    kept_.clear();
  }
  // From now on it says who somebody is, and nothing else.
  void say_nothing_else() {
    const std::scoped_lock lock(mutex_);
    says_nothing_else_ = true;
  }

  std::vector<std::shared_ptr<void>> contexts;

 private:
  bool keep(std::any reply) {
    const std::scoped_lock lock(mutex_);
    if (says_nothing_else_) kept_.push_back(std::move(reply));
    return says_nothing_else_;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Reply<std::optional<Advisor>>> held_;
  std::vector<std::any> kept_;
  result<std::optional<SharedTrip>> trip_ = std::optional<SharedTrip>();
  std::optional<std::vector<std::string>> sessions_ = std::vector<std::string>{"session-of-ada"};
  bool holds_ = false;
  bool says_nothing_else_ = false;
};

SharedTrip shared_by(std::string share_token) {
  SharedTrip trip;
  trip.id = "trip";
  trip.org_id = "org";
  trip.client_id = "carl";
  trip.share_enabled = true;
  trip.share_token = std::move(share_token);
  return trip;
}

BeastServerOptions silent(BeastServerOptions options = {}) {
  options.listens = false;
  options.rate_limits = RateLimits::off();
  return options;
}

HttpRequest request_of(std::string method, std::string target) {
  HttpRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.headers = {{"host", "example.org"}};
  return request;
}

struct Fixture {
  explicit Fixture(BeastServerOptions options = silent(), const std::function<void(BeastServer&)>& prepare = {})
      : server(engine, host, std::move(options)) {
    if (prepare) prepare(server);
    conversation = get(engine.async_open_conversation("org", "carl", use_future)).value();
    token = get(engine.async_issue_token(TokenGrant{"org", "carl", "trip", conversation.id}, use_future)).value().token;
    REQUIRE_FALSE(server.start());
  }

  HttpResponse ask(HttpRequest request) {
    auto promise = std::make_shared<std::promise<HttpResponse>>();
    auto answer = promise->get_future();
    server.handle(std::move(request), [promise](HttpResponse response) { promise->set_value(std::move(response)); });
    return get(std::move(answer));
  }

  Sent send(Participant sender, std::string content) {
    Draft draft;
    draft.conversation_id = conversation.id;
    draft.content = std::move(content);
    return get(engine.async_send(std::move(sender), std::move(draft), use_future)).value();
  }

  MessagePage page() {
    MessageQuery query;
    query.conversation_id = conversation.id;
    return get(engine.async_list_messages(Participant{"org", Role::advisor, "ada", "Ada"}, query, use_future)).value();
  }
  std::string epoch() { return to_string(page().epoch.value()); }

  std::string chat_target(std::string_view role, std::string_view user, std::string_view more = {}) const {
    return "/ws/chat?conversationId=" + to_string(conversation.id) + "&userType=" + std::string(role) +
           "&userId=" + std::string(user) + std::string(more);
  }
  // As a client, with the token among the subprotocols.
  HttpRequest client_socket(std::string_view more = {}) const {
    return socket_request(chat_target("client", "carl", more), "travelchat.v1, auth." + token);
  }
  static HttpRequest socket_request(std::string target, std::string subprotocols = {}) {
    HttpRequest request = request_of("GET", std::move(target));
    request.headers = {{"host", "example.org"},
                       {"upgrade", "websocket"},
                       {"connection", "Upgrade"},
                       {"sec-websocket-version", "13"},
                       {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="}};
    if (!subprotocols.empty()) request.headers.emplace_back("sec-websocket-protocol", std::move(subprotocols));
    return request;
  }

  Agency host;
  std::unique_ptr<Storage> made = make_memory_storage();
  Storage* storage = made.get();  // the engine's; it takes calls of any thread
  ChatEngine engine{std::move(made), EngineOptions{.shards = 2}};
  BeastServer server;
  Conversation conversation;
  std::string token;
};

const Participant ada{"org", Role::advisor, "ada", "Ada"};

// ---- A peer on bytes ----

class Peer {
 public:
  explicit Peer(int descriptor) : fd_(descriptor) {}
  Peer(Peer&& other) noexcept : fd_(std::exchange(other.fd_, -1)), in_(std::move(other.in_)) {}
  Peer& operator=(Peer&&) = delete;
  ~Peer() {
    if (fd_ >= 0) ::close(fd_);
  }

  // A loopback connection to `port`.
  static Peer connect(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    ::sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<const ::sockaddr*>(&address), sizeof(address)) == 0);
    return Peer(fd);
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      REQUIRE(n > 0);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  // Up to and with `end`; everything when the stream ends first.
  std::string read_until(std::string_view end) {
    std::size_t at = 0;
    while ((at = in_.find(end)) == in_.npos) {
      if (!fill()) return std::exchange(in_, {});
    }
    return take(at + end.size());
  }
  std::string read(std::size_t size) {
    while (in_.size() < size) {
      if (!fill()) return std::exchange(in_, {});
    }
    return take(size);
  }
  bool ended() {
    while (in_.empty()) {
      if (!fill()) return true;
    }
    return false;
  }

  struct Frame {
    int opcode = 0;
    std::string payload;
    std::uint16_t close_code() const {
      return static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 |
                                        static_cast<unsigned char>(payload[1]));
    }
  };
  Frame read_frame() {
    const std::string head = read(2);
    REQUIRE(head.size() == 2);
    std::size_t size = static_cast<unsigned char>(head[1]);
    if (size == 126) {
      const std::string more = read(2);
      size = static_cast<std::size_t>(static_cast<unsigned char>(more[0])) << 8 | static_cast<unsigned char>(more[1]);
    }
    return {head[0] & 0x0F, read(size)};
  }

 private:
  bool fill() {
    ::pollfd wait{fd_, POLLIN, 0};
    REQUIRE(::poll(&wait, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) == 1);
    std::array<char, 4096> bytes;
    const auto n = ::recv(fd_, bytes.data(), bytes.size(), 0);
    if (n <= 0) return false;
    in_.append(bytes.data(), static_cast<std::size_t>(n));
    return true;
  }
  std::string take(std::size_t size) {
    std::string taken = in_.substr(0, size);
    in_.erase(0, size);
    return taken;
  }

  int fd_;
  std::string in_;
};

// The two ends of a connection: one for the server to adopt.
std::pair<int, Peer> connection() {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
  return {ends[0], Peer(ends[1])};
}

// A client's text frame, with a mask that changes nothing.
std::string masked(std::string_view text) {
  std::string frame = "\x81";
  frame.push_back(static_cast<char>(0x80 | text.size()));
  frame.append(4, '\0');
  frame.append(text);
  return frame;
}

// ---- An external connection ----

class Recorder final : public ExternalConnection {
 public:
  void accept(std::string_view chosen) noexcept override {
    const std::scoped_lock lock(mutex_);
    ++accepted;
    subprotocol = std::string(chosen);
    changed_.notify_all();
  }
  void send(TextBatch batch) noexcept override {
    const std::scoped_lock lock(mutex_);
    ++batches;
    for (const std::string_view text : batch.texts) texts.emplace_back(text);
    changed_.notify_all();
  }
  void close(std::uint16_t with, std::string_view why) noexcept override {
    const std::scoped_lock lock(mutex_);
    code = with;
    reason = std::string(why);
    changed_.notify_all();
  }

  std::string text(std::size_t index) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, patience, [&] { return texts.size() > index; }));
    return texts[index];
  }
  std::uint16_t wait_for_close() {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, patience, [&] { return code.has_value(); }));
    return *code;
  }

  int accepted = 0;
  std::size_t batches = 0;
  std::string subprotocol;
  std::vector<std::string> texts;
  std::optional<std::uint16_t> code;
  std::string reason;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

using Headers = std::map<std::string, std::string>;

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Without what belongs to a connection.
Headers headers_of(std::string_view lines) {
  Headers headers;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find("\r\n"));
    lines.remove_prefix(std::min(lines.size(), line.size() + 2));
    const std::size_t colon = line.find(':');
    if (colon != line.npos) headers[lower_case(std::string(line.substr(0, colon)))] = line.substr(colon + 2);
  }
  for (const char* name : {"date", "connection", "content-length"}) headers.erase(name);
  return headers;
}

}  // namespace

// ---- Requests ----

TEST_CASE("a request that somebody else received is answered as one on a connection") {
  BeastServerOptions options = silent();
  options.listens = true;
  options.port = 0;
  options.allowed_origins = {"https://widget.example"};
  Fixture fixture(options);
  const std::string base = "/api/conversations/" + to_string(fixture.conversation.id);
  fixture.send(ada, "Hello");

  struct Case {
    const char* method;
    std::string target;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    int status;
  };
  const std::pair<std::string, std::string> bearer{"authorization", "Bearer a.d.a"};
  const std::pair<std::string, std::string> cookie{"cookie", "session=ada"};
  const std::pair<std::string, std::string> json{"content-type", "application/json"};
  const std::pair<std::string, std::string> widget{"origin", "https://widget.example"};
  const std::string body = R"({"content":"Hi","clientMessageId":"1"})";
  const std::vector<Case> cases = {
      {"GET", "/api/conversations", {}, {}, 401},
      {"GET", "/api/conversations", {bearer}, {}, 200},
      {"HEAD", "/api/conversations", {bearer}, {}, 200},
      {"GET", base + "/messages?limit=1", {bearer}, {}, 200},
      {"GET", base + "/messages?limit=1&limit=2", {bearer}, {}, 400},
      {"GET", base + "/messages?limit=0", {bearer}, {}, 400},
      {"POST", base + "/messages", {bearer, json}, body, 201},
      {"POST", base + "/messages", {bearer, json}, body, 200},
      {"POST", base + "/messages", {bearer, json}, R"({"content":)", 400},
      {"POST", base + "/messages", {bearer, {"content-type", "text/plain"}}, body, 415},
      {"POST", base + "/messages", {bearer, json}, std::string(default_max_body_bytes + 1, 'x'), 413},
      {"POST", base + "/messages", {cookie, json, {"origin", "https://evil.example"}}, body, 403},
      {"POST", base + "/messages", {cookie, json, {"sec-fetch-site", "cross-site"}}, body, 403},
      {"POST", base + "/messages", {cookie, json, {"origin", "http://example.org"}}, body, 200},
      {"GET", base + "/messages", {{"authorization", "Bearer " + fixture.token}, widget}, {}, 200},
      {"OPTIONS", base + "/messages/client", {widget, {"access-control-request-method", "POST"}}, {}, 204},
      {"PATCH", base + "/messages", {bearer}, {}, 405},
      {"GET", "/api/unheard-of", {}, {}, 404},
      {"GET", "/api/conversations/..%2f/x", {}, {}, 400},
      {"GET", "/api/conversations", {bearer, {"x-long", std::string(8 * 1024, 'x')}}, {}, 431},
      {"GET", "/ws/chat", {}, {}, 426},
      {"GET", "/readyz", {}, {}, 200},
  };
  for (const Case& c : cases) {
    INFO(c.method << ' ' << c.target << ", " << c.status);
    std::string bytes = std::string(c.method) + ' ' + c.target + " HTTP/1.1\r\nHost: example.org\r\n";
    HttpRequest request = request_of(c.method, c.target);
    for (const auto& field : c.headers) {
      bytes += field.first + ": " + field.second + "\r\n";
      request.headers.push_back(field);
    }
    if (!c.body.empty()) bytes += "Content-Length: " + std::to_string(c.body.size()) + "\r\n";
    request.body = c.body;

    // A repeat (200) must find the message: what creates it (201) is handed over second.
    HttpResponse handed;
    if (c.status != 201) handed = fixture.ask(request);
    Peer peer = Peer::connect(fixture.server.port());
    peer.write(bytes + "\r\n" + c.body);
    const std::string head = peer.read_until("\r\n\r\n");
    CHECK(head.substr(9, 3) == std::to_string(c.status));
    if (c.status == 201) continue;
    CHECK(handed.status == c.status);
    std::string lines;
    for (const auto& [name, value] : handed.headers) lines += name + ": " + value + "\r\n";
    CHECK(headers_of(lines) == headers_of(head.substr(head.find("\r\n") + 2)));
    if (std::string_view(c.method) != "HEAD") CHECK(handed.body == peer.read(handed.body.size()));
  }
}

TEST_CASE("a handed request whose body is declared too long is refused without it") {
  Fixture fixture;
  HttpRequest request = request_of("POST", "/api/conversations");
  const std::string too_long = std::to_string(default_max_body_bytes + 1);
  for (auto field : {std::pair("authorization", "Bearer a.d.a"), std::pair("content-type", "application/json"),
                     std::pair("content-length", too_long.c_str())}) {
    request.headers.emplace_back(field);
  }
  CHECK(fixture.ask(std::move(request)).status == 413);
}

TEST_CASE("a handed request that does not say once which host it means is refused") {
  Fixture fixture;
  HttpRequest request = request_of("GET", "/livez");
  CHECK(fixture.ask(request).status == 200);
  request.headers.emplace_back("host", "example.org");
  CHECK(fixture.ask(request).status == 400);
  request.headers.clear();
  CHECK(fixture.ask(request).status == 400);
}

TEST_CASE("a handed request that says twice what may be said once is refused") {
  Fixture fixture;
  const std::pair<const char*, std::pair<const char*, const char*>> cases[] = {
      {"authorization", {"Bearer a.d.a", "Bearer x"}},   {"origin", {"http://example.org", "http://evil.example"}},
      {"sec-fetch-site", {"same-origin", "cross-site"}}, {"content-type", {"application/json", "text/plain"}},
      {"content-encoding", {"identity", "gzip"}},
  };
  for (const auto& [name, values] : cases) {
    CAPTURE(name);
    HttpRequest request = request_of("GET", "/livez");
    request.headers.emplace_back(name, values.first);
    CHECK(fixture.ask(request).status == 200);
    request.headers.emplace_back(name, values.second);
    CHECK(fixture.ask(request).status == 400);
    HttpRequest socket = fixture.client_socket();
    socket.headers.emplace_back(name, values.first);
    socket.headers.emplace_back(name, values.second);
    auto external = std::make_shared<Recorder>();
    const ExternalSocket opened = fixture.server.open_socket(socket, external);
    CHECK(external->wait_for_close() == 4400);
  }
  HttpRequest two_hosts = fixture.client_socket();
  two_hosts.headers.emplace_back("host", "evil.example");
  auto external = std::make_shared<Recorder>();
  const ExternalSocket opened = fixture.server.open_socket(two_hosts, external);
  CHECK(external->wait_for_close() == 4400);
}

TEST_CASE("cookies in several lines are one header for the host, as they are for the chat") {
  std::promise<std::string> heard;
  Fixture fixture(silent(), [&](BeastServer& server) {
    server.fallback([&](const HttpRequest& request, const HttpRespond& respond) {
      heard.set_value(std::string(request.header("cookie")));
      respond({});
    });
  });
  HttpRequest request = request_of("GET", "/page");
  request.headers.emplace_back("cookie", "theme=dark");
  request.headers.emplace_back("cookie", "session=ada");
  CHECK(fixture.ask(request).status == 200);
  CHECK(get(heard.get_future()) == "theme=dark; session=ada");
}

TEST_CASE("a trusted proxy says whether its client came by https") {
  const auto status_of = [](const char* forwarded_proto, const char* origin, bool trusts) {
    BeastServerOptions options = silent();
    if (trusts) options.trusted_proxies = {"10.0.0.7"};
    Fixture fixture(options);
    HttpRequest request = request_of("POST", "/api/conversations/" + to_string(fixture.conversation.id) + "/read");
    request.remote_address = "10.0.0.7";
    request.headers.emplace_back("cookie", "session=ada");
    request.headers.emplace_back("origin", origin);
    if (*forwarded_proto != '\0') request.headers.emplace_back("x-forwarded-proto", forwarded_proto);
    return fixture.ask(std::move(request)).status;
  };
  CHECK(status_of("https", "https://example.org", true) == 200);
  CHECK(status_of("https", "http://example.org", true) == 403);
  CHECK(status_of("https, http", "http://example.org", true) == 403);
  CHECK(status_of("http, https", "http://example.org", true) == 403);
  CHECK(status_of("http, http", "http://example.org", true) == 200);
  CHECK(status_of("http", "http://example.org", true) == 200);
  CHECK(status_of("", "http://example.org", true) == 200);
  // Nobody else can say so.
  CHECK(status_of("https", "http://example.org", false) == 200);
}

TEST_CASE("a handed request is its client's, of whom a trusted proxy tells") {
  Agency host;
  ChatEngine engine(make_memory_storage(), EngineOptions{.shards = 1});
  const auto logged = [&](std::vector<std::string> trusted, const char* peer = "10.0.0.7") {
    BeastServerOptions options = silent();
    options.trusted_proxies = std::move(trusted);
    BeastServer server(engine, host, std::move(options));
    std::promise<std::string> address;
    server.access_log([&](const AccessRecord& record) { address.set_value(std::string(record.remote_address)); });
    REQUIRE_FALSE(server.start());
    HttpRequest request = request_of("GET", "/livez");
    request.remote_address = peer;
    request.headers.emplace_back("x-forwarded-for", "198.51.100.1, 203.0.113.9");
    std::promise<HttpResponse> answered;
    server.handle(std::move(request), [&](HttpResponse response) { answered.set_value(std::move(response)); });
    CHECK(get(answered.get_future()).status == 200);
    return get(address.get_future());
  };
  CHECK(logged({"10.0.0.0/8"}) == "203.0.113.9");
  CHECK(logged({}) == "10.0.0.7");
  // Systems with both kinds of IP write IPv4 addresses in their IPv6 form.
  CHECK(logged({}, "::ffff:10.0.0.7") == "10.0.0.7");
  CHECK(logged({"10.0.0.0/8"}, "::ffff:10.0.0.7") == "203.0.113.9");
}

TEST_CASE("the host recognizes a handed request by its context") {
  Fixture fixture;
  const auto context = std::make_shared<int>(7);
  HttpRequest request = request_of("GET", "/api/conversations");
  request.headers.emplace_back("authorization", "Bearer a.d.a");
  request.context = context;
  CHECK(fixture.ask(std::move(request)).status == 200);
  CHECK(fixture.host.contexts.back() == context);
}

TEST_CASE("a route and the fallback of the host's answer handed requests too") {
  Agency host;
  ChatEngine engine(make_memory_storage(), EngineOptions{.shards = 1});
  BeastServer server(engine, host, silent());
  server.route("GET", "/hello/:name", [](HttpRequest request, HttpRespond respond) {
    respond({200, {{"Content-Type", "text/plain"}}, "Hello " + request.params[0] + " from " + request.target, nullptr});
  });
  server.fallback([](HttpRequest, HttpRespond respond) { respond({200, {}, "a file", nullptr}); });
  REQUIRE_FALSE(server.start());
  const auto ask = [&](std::string target) {
    std::promise<HttpResponse> promise;
    HttpRequest request = request_of("GET", std::move(target));
    server.handle(std::move(request), [&](HttpResponse response) { promise.set_value(std::move(response)); });
    return get(promise.get_future());
  };
  CHECK(ask("/hello/B%C3%A9a?x=1").body ==
        "Hello B\xC3\xA9"
        "a from /hello/B%C3%A9a?x=1");
  CHECK(ask("/logo.svg").body == "a file");
}

TEST_CASE("what would be missed is refused once the server has started") {
  Fixture fixture;
  const HttpHandler nothing = [](const HttpRequest&, const HttpRespond&) {};
  CHECK_THROWS_AS(fixture.server.route("GET", "/late", nothing), std::logic_error);
  CHECK_THROWS_AS(fixture.server.fallback(nothing), std::logic_error);
  CHECK_THROWS_AS(fixture.server.access_log([](const AccessRecord&) {}), std::logic_error);
}

TEST_CASE("the metrics are for those whom the options name") {
  struct From {
    const char* address;
    std::vector<std::pair<std::string, std::string>> headers = {};
  };
  const auto status = [](BeastServerOptions options, const From& from, const char* method = "GET") {
    Fixture fixture(std::move(options));
    HttpRequest request = request_of(method, "/metrics");
    request.remote_address = from.address;
    for (const auto& field : from.headers) request.headers.push_back(field);
    return fixture.ask(std::move(request)).status;
  };
  BeastServerOptions options = silent();
  CHECK(status(options, {"192.0.2.1"}) == 200);

  options.metrics = MetricsAccess::loopback;
  CHECK(status(options, {"127.0.0.1"}) == 200);
  CHECK(status(options, {"127.0.0.1"}, "HEAD") == 200);
  CHECK(status(options, {"::1"}) == 200);
  CHECK(status(options, {"::ffff:127.0.0.2"}) == 200);
  CHECK(status(options, {"192.0.2.1"}) == 404);
  CHECK(status(options, {""}) == 404);
  // A proxy on this machine, which nobody has named to the server.
  CHECK(status(options, {"127.0.0.1", {{"x-forwarded-for", "192.0.2.1"}}}) == 404);
  CHECK(status(options, {"127.0.0.1", {{"forwarded", "for=192.0.2.1"}}}) == 404);
  options.trusted_proxies = {"127.0.0.1", "10.0.0.0/8"};
  CHECK(status(options, {"127.0.0.1", {{"x-forwarded-for", "192.0.2.1"}}}) == 404);
  CHECK(status(options, {"10.0.0.7", {{"x-forwarded-for", "127.0.0.1"}}}) == 404);

  options = silent();
  options.metrics = MetricsAccess::token;
  options.metrics_token = "0123456789abcdef";
  CHECK(status(options, {"127.0.0.1"}) == 401);
  CHECK(status(options, {"127.0.0.1", {{"authorization", "Bearer 0123456789abcdeF"}}}) == 401);
  CHECK(status(options, {"192.0.2.1", {{"authorization", "Bearer 0123456789abcdef"}}}) == 200);

  options = silent();
  options.metrics = MetricsAccess::nobody;
  CHECK(status(options, {"127.0.0.1"}) == 404);
  CHECK(status(options, {"127.0.0.1"}, "POST") == 404);
}

TEST_CASE("a path that the chat leaves to the host is the host's") {
  BeastServerOptions options = silent();
  options.metrics = MetricsAccess::nobody;
  Fixture fixture(options, [](BeastServer& server) {
    server.route("GET", "/metrics", [](const HttpRequest&, const HttpRespond& respond) {
      respond({200, {}, "the host's", nullptr});
    });
  });
  CHECK(fixture.ask(request_of("GET", "/metrics")).body == "the host's");
}

TEST_CASE("a fallback for all methods answers writes too, but none by cookie from another origin") {
  Agency host;
  ChatEngine engine(make_memory_storage(), EngineOptions{.shards = 1});
  const auto ask = [&](BeastServer::FallbackMethods methods, std::vector<std::pair<std::string, std::string>> headers) {
    BeastServer server(engine, host, silent());
    server.fallback(
        [](HttpRequest request, HttpRespond respond) {
          respond({200, {}, request.body, nullptr});
        },
        methods);
    REQUIRE_FALSE(server.start());
    std::promise<HttpResponse> promise;
    HttpRequest request = request_of("POST", "/orders");
    request.headers = std::move(headers);
    request.body = "one";
    server.handle(std::move(request), [&](HttpResponse response) { promise.set_value(std::move(response)); });
    return get(promise.get_future());
  };
  CHECK(ask(BeastServer::FallbackMethods::all, {{"host", "lab.example"}}).body == "one");
  CHECK(ask(BeastServer::FallbackMethods::all,
            {{"host", "lab.example"}, {"cookie", "a=b"}, {"origin", "https://evil.example"}})
            .status == 403);
  CHECK(ask(BeastServer::FallbackMethods::reads, {{"host", "lab.example"}}).status == 404);
}

TEST_CASE("a router can ask which paths are the chat's") {
  for (const char* target : {"/api/conversations", "/api/conversations?q=%zz", "/api/conversations/x/messages",
                             "/api/conversations/x/messages/y/reactions/client", "/api/chat-token?tripId=1", "/ws/chat",
                             "/ws/inbox", "/metrics", "/api/conversations%00", "/api/conversations/%c0%af/messages"}) {
    CHECK(BeastServer::serves(target));
  }
  for (const char* target : {"/", "/api/trips", "/api/conversations/x", "/api/conversations/x/archive", "/ws/other",
                             "/files/%00", "", "api/conversations"}) {
    CHECK_FALSE(BeastServer::serves(target));
  }
}

TEST_CASE("a router can ask which paths are the chat's below a base path") {
  for (const char* target : {"/a/chat/api/conversations", "/a/chat/ws/inbox", "/a/chat/livez?x", "/a/ch%61t/metrics",
                             "/a/chat/api/conversations%00"}) {
    INFO(target);
    CHECK(BeastServer::serves(target, "/a/chat"));
  }
  for (const char* target : {"/api/conversations", "/ws/inbox", "/a/chat", "/a/chat/", "/a/chat/files", "/a/livez",
                             "/a/chatter/livez", "/a%2fchat/livez", "/x/a/chat/livez", "/a/chat/files/%00",
                             "/a/chatty/api/conversations%00", "/api/conversations%00"}) {
    INFO(target);
    CHECK_FALSE(BeastServer::serves(target, "/a/chat"));
  }
  CHECK_THROWS_AS(BeastServer::serves("/livez", "chat"), OptionError);
}

TEST_CASE("with a base path all that the chat has is below it, and nothing of it anywhere else") {
  BeastServerOptions options = silent();
  options.listens = true;
  options.port = 0;
  options.base_path = "/a/chat";
  options.allowed_origins = {"https://widget.example"};
  std::mutex mutex;
  std::vector<std::string> logged;
  Fixture fixture(options, [&](BeastServer& server) {
    server.access_log([&](const AccessRecord& record) {
      const std::scoped_lock lock(mutex);
      logged.emplace_back(record.path);
    });
    // The chat leaves these two to the application, whose paths are whole ones.
    server.route("GET", "/livez", [](const HttpRequest&, const HttpRespond& respond) {
      respond({200, {}, "host", {}});
    });
    server.route("GET", "/a/:what/about", [](const HttpRequest& request, const HttpRespond& respond) {
      respond({200, {}, request.path + ' ' + request.params.at(0), {}});
    });
    CHECK_THROWS_AS(server.route("GET", "/a/chat/livez", [](const HttpRequest&, const HttpRespond&) {}), OptionError);
    CHECK_THROWS_AS(server.route("GET", "/a/chat/ws/chat", [](const HttpRequest&, const HttpRespond&) {}), OptionError);
  });
  const auto ask = [&](std::string method, std::string target, std::vector<std::pair<std::string, std::string>> more) {
    HttpRequest request = request_of(std::move(method), std::move(target));
    for (auto& field : more) request.headers.push_back(std::move(field));
    return fixture.ask(std::move(request));
  };
  const std::string messages = "/api/conversations/" + to_string(fixture.conversation.id) + "/messages";
  const std::pair<std::string, std::string> bearer{"authorization", "Bearer a.d.a"};
  for (const std::string target : {"/api/conversations", "/readyz", "/metrics", "/api/messages/unread-count"}) {
    INFO(target);
    CHECK(ask("GET", "/a/chat" + target, {bearer}).status == 200);
    CHECK(ask("GET", target, {bearer}).status == 404);
    CHECK(ask("GET", "/chat" + target, {bearer}).status == 404);
  }
  CHECK(ask("GET", "/a/chat/livez", {}).body == R"({"status":"live"})");
  CHECK(ask("GET", "/livez", {}).body == "host");
  CHECK(ask("GET", "/a/chat/about", {}).body == "/a/chat/about chat");
  CHECK(ask("GET", "/a/chat", {}).status == 404);
  CHECK(ask("GET", "/a/chat" + messages + "?limit=1", {bearer}).status == 200);

  // Pages of other origins are told what is shared below it, and of nothing else.
  const std::pair<std::string, std::string> widget{"origin", "https://widget.example"};
  const std::pair<std::string, std::string> wanted{"access-control-request-method", "POST"};
  CHECK(ask("OPTIONS", "/a/chat" + messages + "/client", {widget, wanted}).status == 204);
  CHECK(ask("OPTIONS", messages + "/client", {widget, wanted}).status == 404);

  const auto socket = [&](std::string_view base) {
    HttpRequest request = fixture.client_socket();
    request.target.insert(0, base);
    return request;
  };
  const auto refused = std::make_shared<Recorder>();
  const ExternalSocket outside = fixture.server.open_socket(socket(""), refused);
  CHECK(refused->wait_for_close() == 4404);
  {
    const auto external = std::make_shared<Recorder>();
    const ExternalSocket opened = fixture.server.open_socket(socket("/a/chat"), external);
    CHECK(contains(external->text(0), R"("type":"typing")"));
  }
  Peer peer = Peer::connect(fixture.server.port());
  const std::string handshake =
      " HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      "Authorization: Bearer a.d.a\r\n\r\n";
  peer.write("GET /ws/inbox" + handshake);
  CHECK(peer.read_until("\r\n") == "HTTP/1.1 404 Not Found\r\n");
  Peer inbox = Peer::connect(fixture.server.port());
  inbox.write("GET /a/chat/ws/inbox" + handshake);
  CHECK(inbox.read_until("\r\n") == "HTTP/1.1 101 Switching Protocols\r\n");
  fixture.server.stop();
  const std::scoped_lock lock(mutex);
  CHECK(std::ranges::find(logged, "/a/chat/ws/inbox") != logged.end());
  CHECK(std::ranges::find(logged, "/a/chat/ws/chat") != logged.end());
}

TEST_CASE("a request that comes before the start or after the stop of a server gets 503") {
  Agency host;
  ChatEngine engine(make_memory_storage(), EngineOptions{.shards = 1});
  BeastServer server(engine, host, silent());
  const auto status = [&] {
    std::promise<int> promise;
    HttpRequest request = request_of("GET", "/livez");
    server.handle(std::move(request), [&](HttpResponse response) { promise.set_value(response.status); });
    return get(promise.get_future());
  };
  CHECK(status() == 503);
  REQUIRE_FALSE(server.start());
  CHECK(server.port() == 0);
  CHECK(status() == 200);
  server.stop();
  CHECK(status() == 503);
}

TEST_CASE("a stop lets a handed request finish") {
  Fixture fixture;
  fixture.host.hold();
  std::promise<int> status;
  HttpRequest request = request_of("GET", "/api/messages/unread-count");
  fixture.server.handle(std::move(request), [&](HttpResponse response) { status.set_value(response.status); });
  const auto reply = fixture.host.wait_for_held();
  std::thread stopping([&] { fixture.server.stop(std::chrono::minutes{1}); });
  reply(std::optional(Advisor{"org", "ada", "Ada", {}, {}, false}));
  CHECK(get(status.get_future()) == 200);
  stopping.join();
}

TEST_CASE("whoever is not said to have come otherwise came by cookie: another origin's page cannot write") {
  for (const bool is_said : {false, true}) {
    Fixture fixture;
    fixture.host.hold();
    std::promise<int> status;
    HttpRequest request = request_of("POST", "/api/conversations/" + to_string(fixture.conversation.id) + "/messages");
    request.headers.emplace_back("origin", "https://evil.example");
    request.headers.emplace_back("content-type", "application/json");
    request.body = R"({"content":"Hello"})";
    fixture.server.handle(std::move(request), [&](HttpResponse response) { status.set_value(response.status); });
    Advisor advisor{"org", "ada", "Ada"};
    if (is_said) advisor.by_cookie = false;
    fixture.host.wait_for_held()(std::optional(advisor));
    CHECK(get(status.get_future()) == (is_said ? 201 : 403));
    fixture.server.stop();
    fixture.host.forget_held();
  }
}

TEST_CASE("a handed request is answered although the host never says who it is") {
  Fixture fixture;
  fixture.host.hold();
  std::promise<int> status;
  HttpRequest request = request_of("GET", "/api/messages/unread-count");
  fixture.server.handle(std::move(request), [&](HttpResponse response) { status.set_value(response.status); });
  fixture.host.wait_for_held();
  fixture.server.stop(std::chrono::milliseconds{0});
  CHECK(get(status.get_future()) == 500);
  fixture.host.forget_held();
}

// A host that has lost its database.
BeastServerOptions impatient() {
  BeastServerOptions options = silent();
  options.host_timeout = std::chrono::milliseconds{40};
  options.max_connections = 1;
  return options;
}

// A socket gives its place back some time after it was closed. What came with a request goes after its answer.
void wait_until_free(Fixture& fixture) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (int status = 0; status != 200;) {
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("the place is still taken");
    auto over = std::make_shared<std::promise<void>>();
    auto is_over = over->get_future();
    HttpRequest question = request_of("GET", "/livez");
    question.context = std::shared_ptr<void>(nullptr, [over](void*) { over->set_value(); });
    status = fixture.ask(std::move(question)).status;
    get(std::move(is_over));
  }
}

TEST_CASE("a handed request has given its place back when it is answered") {
  Fixture fixture(impatient());
  std::promise<std::pair<int, int>> statuses;
  fixture.server.handle(request_of("GET", "/livez"), [&](HttpResponse first) {
    fixture.server.handle(request_of("GET", "/livez"), [&statuses, status = first.status](HttpResponse second) {
      statuses.set_value({status, second.status});
    });
  });
  CHECK(get(statuses.get_future()) == std::pair(200, 200));
}

TEST_CASE("a question that the host never answers is answered 503 for it, and its place is free again") {
  Fixture fixture(impatient());
  fixture.host.say_nothing_else();
  HttpRequest search = request_of("GET", "/api/conversations?q=carl");
  HttpRequest open = request_of("POST", "/api/conversations");
  open.body = R"({"clientId":"carl"})";
  for (HttpRequest* request : {&search, &open}) {
    request->headers.emplace_back("authorization", "Bearer a.d.a");
    request->headers.emplace_back("content-type", "application/json");
  }
  const HttpRequest trip = request_of("GET", "/api/chat-token?tripId=trip&shareToken=link");
  for (const HttpRequest* request : std::initializer_list<const HttpRequest*>{&search, &open, &trip}) {
    const HttpResponse response = fixture.ask(*request);
    CHECK(response.status == 503);
    CHECK(contains(response.body, "overloaded"));
    wait_until_free(fixture);
  }
  fixture.host.forget_held();
}

TEST_CASE("what the host says too late counts for nothing") {
  Fixture fixture(impatient());
  fixture.host.hold();
  CHECK(fixture.ask(request_of("GET", "/api/conversations")).status == 503);
  const auto reply = fixture.host.wait_for_held();
  reply(Advisor{"org", "ada", "Ada", {}, {}, false});
  reply(errc::internal);
  wait_until_free(fixture);
  fixture.host.forget_held();
}

TEST_CASE("a handler that never responds is answered 503 for it") {
  Fixture fixture(impatient(), [](BeastServer& server) {
    server.fallback([](HttpRequest, const HttpRespond& respond) {
      static std::vector<HttpRespond> kept;
      kept.push_back(respond);
    });
  });
  CHECK(fixture.ask(request_of("GET", "/page")).status == 503);
  wait_until_free(fixture);
}

TEST_CASE("a socket whose host never says who it is is closed with 1013, and its place is free again") {
  Fixture fixture(impatient());
  fixture.host.hold();
  for (const char* target : {"/ws/inbox", "/ws/chat"}) {
    const HttpRequest request = Fixture::socket_request(
        std::string_view(target) == "/ws/inbox" ? target : fixture.chat_target("advisor", "ada"));
    CAPTURE(target);
    {
      auto [descriptor, peer] = connection();
      REQUIRE_FALSE(fixture.server.adopt(descriptor, request, {}));
      CHECK(peer.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
      CHECK(peer.read_frame().close_code() == 1013);
      CHECK(peer.ended());
    }
    wait_until_free(fixture);
    auto external = std::make_shared<Recorder>();
    const ExternalSocket socket = fixture.server.open_socket(request, external);
    CHECK(external->wait_for_close() == 1013);
    wait_until_free(fixture);
  }
  fixture.host.forget_held();
}

TEST_CASE("what throws while it takes an answer harms nobody") {
  Fixture fixture;
  HttpRequest request = request_of("GET", "/livez");
  fixture.server.handle(request, [](HttpResponse) { throw std::runtime_error("the host's own trouble"); });
  CHECK(fixture.ask(std::move(request)).status == 200);
}

// ---- Limits ----

BeastServerOptions limited(RateLimits limits) {
  BeastServerOptions options = silent();
  options.rate_limits = limits;
  return options;
}

constexpr RateLimit twice_an_hour{2, std::chrono::hours{1}};

TEST_CASE("reactions beyond their limit are refused, for the participant alone, and nothing is written") {
  RateLimits limits = RateLimits::off();
  limits.reactions = twice_an_hour;
  Fixture fixture(limited(limits));
  const Message message = fixture.send(ada, "Hello").message;
  const auto react = [&](std::string method, bool as_client) {
    HttpRequest request =
        request_of(std::move(method), "/api/conversations/" + to_string(fixture.conversation.id) + "/messages/" +
                                          to_string(message.id) + "/reactions" + (as_client ? "/client" : ""));
    request.headers.emplace_back("content-type", "application/json");
    request.headers.emplace_back("authorization", "Bearer " + (as_client ? fixture.token : "a.d.a"));
    request.body = R"({"emoji":"\u2764"})";
    return fixture.ask(std::move(request));
  };
  CHECK(react("POST", true).status == 200);
  CHECK(react("DELETE", true).status == 200);
  const auto rev = fixture.page().messages.back().rev;
  const HttpResponse refused = react("POST", true);
  CHECK(refused.status == 429);
  CHECK(contains(refused.body, R"("code":"rate_limited")"));
  CHECK(std::ranges::any_of(refused.headers, [](const auto& field) {
    return field.first == "Retry-After" && field.second.size() >= 4;  // an hour, nearly
  }));
  CHECK(fixture.page().messages.back().rev == rev);
  CHECK(fixture.page().messages.back().reactions.empty());
  CHECK(react("POST", false).status == 200);
}

TEST_CASE("pages, lists and counts share a limit") {
  RateLimits limits = RateLimits::off();
  limits.pages = {3, std::chrono::hours{1}};
  Fixture fixture(limited(limits));
  const auto ask = [&](std::string target, std::string credential = "a.d.a") {
    HttpRequest request = request_of("GET", std::move(target));
    request.headers.emplace_back("authorization", "Bearer " + credential);
    return fixture.ask(std::move(request)).status;
  };
  const std::string page = "/api/conversations/" + to_string(fixture.conversation.id) + "/messages";
  CHECK(ask(page) == 200);
  CHECK(ask("/api/conversations") == 200);
  CHECK(ask("/api/messages/unread-count") == 200);
  CHECK(ask(page) == 429);
  CHECK(ask("/api/conversations?q=x") == 429);
  CHECK(ask("/api/messages/unread-count") == 429);
  CHECK(ask(page, fixture.token) == 200);
}

TEST_CASE("opening conversations and sockets has a limit") {
  RateLimits limits = RateLimits::off();
  limits.openings = twice_an_hour;
  Fixture fixture(limited(limits));
  const auto opens = [&](std::string path) {
    HttpRequest request =
        Fixture::socket_request(path == "inbox" ? "/ws/inbox" : fixture.chat_target("advisor", "ada"));
    request.headers.emplace_back("authorization", "Bearer a.d.a");
    auto external = std::make_shared<Recorder>();
    return std::pair(fixture.server.open_socket(std::move(request), external), external);
  };
  HttpRequest request = request_of("POST", "/api/conversations");
  request.headers.emplace_back("content-type", "application/json");
  request.headers.emplace_back("authorization", "Bearer a.d.a");
  request.body = R"({"clientId":"carl"})";
  CHECK(fixture.ask(request).status == 200);
  const auto chat = opens("chat");
  CHECK(contains(chat.second->text(0), R"("type":"typing")"));
  CHECK(opens("chat").second->wait_for_close() == 4429);
  CHECK(opens("inbox").second->wait_for_close() == 4429);
  CHECK(fixture.ask(request).status == 429);
  auto external = std::make_shared<Recorder>();
  const ExternalSocket client = fixture.server.open_socket(fixture.client_socket(), external);
  CHECK(contains(external->text(0), R"("type":"typing")"));
}

TEST_CASE("marks have one limit for requests and frames, and the last frame counts all the same") {
  RateLimits limits = RateLimits::off();
  limits.marks = twice_an_hour;
  Fixture fixture(limited(limits));
  const auto mark = [&](bool as_client) {
    HttpRequest request = request_of(
        "POST", "/api/conversations/" + to_string(fixture.conversation.id) + "/read" + (as_client ? "/client" : ""));
    request.headers.emplace_back("authorization", "Bearer " + (as_client ? fixture.token : "a.d.a"));
    return fixture.ask(std::move(request)).status;
  };
  auto external = std::make_shared<Recorder>();
  ExternalSocket socket = fixture.server.open_socket(fixture.client_socket(), external);
  external->text(0);
  CHECK(mark(true) == 200);
  fixture.send(ada, "1");
  CHECK(contains(external->text(1), R"("content":"1")"));
  socket.receive_text(R"({"type":"seen"})");
  CHECK(contains(external->text(2), R"("type":"seen")"));
  // The limit is used up.
  CHECK(mark(true) == 429);
  CHECK(mark(false) == 200);
  fixture.send(ada, "2");
  CHECK(contains(external->text(3), R"("content":"2")"));
  for (int i = 0; i < 100; ++i) socket.receive_text(R"({"type":"seen"})");
  // Frames are never refused, and a text of the peer's that is answered at once shows that they were taken.
  socket.receive_text("{");
  CHECK(contains(external->text(4), R"("code":"malformed_json")"));
  CHECK_FALSE(fixture.page().messages.back().seen_at);
  // It leaves before the limit would allow the mark.
  socket = {};
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!fixture.page().messages.back().seen_at) REQUIRE(std::chrono::steady_clock::now() < deadline);
}

TEST_CASE("frames beyond the limit of marks become one when the limit allows it") {
  RateLimits limits = RateLimits::off();
  limits.marks = {1, std::chrono::milliseconds{300}};
  Fixture fixture(limited(limits));
  auto external = std::make_shared<Recorder>();
  ExternalSocket socket = fixture.server.open_socket(fixture.client_socket(), external);
  external->text(0);
  for (std::size_t i = 0; i < 3; ++i) {
    fixture.send(ada, "Hello");
    CHECK(contains(external->text(1 + 2 * i), R"("content":"Hello")"));
    for (int n = 0; n < 5; ++n) socket.receive_text(R"({"type":"seen"})");
    CHECK(contains(external->text(2 + 2 * i), R"("type":"seen")"));
  }
}

TEST_CASE("an address that guesses chat tokens has to wait, and a token in use goes on working") {
  RateLimits limits = RateLimits::off();
  limits.unknown_tokens = twice_an_hour;
  Fixture fixture(limited(limits));
  const auto ask = [&](const std::string& token, std::string address) {
    HttpRequest request = request_of("GET", "/api/conversations/" + to_string(fixture.conversation.id) + "/messages");
    request.headers.emplace_back("authorization", "Bearer " + token);
    request.remote_address = std::move(address);
    return fixture.ask(std::move(request));
  };
  const auto open = [&](const std::string& token, std::string address) {
    HttpRequest request =
        Fixture::socket_request(fixture.chat_target("client", "carl"), "travelchat.v1, auth." + token);
    request.remote_address = std::move(address);
    auto external = std::make_shared<Recorder>();
    ExternalSocket socket = fixture.server.open_socket(std::move(request), external);
    return std::pair(std::move(socket), external);
  };
  const std::string guess(64, 'a');
  const auto other =
      get(fixture.engine.async_issue_token(TokenGrant{"org", "carl", "trip", fixture.conversation.id}, use_future))
          .value()
          .token;
  CHECK(ask(fixture.token, "192.0.2.1").status == 200);
  CHECK(ask(guess, "192.0.2.1").status == 401);
  CHECK(open(guess, "192.0.2.1").second->wait_for_close() == 4401);
  const HttpResponse refused = ask(guess, "192.0.2.1");
  CHECK(refused.status == 429);
  CHECK(std::ranges::any_of(refused.headers, [](const auto& field) { return field.first == "Retry-After"; }));
  CHECK(open(guess, "192.0.2.1").second->wait_for_close() == 4429);
  // One that was not in use a moment ago would have to be looked up.
  CHECK(ask(other, "192.0.2.1").status == 429);
  CHECK(ask(other, "192.0.2.2").status == 200);
  CHECK(ask(other, "192.0.2.1").status == 200);
  CHECK(ask(fixture.token, "192.0.2.1").status == 200);
  const auto known = open(fixture.token, "192.0.2.1");
  CHECK(contains(known.second->text(0), R"("type":"typing")"));
}

// ---- Epochs ----

TEST_CASE("a page names the epoch, and one for a copy of another epoch is refused") {
  Fixture fixture;
  const auto ask = [&](std::string query) {
    HttpRequest request =
        request_of("GET", "/api/conversations/" + to_string(fixture.conversation.id) + "/messages" + query);
    request.headers.emplace_back("authorization", "Bearer " + fixture.token);
    return fixture.ask(std::move(request));
  };
  const auto epoch = fixture.epoch();
  for (const std::string& query : {std::string(), "?since=0&epoch=" + epoch, "?epoch=" + epoch}) {
    const HttpResponse page = ask(query);
    CHECK(page.status == 200);
    CHECK(std::ranges::count(page.headers, std::pair(std::string("X-Epoch"), epoch)) == 1);
  }
  const HttpResponse refused = ask("?since=0&epoch=0190163d-8694-739b-aea5-966c26f8ad91");
  CHECK(refused.status == 409);
  CHECK(contains(refused.body, R"("code":"epoch_changed")"));
  for (const char* malformed : {"?since=0&epoch=", "?since=0&epoch=1", "?epoch=0190163D-8694-739B-AEA5-966C26F8AD91"}) {
    CHECK(ask(malformed).status == 400);
  }
}

TEST_CASE("a socket that resumes from another epoch is told to load the conversation again") {
  Fixture fixture;
  fixture.send(ada, "Before");
  auto external = std::make_shared<Recorder>();
  const ExternalSocket socket = fixture.server.open_socket(
      fixture.client_socket("&since=1&epoch=0190163d-8694-739b-aea5-966c26f8ad91"), external);
  external->text(0);
  CHECK(external->text(1) == R"({"type":"resync","rev":1,"epoch":")" + fixture.epoch() + R"("})");
  auto refused = std::make_shared<Recorder>();
  const ExternalSocket malformed = fixture.server.open_socket(fixture.client_socket("&since=1&epoch=2"), refused);
  CHECK(refused->wait_for_close() == 4400);
}

// ---- Adopted connections ----

TEST_CASE("an adopted connection is a socket of the server's from its request on") {
  Fixture fixture;
  auto [descriptor, peer] = connection();
  // The first frame came right behind the request.
  REQUIRE_FALSE(fixture.server.adopt(descriptor, fixture.client_socket("&since=0"), masked("{")));
  const std::string answer = peer.read_until("\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 101 "));
  CHECK(contains(answer, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
  CHECK(contains(answer, "Sec-WebSocket-Protocol: travelchat.v1\r\n"));
  CHECK(contains(peer.read_frame().payload, R"("type":"typing")"));
  std::vector<std::string> next = {peer.read_frame().payload, peer.read_frame().payload};
  std::ranges::sort(next);
  CHECK(next[0] == R"({"type":"caught_up","rev":0,"epoch":")" + fixture.epoch() + R"("})");
  CHECK(contains(next[1], R"("code":"malformed_json")"));
  fixture.send(ada, "Welcome");
  CHECK(contains(peer.read_frame().payload, R"("content":"Welcome")"));
  peer.write(masked(R"({"type":"seen"})"));
  CHECK(contains(peer.read_frame().payload, R"("type":"seen")"));
}

TEST_CASE("an adopted loopback connection works as one from a pair") {
  Fixture fixture;
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  ::sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::socklen_t size = sizeof(address);
  REQUIRE(::bind(listener, reinterpret_cast<const ::sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  REQUIRE(::getsockname(listener, reinterpret_cast<::sockaddr*>(&address), &size) == 0);
  Peer peer = Peer::connect(ntohs(address.sin_port));
  const int accepted = ::accept(listener, nullptr, nullptr);
  ::close(listener);
  HttpRequest request = Fixture::socket_request("/ws/inbox");
  request.headers.emplace_back("authorization", "Bearer a.d.a");
  REQUIRE_FALSE(fixture.server.adopt(accepted, std::move(request), {}));
  CHECK(peer.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
  fixture.send(ada, "Welcome");
  CHECK(contains(peer.read_frame().payload, R"("type":"conversation_update")"));
}

TEST_CASE("an adopted connection without a credential is accepted and closed with 4401") {
  Fixture fixture;
  auto [descriptor, peer] = connection();
  REQUIRE_FALSE(fixture.server.adopt(descriptor, Fixture::socket_request(fixture.chat_target("client", "carl")), {}));
  CHECK(peer.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
  const Peer::Frame frame = peer.read_frame();
  CHECK(frame.opcode == 8);
  CHECK(frame.close_code() == 4401);
  CHECK(peer.ended());
}

TEST_CASE("an adopted connection whose handshake is not in order is answered and ended") {
  Fixture fixture;
  HttpRequest request = fixture.client_socket();
  std::erase_if(request.headers, [](const auto& field) { return field.first == "upgrade"; });
  auto [descriptor, peer] = connection();
  // A second request behind the first is not answered: the connection was handed over for one.
  REQUIRE_FALSE(fixture.server.adopt(descriptor, request, "GET /livez HTTP/1.1\r\nHost: example.org\r\n\r\n"));
  const std::string answer = peer.read_until("\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 426 "));
  CHECK(contains(answer, "Connection: close\r\n"));
  CHECK(contains(peer.read_until("}"), "upgrade_required"));
  CHECK(peer.ended());
}

TEST_CASE("a descriptor that cannot be adopted is closed") {
  Fixture fixture;
  HttpRequest split = fixture.client_socket();
  split.headers.emplace_back("x-split", "1\r\nAuthorization: Bearer a.d.a");
  {
    auto [descriptor, peer] = connection();
    CHECK(fixture.server.adopt(descriptor, split, {}) == errc::invalid_argument);
    CHECK(peer.ended());
  }
  fixture.server.stop();
  auto [descriptor, peer] = connection();
  CHECK(fixture.server.adopt(descriptor, fixture.client_socket(), {}) == errc::closed);
  CHECK(peer.ended());
}

TEST_CASE("a server takes no more connections than allowed, adopted ones included") {
  BeastServerOptions options = silent();
  options.max_connections = 1;
  Fixture fixture(options);
  auto [first, peer] = connection();
  REQUIRE_FALSE(fixture.server.adopt(first, fixture.client_socket(), {}));
  CHECK(peer.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
  auto [second, other] = connection();
  CHECK(fixture.server.adopt(second, fixture.client_socket(), {}) == errc::overloaded);
  CHECK(other.ended());
  auto external = std::make_shared<Recorder>();
  const ExternalSocket opened = fixture.server.open_socket(fixture.client_socket(), external);
  CHECK(external->accepted == 1);
  CHECK(external->code == describe(errc::overloaded).close_code);
}

TEST_CASE("a stop closes adopted sockets with 1012") {
  Fixture fixture;
  auto [descriptor, peer] = connection();
  REQUIRE_FALSE(fixture.server.adopt(descriptor, fixture.client_socket(), {}));
  peer.read_until("\r\n\r\n");
  CHECK(peer.read_frame().opcode == 1);
  std::thread stopping([&] { fixture.server.stop(); });
  CHECK(peer.read_frame().close_code() == 1012);
  CHECK(peer.ended());
  { const Peer gone = std::move(peer); }
  stopping.join();
}

// ---- Carried sockets ----

TEST_CASE("an external socket hears what a socket of the server's hears") {
  Fixture fixture;
  fixture.send(ada, "Before");
  auto external = std::make_shared<Recorder>();
  ExternalSocket socket = fixture.server.open_socket(fixture.client_socket("&since=0"), external);
  CHECK(contains(external->text(0), R"("type":"typing")"));
  CHECK(contains(external->text(1), R"("content":"Before")"));
  CHECK(external->text(2) == R"({"type":"caught_up","rev":1,"epoch":")" + fixture.epoch() + R"("})");
  CHECK(external->accepted == 1);
  CHECK(external->subprotocol == "travelchat.v1");
  fixture.send(ada, "After");
  CHECK(contains(external->text(3), R"("content":"After")"));
  socket.receive_text(R"({"type":"seen"})");
  CHECK(contains(external->text(4), R"("type":"seen")"));
}

TEST_CASE("an external socket and an external inbox hear at every ping interval that the server is there") {
  BeastServerOptions options = silent();
  options.ping_interval = std::chrono::milliseconds{40};
  Fixture fixture(options);
  auto external = std::make_shared<Recorder>();
  const ExternalSocket socket = fixture.server.open_socket(fixture.client_socket(), external);
  CHECK(contains(external->text(0), R"("type":"typing")"));
  for (std::size_t i = 1; i <= 3; ++i) CHECK(external->text(i) == R"({"type":"alive","intervalMs":40})");
  auto inbox_carrier = std::make_shared<Recorder>();
  HttpRequest request = Fixture::socket_request("/ws/inbox");
  request.headers.emplace_back("authorization", "Bearer a.d.a");
  const ExternalSocket inbox = fixture.server.open_socket(std::move(request), inbox_carrier);
  for (std::size_t i = 0; i < 3; ++i) CHECK(inbox_carrier->text(i) == R"({"type":"alive","intervalMs":40})");
}

TEST_CASE("each ping of an adopted socket comes with the event that pages can see") {
  BeastServerOptions options = silent();
  options.ping_interval = std::chrono::milliseconds{40};
  Fixture fixture(options);
  auto [descriptor, peer] = connection();
  REQUIRE_FALSE(fixture.server.adopt(descriptor, fixture.client_socket(), {}));
  peer.read_until("\r\n\r\n");
  CHECK(contains(peer.read_frame().payload, R"("type":"typing")"));
  for (int i = 0; i < 3; ++i) {
    CHECK(peer.read_frame().opcode == 9);
    const auto event = peer.read_frame();
    CHECK(event.opcode == 1);
    CHECK(event.payload == R"({"type":"alive","intervalMs":40})");
  }
}

TEST_CASE("an external inbox hears the organization's conversations") {
  Fixture fixture;
  HttpRequest request = Fixture::socket_request("/ws/inbox");
  request.headers.emplace_back("cookie", "session=ada");
  auto external = std::make_shared<Recorder>();
  ExternalSocket socket = fixture.server.open_socket(std::move(request), external);
  // Whether it listens already is not told; messages go on until it does.
  const auto heard = std::async(std::launch::async, [&] { return external->text(0); });
  while (heard.wait_for(std::chrono::milliseconds{5}) != std::future_status::ready) fixture.send(ada, "Hello");
  CHECK(contains(external->text(0), R"("clientName":"Carl")"));
}

TEST_CASE("what an external peer says before it is admitted counts afterwards") {
  Fixture fixture;
  fixture.host.hold();
  HttpRequest request = Fixture::socket_request(fixture.chat_target("advisor", "ada"));
  auto external = std::make_shared<Recorder>();
  ExternalSocket socket = fixture.server.open_socket(std::move(request), external);
  socket.receive_text("{");
  const auto reply = fixture.host.wait_for_held();
  CHECK(external->accepted == 0);
  reply(std::optional(Advisor{"org", "ada", "Ada", {}, {}, false}));
  CHECK(contains(external->text(0), R"("type":"typing")"));
  CHECK(contains(external->text(1), R"("code":"malformed_json")"));
}

TEST_CASE("an external peer that goes stops typing") {
  Fixture fixture;
  HttpRequest request = Fixture::socket_request(fixture.chat_target("advisor", "ada"));
  request.headers.emplace_back("authorization", "Bearer a.d.a");
  auto watcher = std::make_shared<Recorder>();
  const ExternalSocket watching = fixture.server.open_socket(fixture.client_socket(), watcher);
  watcher->text(0);
  auto external = std::make_shared<Recorder>();
  ExternalSocket socket = fixture.server.open_socket(std::move(request), external);
  external->text(0);
  socket.receive_text(R"({"type":"typing","isTyping":true})");
  CHECK(contains(watcher->text(1), R"("advisorTyping":true)"));
  SECTION("when its external says so") {
    socket.closed();
    CHECK(contains(watcher->text(2), R"("advisorTyping":false)"));
    CHECK(external->wait_for_close() == 1000);
  }
  SECTION("when its external lets go of it") {
    socket = {};
    CHECK(contains(watcher->text(2), R"("advisorTyping":false)"));
  }
}

TEST_CASE("an external socket closes with the codes of any other") {
  Fixture fixture;
  auto external = std::make_shared<Recorder>();
  const auto open = [&](HttpRequest request) { return fixture.server.open_socket(std::move(request), external); };
  SECTION("a binary message") {
    ExternalSocket socket = open(fixture.client_socket());
    socket.receive_binary();
    CHECK(external->wait_for_close() == 1003);
  }
  SECTION("a text that is no UTF-8") {
    ExternalSocket socket = open(fixture.client_socket());
    socket.receive_text("\"\xC0\xAF\"");
    CHECK(external->wait_for_close() == 1007);
  }
  SECTION("64 KiB and a byte") {
    ExternalSocket socket = open(fixture.client_socket());
    socket.receive_text(std::string(64 * 1024 + 1, ' '));
    CHECK(external->wait_for_close() == 1009);
  }
  SECTION("the fifth message that is refused") {
    ExternalSocket socket = open(fixture.client_socket());
    for (int i = 0; i < 5; ++i) socket.receive_text("{");
    CHECK(external->wait_for_close() == 1008);
    CHECK(external->texts.size() == 5);  // typing, and four errors
  }
  SECTION("a missing parameter") {
    const ExternalSocket socket = open(Fixture::socket_request("/ws/chat?userType=client"));
    CHECK(external->wait_for_close() == 4400);
  }
  SECTION("no credential") {
    const ExternalSocket socket = open(Fixture::socket_request(fixture.chat_target("client", "carl")));
    CHECK(external->wait_for_close() == 4401);
    CHECK(external->accepted == 1);
  }
  SECTION("a credential for something else") {
    HttpRequest request = fixture.client_socket();
    request.target = fixture.chat_target("client", "dora");
    const ExternalSocket socket = open(std::move(request));
    CHECK(external->wait_for_close() == 4403);
  }
  SECTION("an origin that is not allowed") {
    HttpRequest request = fixture.client_socket();
    request.headers.emplace_back("origin", "https://evil.example");
    const ExternalSocket socket = open(std::move(request));
    CHECK(external->wait_for_close() == 4403);
  }
  SECTION("a path where no socket is") {
    const ExternalSocket socket = open(Fixture::socket_request("/ws/elsewhere"));
    CHECK(external->wait_for_close() == 4404);
  }
  SECTION("a stop") {
    const ExternalSocket socket = open(fixture.client_socket());
    external->text(0);
    fixture.server.stop();
    CHECK(external->wait_for_close() == 1012);
  }
  SECTION("a stop before the host has said who it is") {
    fixture.host.hold();
    const ExternalSocket socket = open(Fixture::socket_request(fixture.chat_target("advisor", "ada")));
    fixture.host.wait_for_held();
    fixture.server.stop(std::chrono::milliseconds{0});
    CHECK(external->wait_for_close() == 1012);
    CHECK(external->accepted == 1);
    fixture.host.forget_held();
  }
  SECTION("a server that has stopped") {
    fixture.server.stop();
    const ExternalSocket socket = open(fixture.client_socket());
    CHECK(external->code == 1012);
  }
  CHECK(external->accepted == 1);
}

TEST_CASE("an external connection that gets rid of nothing is closed with 4408, one that acknowledges is not") {
  BeastServerOptions options = silent();
  options.max_outbox_bytes = 16 * 1024;
  Fixture fixture(options);
  auto slow = std::make_shared<Recorder>();
  auto quick = std::make_shared<Recorder>();
  const ExternalSocket slow_socket = fixture.server.open_socket(fixture.client_socket(), slow);
  ExternalSocket quick_socket = fixture.server.open_socket(fixture.client_socket(), quick);
  quick->text(0);
  slow->text(0);
  for (std::size_t i = 1; i <= 20; ++i) {
    fixture.send(ada, std::string(4'000, 'x'));
    quick->text(i);
    // One batch for each so far, however they were cut.
    quick_socket.acknowledge(quick->batches);
  }
  CHECK(slow->wait_for_close() == 4408);
  CHECK(slow->texts.size() < 6);
  CHECK_FALSE(quick->code.has_value());
}

TEST_CASE("an external peer that sends without end is closed with 4429") {
  BeastServerOptions options = silent();
  options.max_outbox_bytes = 16 * 1024;
  Fixture fixture(options);
  fixture.host.hold();
  auto external = std::make_shared<Recorder>();
  ExternalSocket socket =
      fixture.server.open_socket(Fixture::socket_request(fixture.chat_target("advisor", "ada")), external);
  const auto reply = fixture.host.wait_for_held();
  for (int i = 0; i < 100; ++i) socket.receive_text(R"({"type":"seen","padding":")" + std::string(1'000, ' ') + "\"}");
  reply(std::optional(Advisor{"org", "ada", "Ada", {}, {}, false}));
  CHECK(external->wait_for_close() == 4429);
}

TEST_CASE("an external socket is closed when its credential expires") {
  Fixture fixture;
  fixture.host.hold();
  auto external = std::make_shared<Recorder>();
  const ExternalSocket socket =
      fixture.server.open_socket(Fixture::socket_request(fixture.chat_target("advisor", "ada")), external);
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  fixture.host.wait_for_held()(std::optional(Advisor{"org", "ada", "Ada", {}, now + std::chrono::seconds{1}, false}));
  CHECK(contains(external->text(0), "typing"));
  CHECK(external->wait_for_close() == 4401);
}

TEST_CASE("an advisor whose session is over, or who has no name, is nobody") {
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  for (const Advisor& nobody : {Advisor{"org", "ada", "Ada", {}, now, false}, Advisor{"org", "", "Ada", {}, {}, false},
                                Advisor{"", "ada", "Ada", {}, {}, false}}) {
    Fixture fixture;
    fixture.host.hold();
    auto answer = std::async(std::launch::async, [&] { return fixture.ask(request_of("GET", "/api/conversations")); });
    fixture.host.wait_for_held()(std::optional(nobody));
    CHECK(answer.get().status == 401);
    fixture.host.forget_held();
    for (const std::string& target : {fixture.chat_target("advisor", "ada"), std::string("/ws/inbox")}) {
      auto external = std::make_shared<Recorder>();
      const ExternalSocket socket = fixture.server.open_socket(Fixture::socket_request(target), external);
      fixture.host.wait_for_held()(std::optional(nobody));
      CHECK(external->wait_for_close() == 4401);
      fixture.host.forget_held();
    }
  }
}

// ---- Credentials that end ----

namespace {

// The host is asked again all the time.
BeastServerOptions curious() {
  BeastServerOptions options = silent();
  options.session_check_interval = options.share_check_interval = std::chrono::milliseconds{20};
  // So that the shards look often. It is of TLS, which nobody speaks here.
  options.handshake_timeout = std::chrono::milliseconds{40};
  return options;
}

// A client with a token that was issued for a share link.
struct Linked : Fixture {
  explicit Linked(BeastServerOptions options = curious()) : Fixture(std::move(options)) {
    host.say_of_trip(std::optional(shared_by("link-1")));
    TokenGrant grant{"org", "carl", "trip", conversation.id, "link-1"};
    token = get(engine.async_issue_token(std::move(grant), use_future)).value().token;
  }

  int read() {
    HttpRequest request = request_of("GET", "/api/conversations/" + to_string(conversation.id) + "/messages");
    request.headers.emplace_back("authorization", "Bearer " + token);
    return ask(std::move(request)).status;
  }
  int write() {
    HttpRequest request = request_of("POST", "/api/conversations/" + to_string(conversation.id) + "/messages/client");
    request.headers.emplace_back("content-type", "application/json");
    request.body = R"({"content":"Hello","chatToken":")" + token + R"("})";
    return ask(std::move(request)).status;
  }
};

HttpRequest of_ada(HttpRequest request) {
  request.headers.emplace_back("cookie", "session=ada");
  return request;
}

}  // namespace

TEST_CASE("what one shard has heard about a link, all of them go by") {
  BeastServerOptions options = silent();
  options.share_check_interval = std::chrono::hours{1};
  Linked fixture(options);
  // The shards take requests by turns.
  for (int i = 0; i < 4; ++i) CHECK(fixture.read() == 200);
  fixture.host.say_of_trip(std::optional(shared_by("link-2")));
  for (int i = 0; i < 4; ++i) CHECK(fixture.read() == 200);
  CHECK(fixture.ask(request_of("GET", "/api/chat-token?tripId=trip&shareToken=link-1")).status == 403);
  for (int i = 0; i < 4; ++i) CHECK(fixture.read() == 401);
}

TEST_CASE("a link that is switched off, replaced, given away or gone ends its tokens and their sockets") {
  std::optional<SharedTrip> now = shared_by("link-1");
  SECTION("switched off") {
    now->share_enabled = false;
  }
  SECTION("replaced") {
    now = shared_by("link-2");
  }
  SECTION("without a token") {
    now = shared_by("");
  }
  SECTION("of another client") {
    now->client_id = "dora";
  }
  SECTION("of nobody") {
    now->client_id.reset();
  }
  SECTION("of another organization") {
    now->org_id = "org-2";
  }
  SECTION("gone") {
    now.reset();
  }
  Linked fixture;
  CHECK(fixture.read() == 200);
  CHECK(fixture.write() == 201);
  auto external = std::make_shared<Recorder>();
  const ExternalSocket opened = fixture.server.open_socket(fixture.client_socket(), external);
  external->text(0);
  auto [descriptor, peer] = connection();
  REQUIRE_FALSE(fixture.server.adopt(descriptor, fixture.client_socket(), {}));
  peer.read_until("\r\n\r\n");
  CHECK(peer.read_frame().opcode == 1);

  fixture.host.say_of_trip(now);
  CHECK(external->wait_for_close() == 4401);
  Peer::Frame frame = peer.read_frame();
  while (frame.opcode != 8) frame = peer.read_frame();
  CHECK(frame.close_code() == 4401);
  for (int i = 0; i < 4; ++i) {
    CHECK(fixture.read() == 401);
    CHECK(fixture.write() == 401);
    CHECK(fixture.write() == 401);
  }
  auto late = std::make_shared<Recorder>();
  const ExternalSocket refused = fixture.server.open_socket(fixture.client_socket(), late);
  CHECK(late->wait_for_close() == 4401);

  // Nothing was deleted: with its link, the token is back.
  fixture.host.say_of_trip(std::optional(shared_by("link-1")));
  while (fixture.read() != 200) std::this_thread::yield();
}

TEST_CASE("a host that cannot say ends no link, and lets in nobody of whom it has never said yes") {
  Linked fixture;
  CHECK(fixture.read() == 200);
  auto external = std::make_shared<Recorder>();
  const ExternalSocket opened = fixture.server.open_socket(fixture.client_socket(), external);
  external->text(0);
  // What a host says to nobody in particular must not be remembered for others.
  TokenGrant grant{"org", "carl", "trip", fixture.conversation.id, "link-2"};
  const std::string other = get(fixture.engine.async_issue_token(std::move(grant), use_future)).value().token;
  fixture.host.say_of_trip(errc::internal);
  fixture.host.wait_for_questions(&Agency::trips_asked, 2);
  CHECK(fixture.read() == 200);
  fixture.send(ada, "Still here");
  std::size_t heard = 1;
  while (!contains(external->text(heard), "Still here")) ++heard;
  CHECK_FALSE(external->code);
  fixture.token = other;
  CHECK(fixture.read() == 500);
}

TEST_CASE("a token of an older version holds while the trip is shared, one of the application's own always") {
  Linked fixture;
  TokenGrant grant{"org", "carl", "trip", fixture.conversation.id};
  const std::string own = get(fixture.engine.async_issue_token(std::move(grant), use_future)).value().token;
  const std::string old(64, 'a');
  const TimePoint now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const Write put =
      PutToken{Credential::of_chat_token(old, now).digest,
               TokenClaims{"org", "carl", "trip", fixture.conversation.id, now + std::chrono::hours{1}}, now};
  std::vector<result<Written>> results;
  REQUIRE_FALSE(fixture.storage->commit({&put, 1}, results));

  fixture.token = old;
  CHECK(fixture.read() == 200);
  fixture.host.say_of_trip(std::optional(shared_by("link-2")));
  CHECK(fixture.read() == 200);
  fixture.host.say_of_trip(std::optional<SharedTrip>());
  while (fixture.read() != 401) std::this_thread::yield();
  fixture.token = own;
  CHECK(fixture.read() == 200);
}

TEST_CASE("a session that the host no longer knows closes its sockets with 4401, within the interval") {
  Fixture fixture(curious());
  auto chat = std::make_shared<Recorder>();
  const ExternalSocket one =
      fixture.server.open_socket(of_ada(Fixture::socket_request(fixture.chat_target("advisor", "ada"))), chat);
  chat->text(0);
  auto inbox = std::make_shared<Recorder>();
  const ExternalSocket two = fixture.server.open_socket(of_ada(Fixture::socket_request("/ws/inbox")), inbox);
  auto client = std::make_shared<Recorder>();
  const ExternalSocket three = fixture.server.open_socket(fixture.client_socket(), client);
  client->text(0);

  fixture.host.say_of_sessions(std::nullopt);  // an outage
  fixture.host.wait_for_questions(&Agency::sessions_asked, 2);
  CHECK_FALSE(chat->code);
  fixture.host.say_of_sessions(std::vector<std::string>{});
  CHECK(chat->wait_for_close() == 4401);
  CHECK(inbox->wait_for_close() == 4401);
  fixture.send(ada, "Still here");
  CHECK(contains(client->text(1), "Still here"));
}

TEST_CASE("a session that the application ends closes its sockets with 4401 at once") {
  BeastServerOptions options = silent();
  options.session_check_interval = std::chrono::milliseconds{0};
  Fixture fixture(options);
  auto chat = std::make_shared<Recorder>();
  const ExternalSocket one =
      fixture.server.open_socket(of_ada(Fixture::socket_request(fixture.chat_target("advisor", "ada"))), chat);
  chat->text(0);
  auto [descriptor, peer] = connection();
  REQUIRE_FALSE(fixture.server.adopt(descriptor, of_ada(Fixture::socket_request("/ws/inbox")), {}));
  peer.read_until("\r\n\r\n");
  fixture.engine.end_session("session-of-ada");
  CHECK(chat->wait_for_close() == 4401);
  CHECK(peer.read_frame().close_code() == 4401);
  CHECK(fixture.host.sessions_asked == 0);
}
