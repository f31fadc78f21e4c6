#include "transport/http_session.hpp"

#include "transport/await.hpp"
#include "transport/exchange.hpp"
#include "transport/outbox.hpp"
#include "transport/web_socket.hpp"

#include "wire/wire.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>

namespace travelchat::transport {
namespace {

namespace http = boost::beast::http;
using Parser = http::request_parser<http::string_body>;

constexpr std::size_t first_buffer_bytes = 2 * 1024;
// Answers to pipelined requests that may wait for the peer before the next request is looked at.
constexpr std::size_t max_waiting_answers = 256 * 1024;

constexpr ErrorInfo upgrade_required{errc::invalid_argument, "upgrade_required", 426, 4400,
                                     "This address takes WebSocket connections, version 13."};

void append_number(std::size_t number, std::string& out) {
  std::array<char, 20> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), end);
}

bool is_header_text(std::string_view text) noexcept {
  return std::none_of(text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

bool is_framing_header(std::string_view name) noexcept {
  return iequals(name, "content-length") || iequals(name, "connection") || iequals(name, "transfer-encoding") ||
         iequals(name, "date");
}

std::string_view view(boost::beast::string_view text) noexcept {
  return {text.data(), text.size()};
}

// What a page of an allowed origin may ask of this path.
HttpResponse preflight_answer(std::span<const std::string_view> path) {
  std::string methods;
  Pattern::Params ignored;
  for (const ChatRoute& route : chat_routes()) {
    if (!route.cross_origin || !route.pattern.match(path, ignored)) continue;
    if (!methods.empty()) methods += ", ";
    methods += route.method;
  }
  HttpResponse response;
  response.status = 204;
  response.headers = {{"Access-Control-Allow-Methods", std::move(methods)},
                      {"Access-Control-Allow-Headers", "Authorization, Content-Type"},
                      {"Access-Control-Max-Age", "7200"}};  // Chromium keeps it no longer
  return response;
}

}  // namespace

class HttpSession final : public Connection {
 public:
  HttpSession(Shard& shard, Server::Place place, RawSocket socket, std::string remote_address)
      : Connection(shard),
        place_(std::move(place)),
        remote_address_(std::move(remote_address)),
        socket_(shard.context(), std::move(socket)),
        outbox_(shard, socket_, *this) {
    shard_.counters().http_connections.add(1);
  }

  ~HttpSession() override { shard_.counters().http_connections.subtract(1); }

  void start() {
    if (!socket_.is_open() || shard_.draining()) return;
    wait_for(Waiting::request);
    advance();
  }

  void tick(const Now& now) override;
  void drain() override;
  void cut() override { gone(); }
  void outbox_drained() override;
  void outbox_broken() override { gone(); }

  // ---- For Exchange ----
  Shard& shard() const noexcept { return shard_; }
  const Parser::value_type& request() const noexcept { return parser_->get(); }
  std::string_view header(http::field name) const noexcept { return view(request()[name]); }
  const Pattern::Params& params() const noexcept { return params_; }
  const TargetPath& path() const noexcept { return path_; }
  const Query& query() const noexcept { return query_; }
  const std::string& remote_address() const noexcept { return client_.empty() ? remote_address_ : client_; }
  bool is_secure() const noexcept { return socket_.has_tls(); }

  struct Answer {
    int status = 200;
    std::string_view content_type;  // empty: none, or within `headers`
    std::string_view headers;       // whole lines
    std::string body;
    Buffer shared_body;  // in place of `body`
    bool may_be_cached = false;
  };
  void answer(Answer answer);
  void fail(const ErrorInfo& error, std::string_view headers = {});

 private:
  enum class Phase : std::uint8_t { reading, answering, closing, lingering, closed };
  enum class Waiting : std::uint8_t { request, head, body };
  // Whether a page of another origin may read the answer. `none`: nobody's may; `refused`: allowed origins' may, and
  // this is none of them.
  enum class Sharing : std::uint8_t { none, refused, granted };

  std::shared_ptr<HttpSession> self() { return std::static_pointer_cast<HttpSession>(shared_from_this()); }

  void advance();
  bool process();
  void begin_message();
  void read_more();
  bool make_room();
  void wait_for(Waiting what);
  void find_client();
  void check_head();
  bool is_path_too_long() const noexcept;
  void refuse(errc error);
  void dispatch();
  void dispatch(Exchange exchange);
  void share(std::string_view method, std::span<const std::string_view> path);
  void upgrade(Exchange exchange, std::string_view query);
  void close_gently();
  void linger();
  void discard();
  void input_ended();
  void gone();

  Server::Place place_;
  std::string remote_address_;
  std::string client_;  // whom a trusted proxy speaks for; empty: whoever is connected
  Socket socket_;
  Outbox outbox_;

  std::unique_ptr<char[]> in_;
  std::size_t in_capacity_ = 0;
  std::size_t in_begin_ = 0;
  std::size_t in_end_ = 0;

  std::optional<Parser> parser_;
  std::size_t head_bytes_ = 0;  // of the current message, as far as they were taken
  TargetPath path_;
  Query query_;
  Pattern::Params params_{};

  SteadyTime deadline_{};
  SteadyTime begun_{};          // when the current request's first byte was seen
  SteadyTime stalled_since_{};  // when the peer last took something
  std::size_t stalled_bytes_ = 0;
  Phase phase_ = Phase::reading;
  Waiting waiting_ = Waiting::request;
  Sharing sharing_ = Sharing::none;
  bool in_message_ = false;
  bool head_seen_ = false;
  bool close_after_ = false;
  bool processing_ = false;
  bool paused_ = false;
};

// ---- Reading ----

void HttpSession::advance() {
  while (process()) {
    if (!make_room()) {
      refuse(errc::invalid_argument);
      return;
    }
    if (!socket_.has_tls()) {
      socket_.async_read_plain(in_.get() + in_end_, in_capacity_ - in_end_,
                               [self = self()](const error_code& ec, std::size_t size) {
                                 if (self->phase_ == Phase::closed) return;
                                 if (ec) {
                                   self->input_ended();
                                   return;
                                 }
                                 self->shard_.counters().bytes_received.add(size);
                                 self->in_end_ += size;
                                 self->advance();
                               });
      return;
    }
    const auto [size, state] = socket_.read(in_.get() + in_end_, in_capacity_ - in_end_);
    if (state == Socket::State::blocked) {
      socket_.wait_readable([self = self()](const error_code& ec) {
        if (self->phase_ == Phase::closed) return;
        if (ec)
          self->gone();
        else
          self->advance();
      });
      return;
    }
    if (state != Socket::State::ok) {
      input_ended();
      return;
    }
    shard_.counters().bytes_received.add(size);
    in_end_ += size;
  }
}

bool HttpSession::make_room() {
  if (in_begin_ == in_end_) in_begin_ = in_end_ = 0;
  if (in_end_ < in_capacity_) return true;
  if (in_begin_ > 0) {
    std::memmove(in_.get(), in_.get() + in_begin_, in_end_ - in_begin_);
    in_end_ -= in_begin_;
    in_begin_ = 0;
    return true;
  }
  // Only an unfinished header (or a chunk's) fills the buffer, and the parser ends one that is too long.
  const std::size_t limit = 2 * (shard_.server().options().max_header_bytes + first_buffer_bytes);
  if (in_capacity_ >= limit) return false;
  const std::size_t capacity = std::max(first_buffer_bytes, 2 * in_capacity_);
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  if (in_end_ > 0) std::memcpy(larger.get(), in_.get(), in_end_);
  in_ = std::move(larger);
  in_capacity_ = capacity;
  return true;
}

void HttpSession::wait_for(Waiting what) {
  const BeastServerOptions& options = shard_.server().options();
  waiting_ = what;
  deadline_ = std::chrono::steady_clock::now() + (what == Waiting::request ? options.idle_timeout
                                                  : what == Waiting::head  ? options.header_timeout
                                                                           : options.body_timeout);
}

void HttpSession::begin_message() {
  const BeastServerOptions& options = shard_.server().options();
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(
      std::min<std::size_t>(options.max_header_bytes, std::numeric_limits<std::uint32_t>::max())));
  parser_->body_limit(options.max_body_bytes);
  in_message_ = true;
  head_seen_ = false;
  sharing_ = Sharing::none;
  client_.clear();
  head_bytes_ = 0;
  begun_ = std::chrono::steady_clock::now();
}

