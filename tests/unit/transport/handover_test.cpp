// Requests and sockets that somebody else has received: the same answers as on a connection of the server's own.
#include <travelchat/beast_server.hpp>
#include <travelchat/memory_storage.hpp>

#include "catch.hpp"

#include <boost/asio/use_future.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
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

namespace {

constexpr auto patience = std::chrono::seconds{20};

template <class T>
T get(std::future<T> future) {
  if (future.wait_for(patience) != std::future_status::ready) throw std::runtime_error("no answer");
  return future.get();
}

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
  void find_trip(std::string, Reply<std::optional<SharedTrip>> reply) override { reply(std::nullopt); }
  void find_clients(std::string, std::vector<std::string>, Reply<std::vector<ClientCard>> reply) override {
    reply(std::vector{ClientCard{"carl", "Carl", {}, {}}});
  }
  void search_clients(std::string, std::string, Reply<std::vector<std::string>> reply) override {
    reply(std::vector<std::string>{});
  }
  void notify(PushNotification) override {}

  static std::optional<Advisor> advisor_of(const RequestCredentials& credentials) {
    const bool by_cookie = credentials.cookie == "session=ada";
    if (!by_cookie && credentials.authorization != "Bearer a.d.a") return std::nullopt;
    return Advisor{"org", "ada", "Ada", {}, {}, by_cookie};
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
  // For the end of a test: the server does not need them any more.
  void forget_held() {
    const std::scoped_lock lock(mutex_);
    held_.clear();
  }

  std::vector<std::shared_ptr<void>> contexts;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Reply<std::optional<Advisor>>> held_;
  bool holds_ = false;
};

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
  explicit Fixture(BeastServerOptions options = silent()) : server(engine, host, std::move(options)) {
    conversation = get(engine.async_open_conversation("org", "carl", boost::asio::use_future)).value();
    token = get(engine.async_issue_token(TokenGrant{"org", "carl", "trip", conversation.id}, boost::asio::use_future))
                .value()
                .token;
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
    return get(engine.async_send(std::move(sender), std::move(draft), boost::asio::use_future)).value();
  }

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
  ChatEngine engine{make_memory_storage(), EngineOptions{.shards = 2}};
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

// ---- A carrier ----

class Recorder final : public SocketCarrier {
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
      {"POST", base + "/messages", {bearer, json}, std::string(64 * 1024 + 1, 'x'), 413},
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
  for (auto field : {std::pair("authorization", "Bearer a.d.a"), std::pair("content-type", "application/json"),
                     std::pair("content-length", "65537")}) {
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

TEST_CASE("a handed request is its client's, of whom a trusted proxy tells") {
  Agency host;
  ChatEngine engine(make_memory_storage(), EngineOptions{.shards = 1});
  const auto logged = [&](std::vector<std::string> trusted) {
    BeastServerOptions options = silent();
    options.trusted_proxies = std::move(trusted);
    BeastServer server(engine, host, std::move(options));
    std::promise<std::string> address;
    server.access_log([&](const AccessRecord& record) { address.set_value(std::string(record.remote_address)); });
    REQUIRE_FALSE(server.start());
    HttpRequest request = request_of("GET", "/livez");
    request.remote_address = "10.0.0.7";
    request.headers.emplace_back("x-forwarded-for", "198.51.100.1, 203.0.113.9");
    std::promise<HttpResponse> answered;
    server.handle(std::move(request), [&](HttpResponse response) { answered.set_value(std::move(response)); });
    CHECK(get(answered.get_future()).status == 200);
    return get(address.get_future());
  };
  CHECK(logged({"10.0.0.0/8"}) == "203.0.113.9");
  CHECK(logged({}) == "10.0.0.7");
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

TEST_CASE("what throws while it takes an answer harms nobody") {
  Fixture fixture;
  HttpRequest request = request_of("GET", "/livez");
  fixture.server.handle(request, [](HttpResponse) { throw std::runtime_error("the host's own trouble"); });
  CHECK(fixture.ask(std::move(request)).status == 200);
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
  CHECK(next[0] == R"({"type":"caught_up","rev":0})");
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
  auto carrier = std::make_shared<Recorder>();
  const CarriedSocket carried = fixture.server.open_socket(fixture.client_socket(), carrier);
  CHECK(carrier->accepted == 1);
  CHECK(carrier->code == describe(errc::overloaded).close_code);
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

TEST_CASE("a carried socket hears what a socket of the server's hears") {
  Fixture fixture;
  fixture.send(ada, "Before");
  auto carrier = std::make_shared<Recorder>();
  CarriedSocket socket = fixture.server.open_socket(fixture.client_socket("&since=0"), carrier);
  CHECK(contains(carrier->text(0), R"("type":"typing")"));
  CHECK(contains(carrier->text(1), R"("content":"Before")"));
  CHECK(carrier->text(2) == R"({"type":"caught_up","rev":1})");
  CHECK(carrier->accepted == 1);
  CHECK(carrier->subprotocol == "travelchat.v1");
  fixture.send(ada, "After");
  CHECK(contains(carrier->text(3), R"("content":"After")"));
  socket.receive_text(R"({"type":"seen"})");
  CHECK(contains(carrier->text(4), R"("type":"seen")"));
}

TEST_CASE("a carried inbox hears the organization's conversations") {
  Fixture fixture;
  HttpRequest request = Fixture::socket_request("/ws/inbox");
  request.headers.emplace_back("cookie", "session=ada");
  auto carrier = std::make_shared<Recorder>();
  CarriedSocket socket = fixture.server.open_socket(std::move(request), carrier);
  // Whether it listens already is not told; messages go on until it does.
  const auto heard = std::async(std::launch::async, [&] { return carrier->text(0); });
  while (heard.wait_for(std::chrono::milliseconds{5}) != std::future_status::ready) fixture.send(ada, "Hello");
  CHECK(contains(carrier->text(0), R"("clientName":"Carl")"));
}

TEST_CASE("what a carried peer says before it is admitted counts afterwards") {
  Fixture fixture;
  fixture.host.hold();
  HttpRequest request = Fixture::socket_request(fixture.chat_target("advisor", "ada"));
  auto carrier = std::make_shared<Recorder>();
  CarriedSocket socket = fixture.server.open_socket(std::move(request), carrier);
  socket.receive_text("{");
  const auto reply = fixture.host.wait_for_held();
  CHECK(carrier->accepted == 0);
  reply(std::optional(Advisor{"org", "ada", "Ada", {}, {}, false}));
  CHECK(contains(carrier->text(0), R"("type":"typing")"));
  CHECK(contains(carrier->text(1), R"("code":"malformed_json")"));
}

TEST_CASE("a carried peer that goes stops typing") {
  Fixture fixture;
  HttpRequest request = Fixture::socket_request(fixture.chat_target("advisor", "ada"));
  request.headers.emplace_back("authorization", "Bearer a.d.a");
  auto watcher = std::make_shared<Recorder>();
  const CarriedSocket watching = fixture.server.open_socket(fixture.client_socket(), watcher);
  watcher->text(0);
  auto carrier = std::make_shared<Recorder>();
  CarriedSocket socket = fixture.server.open_socket(std::move(request), carrier);
  carrier->text(0);
  socket.receive_text(R"({"type":"typing","isTyping":true})");
  CHECK(contains(watcher->text(1), R"("advisorTyping":true)"));
  SECTION("when its carrier says so") {
    socket.closed();
    CHECK(contains(watcher->text(2), R"("advisorTyping":false)"));
    CHECK(carrier->wait_for_close() == 1000);
  }
  SECTION("when its carrier lets go of it") {
    socket = {};
    CHECK(contains(watcher->text(2), R"("advisorTyping":false)"));
  }
}

TEST_CASE("a carried socket closes with the codes of any other") {
  Fixture fixture;
  auto carrier = std::make_shared<Recorder>();
  const auto open = [&](HttpRequest request) { return fixture.server.open_socket(std::move(request), carrier); };
  SECTION("a binary message") {
    CarriedSocket socket = open(fixture.client_socket());
    socket.receive_binary();
    CHECK(carrier->wait_for_close() == 1003);
  }
  SECTION("a text that is no UTF-8") {
    CarriedSocket socket = open(fixture.client_socket());
    socket.receive_text("\"\xC0\xAF\"");
    CHECK(carrier->wait_for_close() == 1007);
  }
  SECTION("64 KiB and a byte") {
    CarriedSocket socket = open(fixture.client_socket());
    socket.receive_text(std::string(64 * 1024 + 1, ' '));
    CHECK(carrier->wait_for_close() == 1009);
  }
  SECTION("the fifth message that is refused") {
    CarriedSocket socket = open(fixture.client_socket());
    for (int i = 0; i < 5; ++i) socket.receive_text("{");
    CHECK(carrier->wait_for_close() == 1008);
    CHECK(carrier->texts.size() == 5);  // typing, and four errors
  }
  SECTION("a missing parameter") {
    const CarriedSocket socket = open(Fixture::socket_request("/ws/chat?userType=client"));
    CHECK(carrier->wait_for_close() == 4400);
  }
  SECTION("no credential") {
    const CarriedSocket socket = open(Fixture::socket_request(fixture.chat_target("client", "carl")));
    CHECK(carrier->wait_for_close() == 4401);
    CHECK(carrier->accepted == 1);
  }
  SECTION("a credential for something else") {
    HttpRequest request = fixture.client_socket();
    request.target = fixture.chat_target("client", "dora");
    const CarriedSocket socket = open(std::move(request));
    CHECK(carrier->wait_for_close() == 4403);
  }
  SECTION("an origin that is not allowed") {
    HttpRequest request = fixture.client_socket();
    request.headers.emplace_back("origin", "https://evil.example");
    const CarriedSocket socket = open(std::move(request));
    CHECK(carrier->wait_for_close() == 4403);
  }
  SECTION("a path where no socket is") {
    const CarriedSocket socket = open(Fixture::socket_request("/ws/elsewhere"));
    CHECK(carrier->wait_for_close() == 4404);
  }
  SECTION("a stop") {
    const CarriedSocket socket = open(fixture.client_socket());
    carrier->text(0);
    fixture.server.stop();
    CHECK(carrier->wait_for_close() == 1012);
  }
  SECTION("a stop before the host has said who it is") {
    fixture.host.hold();
    const CarriedSocket socket = open(Fixture::socket_request(fixture.chat_target("advisor", "ada")));
    fixture.host.wait_for_held();
    fixture.server.stop(std::chrono::milliseconds{0});
    CHECK(carrier->wait_for_close() == 1012);
    CHECK(carrier->accepted == 1);
    fixture.host.forget_held();
  }
  SECTION("a server that has stopped") {
    fixture.server.stop();
    const CarriedSocket socket = open(fixture.client_socket());
    CHECK(carrier->code == 1012);
  }
  CHECK(carrier->accepted == 1);
}

TEST_CASE("a carrier that gets rid of nothing is closed with 4408, one that acknowledges is not") {
  BeastServerOptions options = silent();
  options.max_outbox_bytes = 16 * 1024;
  Fixture fixture(options);
  auto slow = std::make_shared<Recorder>();
  auto quick = std::make_shared<Recorder>();
  const CarriedSocket slow_socket = fixture.server.open_socket(fixture.client_socket(), slow);
  CarriedSocket quick_socket = fixture.server.open_socket(fixture.client_socket(), quick);
  quick->text(0);
  slow->text(0);
  for (std::size_t i = 1; i <= 20; ++i) {
    fixture.send(ada, std::string(4'000, 'x'));
    quick->text(i);
    // One batch for each so far, however they were cut.
    quick_socket.taken(quick->batches);
  }
  CHECK(slow->wait_for_close() == 4408);
  CHECK(slow->texts.size() < 6);
  CHECK_FALSE(quick->code.has_value());
}

TEST_CASE("a carried peer that sends without end is closed with 4429") {
  BeastServerOptions options = silent();
  options.max_outbox_bytes = 16 * 1024;
  Fixture fixture(options);
  fixture.host.hold();
  auto carrier = std::make_shared<Recorder>();
  CarriedSocket socket =
      fixture.server.open_socket(Fixture::socket_request(fixture.chat_target("advisor", "ada")), carrier);
  const auto reply = fixture.host.wait_for_held();
  for (int i = 0; i < 100; ++i) socket.receive_text(R"({"type":"seen","padding":")" + std::string(1'000, ' ') + "\"}");
  reply(std::optional(Advisor{"org", "ada", "Ada", {}, {}, false}));
  CHECK(carrier->wait_for_close() == 4429);
}

TEST_CASE("a carried socket is closed when its credential expires") {
  Fixture fixture;
  fixture.host.hold();
  auto carrier = std::make_shared<Recorder>();
  const CarriedSocket socket =
      fixture.server.open_socket(Fixture::socket_request(fixture.chat_target("advisor", "ada")), carrier);
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  fixture.host.wait_for_held()(std::optional(Advisor{"org", "ada", "Ada", {}, now, false}));
  CHECK(carrier->wait_for_close() == 4401);
}