// Works on what has been read. True: more bytes are needed.
bool HttpSession::process() {
  if (processing_) return false;
  processing_ = true;
  bool wants_more = false;
  while (phase_ == Phase::reading && !wants_more) {
    if (!in_message_) {
      if (outbox_.pending_bytes() > max_waiting_answers) {
        outbox_.flush();
        if (!outbox_.empty()) {
          paused_ = true;
          outbox_.tell_when_drained();
          break;
        }
      }
      // Empty lines before a request are skipped (RFC 9112 section 2.2).
      while (in_begin_ < in_end_ && (in_[in_begin_] == '\r' || in_[in_begin_] == '\n')) ++in_begin_;
      if (in_begin_ == in_end_) {
        wants_more = true;
        break;
      }
      begin_message();
    }
    error_code ec;
    const std::size_t used = parser_->put(boost::asio::const_buffer(in_.get() + in_begin_, in_end_ - in_begin_), ec);
    in_begin_ += used;
    if (ec == http::error::need_more) ec = {};
    if (ec) {
      if (ec == http::error::header_limit) {
        refuse(is_path_too_long() ? errc::not_found : errc::headers_too_large);
      } else {
        refuse(ec == http::error::body_limit ? errc::payload_too_large : errc::invalid_argument);
      }
      break;
    }
    if (!head_seen_) {
      // The parser takes the fields line by line and limits only what it is given at once.
      head_bytes_ += used;
      head_seen_ = parser_->is_header_done();
      if (head_bytes_ + (head_seen_ ? 0 : in_end_ - in_begin_) > shard_.server().options().max_header_bytes) {
        refuse(errc::headers_too_large);
        break;
      }
      if (head_seen_) {
        find_client();
        check_head();
      }
      if (phase_ != Phase::reading) break;
    }
    if (parser_->is_done()) {
      dispatch();
    } else if (used == 0 || in_begin_ == in_end_) {
      wants_more = true;
      const Waiting what = head_seen_ ? Waiting::body : Waiting::head;
      if (waiting_ != what) wait_for(what);
    }
  }
  processing_ = false;
  return wants_more;
}

// A path that alone fills the header's limit names nothing that could exist, which is how an id of any other wrong
// shape is answered.
bool HttpSession::is_path_too_long() const noexcept {
  const std::string_view start(in_.get() + in_begin_, in_end_ - in_begin_);
  return request().target().empty() && start.find_first_of("?\r") == start.npos;
}

void HttpSession::find_client() {
  const auto trusted = shard_.server().trusted_proxies();
  if (trusted.empty()) return;
  // Some proxies append to the line that is there, others add one behind it.
  std::string forwarded_for;
  const auto [first, last] = request().equal_range("X-Forwarded-For");
  for (auto line = first; line != last; ++line) {
    if (!forwarded_for.empty()) forwarded_for += ',';
    forwarded_for += view(line->value());
  }
  client_ = client_address(remote_address_, forwarded_for, trusted);
}

// What Beast's parser lets pass although it makes a request ambiguous (RFC 9112 sections 3.2 and 6.3).
void HttpSession::check_head() {
  const auto& head = request();
  const auto count = [&](http::field name) { return head.count(name); };
  const bool host_ok = head.version() >= 11 ? count(http::field::host) == 1 : count(http::field::host) <= 1;
  const bool framed_once = count(http::field::content_length) + count(http::field::transfer_encoding) <= 1 &&
                           header(http::field::content_length).find(',') == std::string_view::npos;
  const bool encoding_ok = count(http::field::transfer_encoding) == 0 ||
                           (parser_->chunked() && iequals(trim(header(http::field::transfer_encoding)), "chunked"));
  if (!host_ok || !framed_once || !encoding_ok) {
    refuse(errc::invalid_argument);
    return;
  }
  if (!parser_->is_done() && head.version() >= 11 && iequals(header(http::field::expect), "100-continue")) {
    outbox_.append(std::string("HTTP/1.1 100 Continue\r\n\r\n"));
  }
}

// ---- Answering ----

// Answers what cannot be understood any further; whatever follows on this connection is ignored.
void HttpSession::refuse(errc error) {
  if (phase_ != Phase::reading) return;
  phase_ = Phase::answering;
  close_after_ = true;
  // A page of another origin sees the error only if it may: what it cannot read, it would take for a lost network.
  if (const auto path = TargetPath::parse(split_target(view(request().target())).first)) {
    share(view(request().method_string()), path->segments());
  }
  fail(describe(error));
}

// Decides who may read the answer to `method` on this path (the Fetch standard's CORS protocol). Only the routes that
// need no session are shared, and without Access-Control-Allow-Credentials, so browsers give a foreign page nothing
// that rests on a cookie.
void HttpSession::share(std::string_view method, std::span<const std::string_view> path) {
  const auto& allowed = shard_.server().options().allowed_origins;
  if (allowed.empty()) return;
  Pattern::Params ignored;
  const bool is_shared = std::ranges::any_of(chat_routes(), [&](const ChatRoute& route) {
    return route.cross_origin && (route.method == method || (route.method == "GET" && method == "HEAD")) &&
           route.pattern.match(path, ignored);
  });
  if (is_shared)
    sharing_ = is_listed_origin(header(http::field::origin), allowed) ? Sharing::granted : Sharing::refused;
}

void HttpSession::dispatch() {
  phase_ = Phase::answering;
  dispatch(Exchange(self()));
}

void HttpSession::dispatch(Exchange exchange) {
  params_ = {};
  const auto [raw_path, raw_query] = split_target(view(request().target()));
  auto path = TargetPath::parse(raw_path);
  if (!path) {
    exchange.fail(path.error());
    return;
  }
  path_ = std::move(*path);
  const auto segments = path_.segments();
  if (segments.size() == 2 && segments[0] == "ws" && (segments[1] == "chat" || segments[1] == "inbox")) {
    upgrade(std::move(exchange), raw_query);
    return;
  }
  if (exchange.method() == "OPTIONS") {
    // Without a method to ask for it is no preflight, and answered as any method that a route does not have.
    share(header(http::field::access_control_request_method), segments);
    if (sharing_ == Sharing::granted) {
      exchange.respond(preflight_answer(segments));
      return;
    }
  } else {
    share(exchange.method(), segments);
  }
  auto query = Query::parse(raw_query);
  if (!query) {
    exchange.fail(query.error());
    return;
  }
  query_ = std::move(*query);

  const std::string_view method = exchange.method();
  const bool is_read = method == "GET" || method == "HEAD";
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  std::string allowed;
  const auto allow = [&](std::string_view other) {
    if (!allowed.empty()) allowed += ", ";
    allowed += other;
    if (other == "GET") allowed += ", HEAD";
  };
  for (const ChatRoute& route : chat_routes()) {
    if (!route.pattern.match(segments, params_)) continue;
    if (route.method != wanted) {
      allow(route.method);
      continue;
    }
    const std::string_view encoding = header(http::field::content_encoding);
    const bool has_body = !request().body().empty();
    if ((route.body == BodyKind::json || (route.body == BodyKind::optional && has_body)) &&
        (!is_json(header(http::field::content_type)) || !(encoding.empty() || iequals(encoding, "identity")))) {
      exchange.fail(errc::unsupported_media_type);
      return;
    }
    route.handle(std::move(exchange));
    return;
  }
  Server& server = shard_.server();
  const HttpHandler* handler = nullptr;
  std::vector<std::string> params;
  for (const HostRoutes::Entry& entry : server.host_routes.entries()) {
    if (handler != nullptr || !entry.match(segments, nullptr)) continue;
    if (entry.method != wanted) {
      allow(entry.method);
      continue;
    }
    entry.match(segments, &params);
    handler = &entry.handler;
  }
  if (handler == nullptr && !allowed.empty()) {
    allowed.insert(0, "Allow: ");
    allowed += "\r\n";
    exchange.fail(describe(errc::method_not_allowed), allowed);
    return;
  }
  if (handler == nullptr && is_read && server.fallback) handler = &server.fallback;
  if (handler == nullptr) {
    exchange.fail(errc::not_found);
    return;
  }
  if (!is_read && !header(http::field::cookie).empty() && !exchange.from_trusted_origin()) {
    exchange.fail(errc::cross_origin);
    return;
  }
  // The host answers from any thread, and may forget to.
  HttpRequest host_request = exchange.to_host_request(std::move(params));
  [](Exchange waiting, HttpRequest asked, const HttpHandler& handle) -> Detached {
    auto response = co_await ask_host<HttpResponse>(waiting.shard(), [&](Host&, Reply<HttpResponse> reply) {
      handle(std::move(asked), HttpRespond(std::move(reply)));
    });
    if (response)
      waiting.respond(std::move(*response));
    else
      waiting.fail(response.error());
  }(std::move(exchange), std::move(host_request), *handler);
}

void HttpSession::upgrade(Exchange exchange, std::string_view query) {
  const auto& head = request();
  const Handshake outcome =
      check_handshake({head.version() == 11, head.method() == http::verb::get, header(http::field::upgrade),
                       header(http::field::connection), trim(header(http::field::sec_websocket_key)),
                       trim(header(http::field::sec_websocket_version))});
  if (outcome == Handshake::upgrade_required) {
    exchange.fail(upgrade_required, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    return;
  }
  if (outcome == Handshake::bad_request) {
    if (head.method() != http::verb::get)
      exchange.fail(describe(errc::method_not_allowed), "Allow: GET\r\n");
    else
      exchange.fail(errc::invalid_argument);
    return;
  }
  // What was answered before must be gone before the connection changes hands.
  outbox_.flush();
  if (!outbox_.empty()) {
    gone();
    return;
  }
  const Subprotocols offered = parse_subprotocols(header(http::field::sec_websocket_protocol));
  Upgrade asked(std::move(place_));
  asked.is_inbox = path_.segments()[1] == "inbox";
  asked.accept_key = accept_key(trim(header(http::field::sec_websocket_key)));
  asked.speaks_v1 = offered.travelchat_v1;
  if (auto parsed = Query::parse(query)) asked.query = std::move(*parsed);
  if (offered.auth_token) {
    asked.chat_token = std::string(*offered.auth_token);
  } else if (asked.query) {
    if (const auto token = asked.query->value("chatToken")) asked.chat_token = std::string(*token);
  }
  asked.credentials = exchange.credentials();
  // Fetch metadata says nothing more here: only `Origin` is required of a browser that opens a socket.
  asked.origin_ok = header(http::field::origin).empty() ||
                    is_trusted_origin(header(http::field::origin), {}, header(http::field::host),
                                      shard_.server().options().allowed_origins);
  asked.early_bytes.assign(in_.get() + in_begin_, in_end_ - in_begin_);
  asked.socket = socket_.release();
  phase_ = Phase::closed;
  open_web_socket(shard_, std::move(asked));
}

void HttpSession::fail(const ErrorInfo& error, std::string_view headers) {
  answer({error.http_status, "application/json", headers, wire::error_body(error), nullptr, false});
}

void HttpSession::answer(Answer answer) {
  if (phase_ != Phase::answering) return;
  const auto& head = request();
  const bool keep_alive = !close_after_ && !shard_.draining() && head.keep_alive();
  const bool is_head = head.method() == http::verb::head;
  const bool has_length = answer.status >= 200 && answer.status != 204 && answer.status != 304;
  const std::size_t size = answer.shared_body ? answer.shared_body->size() : answer.body.size();

  std::string bytes;
  bytes.reserve(320 + answer.headers.size() + (answer.shared_body ? 0 : answer.body.size()));
  bytes += "HTTP/1.1 ";
  append_number(static_cast<std::size_t>(answer.status), bytes);
  bytes += ' ';
  bytes += view(http::obsolete_reason(http::int_to_status(static_cast<unsigned>(answer.status))));
  bytes += "\r\nDate: ";
  bytes += shard_.date();
  bytes += "\r\nX-Content-Type-Options: nosniff\r\n";
  if (!answer.may_be_cached) bytes += "Cache-Control: no-store\r\n";
  if (!answer.content_type.empty()) {
    bytes += "Content-Type: ";
    bytes += answer.content_type;
    bytes += "\r\n";
  }
  bytes += answer.headers;
  if (sharing_ != Sharing::none) bytes += "Vary: Origin\r\n";
  if (sharing_ == Sharing::granted) {
    bytes += "Access-Control-Allow-Origin: ";
    bytes += header(http::field::origin);
    bytes += "\r\nAccess-Control-Expose-Headers: X-Has-More, Retry-After\r\n";
  }
  if (has_length) {
    bytes += "Content-Length: ";
    append_number(size, bytes);
    bytes += "\r\n";
  }
  if (!keep_alive)
    bytes += "Connection: close\r\n";
  else if (head.version() < 11)
    bytes += "Connection: keep-alive\r\n";
  bytes += "\r\n";
  const bool sends_body = has_length && !is_head;
  if (sends_body && !answer.shared_body) bytes += answer.body;

  Counters& counters = shard_.counters();
  counters.answers[static_cast<std::size_t>(std::clamp(answer.status / 100, 1, 5)) - 1].add(1);
  const auto now = std::chrono::steady_clock::now();
  if (const AccessLog& log = shard_.server().access_log) {
    const auto path = head_seen_ ? split_target(view(head.target())).first : std::string_view();
    try {
      log({head_seen_ ? view(head.method_string()) : std::string_view(), path, answer.status, sends_body ? size : 0,
           std::chrono::duration_cast<std::chrono::microseconds>(now - begun_), remote_address()});
    } catch (...) {
      // A log that fails must not cost the answer.
    }
  }
  outbox_.append(std::move(bytes));
  if (sends_body && answer.shared_body) outbox_.append(std::move(answer.shared_body));
  in_message_ = false;
  if (!keep_alive) {
    close_gently();
    return;
  }
  phase_ = Phase::reading;
  waiting_ = Waiting::request;
  deadline_ = now + shard_.server().options().idle_timeout;
  if (!processing_) advance();
}

// ---- Ending ----

// Sends what waits, then lingers: closing at once while the peer still sends would reset the connection and could take
// the last answer with it.
void HttpSession::close_gently() {
  if (phase_ >= Phase::closing) return;
  phase_ = Phase::closing;
  outbox_.seal();
  outbox_.flush();
  if (outbox_.empty())
    linger();
  else
    outbox_.tell_when_drained();
}

void HttpSession::linger() {
  phase_ = Phase::lingering;
  deadline_ = std::chrono::steady_clock::now() + shard_.server().options().close_timeout;
  socket_.shutdown_write();
  discard();
}

void HttpSession::discard() {
  socket_.wait_readable([self = self()](const error_code& ec) {
    if (self->phase_ == Phase::closed) return;
    const auto scratch = self->shard_.scratch();
    Socket::Outcome got{0, ec ? Socket::State::failed : Socket::State::ok};
    // A peer that sends without end gets no more than its turn.
    for (int turn = 0; turn < 4 && got.state == Socket::State::ok; ++turn) {
      got = self->socket_.read(scratch.data(), scratch.size());
    }
    if (got.state == Socket::State::end || got.state == Socket::State::failed)
      self->gone();
    else
      self->discard();
  });
}

// A peer that only ended its own half still gets what was answered.
void HttpSession::input_ended() {
  outbox_.seal();
  if (!outbox_.blocked()) outbox_.flush();
  if (outbox_.empty() || phase_ == Phase::lingering) {
    gone();
  } else {
    phase_ = Phase::closing;
    outbox_.tell_when_drained();
  }
}

void HttpSession::gone() {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  outbox_.seal();
  socket_.close();
}

void HttpSession::outbox_drained() {
  if (phase_ == Phase::closing) {
    linger();
  } else if (paused_) {
    paused_ = false;
    advance();
  }
}

void HttpSession::tick(const Now& now) {
  const BeastServerOptions& options = shard_.server().options();
  if (outbox_.empty() || outbox_.pending_bytes() != stalled_bytes_) {
    stalled_bytes_ = outbox_.pending_bytes();
    stalled_since_ = now.steady;
  } else if (now.steady - stalled_since_ >= options.write_timeout) {
    gone();
    return;
  }
  if (phase_ == Phase::lingering && now.steady >= deadline_) {
    gone();
  } else if (phase_ == Phase::reading && !paused_ && now.steady >= deadline_) {
    if (waiting_ == Waiting::request)
      close_gently();
    else
      refuse(errc::request_timeout);
  }
}

void HttpSession::drain() {
  if (phase_ == Phase::reading && !in_message_) close_gently();
}

// ---- Exchange ----

Exchange::~Exchange() {
  if (session_) session_->fail(describe(errc::internal));
}

Shard& Exchange::shard() const noexcept {
  return session_->shard();
}
Server& Exchange::server() const noexcept {
  return session_->shard().server();
}
std::string_view Exchange::method() const noexcept {
  return view(session_->request().method_string());
}
std::string_view Exchange::header(Field name) const noexcept {
  return session_->header(name);
}
std::string_view Exchange::param(std::size_t index) const noexcept {
  return session_->params()[index];
}
const Query& Exchange::query() const noexcept {
  return session_->query();
}
std::string_view Exchange::body() const noexcept {
  return session_->request().body();
}
const std::string& Exchange::remote_address() const noexcept {
  return session_->remote_address();
}

RequestCredentials Exchange::credentials() const {
  RequestCredentials credentials;
  credentials.authorization = std::string(header(Field::authorization));
  // HTTP/1.1 allows one Cookie header; several are joined as a browser would have.
  const auto& head = session_->request();
  const auto range = head.equal_range(Field::cookie);
  for (auto it = range.first; it != range.second; ++it) {
    if (!credentials.cookie.empty()) credentials.cookie += "; ";
    credentials.cookie += view(it->value());
  }
  return credentials;
}

bool Exchange::from_trusted_origin() const {
  return is_trusted_origin(header(Field::origin), view(session_->request()["Sec-Fetch-Site"]), header(Field::host),
                           server().options().allowed_origins);
}

void Exchange::answer(int status, std::string json, std::string_view headers) {
  const auto session = std::move(session_);
  session->answer({status, "application/json", headers, std::move(json), nullptr, false});
}

void Exchange::fail(const ErrorInfo& error, std::string_view headers) {
  const auto session = std::move(session_);
  session->fail(error, headers);
}

void Exchange::fail_rate_limited(std::chrono::milliseconds retry_after) {
  const auto session = std::move(session_);
  std::string headers = "Retry-After: ";
  append_number(static_cast<std::size_t>(std::chrono::ceil<std::chrono::seconds>(retry_after).count()), headers);
  headers += "\r\n";
  session->fail(describe(errc::rate_limited), headers);
}

void Exchange::respond(HttpResponse response) {
  const auto session = std::move(session_);
  std::string headers;
  bool may_be_cached = false;
  for (const auto& [name, value] : response.headers) {
    if (name.empty() || is_framing_header(name) || !is_header_text(name) || !is_header_text(value)) continue;
    if (iequals(name, "x-content-type-options")) continue;
    if (iequals(name, "cache-control")) may_be_cached = true;
    headers += name;
    headers += ": ";
    headers += value;
    headers += "\r\n";
  }
  if (response.status < 200 || response.status > 599) response.status = 500;
  session->answer(
      {response.status, {}, headers, std::move(response.body), std::move(response.shared_body), may_be_cached});
}

HttpRequest Exchange::to_host_request(std::vector<std::string> params) const {
  HttpRequest request;
  request.method = std::string(method());
  request.path = std::string(session_->path().path());
  request.params = std::move(params);
  request.query = session_->query().pairs();
  for (const auto& field : session_->request()) {
    std::string name(view(field.name_string()));
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    request.headers.emplace_back(std::move(name), std::string(view(field.value())));
  }
  request.body = std::string(body());
  request.remote_address = session_->remote_address();
  request.is_secure = session_->is_secure();
  return request;
}

void open_http_session(Shard& shard, Server::Place place, RawSocket socket, std::string remote_address) {
  std::make_shared<HttpSession>(shard, std::move(place), std::move(socket), std::move(remote_address))->start();
}

}  // namespace travelchat::transport
