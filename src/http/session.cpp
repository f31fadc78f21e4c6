#include "http/session.hpp"

#include "http/exchange.hpp"
#include "http/outbox.hpp"
#include "http/request.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

namespace travelchat::http {
namespace {

namespace beast_http = boost::beast::http;

constexpr std::size_t first_buffer_bytes = 2 * 1024;
// Answers to pipelined requests that may wait for the peer before the next request is looked at.
constexpr std::size_t max_waiting_answers = 256 * 1024;

// Drops the trailers of a chunked body (RFC 9110 section 6.5.1). Beast adds them to the headers after those were
// checked, so they could bring a credential past a proxy that checks headers and forwards bodies unread.
class Parser final : public beast_http::request_parser<beast_http::string_body> {
  void on_field_impl(beast_http::field name, boost::beast::string_view text, boost::beast::string_view value,
                     boost::beast::error_code&) override {
    if (!is_header_done()) get().insert(name, text, value);
  }
};

}  // namespace

class Session final : public Connection, public Request, private IdleConnection {
 public:
  Session(EventLoop& loop, ConnectionSlot slot, RawSocket socket, std::string remote_address,
          std::shared_ptr<void> context)
      : Connection(loop),
        Request(loop, std::move(remote_address), std::move(context)),
        slot_(std::move(slot)),
        socket_(loop.context(), std::move(socket)),
        outbox_(loop, socket_, *this),
        is_secure_(socket_.has_tls()) {
    loop_.counters().connections.add(1);
  }

  ~Session() override { loop_.counters().connections.subtract(1); }

  void start() {
    if (!socket_.is_open() || loop_.draining()) return;
    wait_for(socket_.is_ready() ? Waiting::request : Waiting::handshake);
    loop_.add(*this);
    advance();
  }

  // Starts with bytes that another server has read: one request, the only one of its connection.
  void start_with(std::string_view bytes) {
    in_ = std::make_unique_for_overwrite<char[]>(bytes.size());
    std::memcpy(in_.get(), bytes.data(), bytes.size());
    in_capacity_ = in_end_ = bytes.size();
    close_after_ = true;
    start();
  }

  void tick(const Now& now) override;
  void drain() override;
  void abort() override { gone(); }
  bool try_end() override;
  void outbox_drained() override;
  void outbox_broken() override { gone(); }

  void answer(Answer answer) override;
  std::optional<UpgradedConnection> release_connection() override;
  bool is_secure() const noexcept override { return is_secure_; }

 private:
  enum class Phase : std::uint8_t { reading, answering, closing, lingering, closed };
  enum class Waiting : std::uint8_t { handshake, request, head, body };
  std::shared_ptr<Session> self() { return std::static_pointer_cast<Session>(shared_from_this()); }

  void advance();
  bool process();
  void begin_message();
  void read_more();
  bool make_room();
  void wait_for(Waiting what);
  void check_head();
  bool is_path_too_long() const noexcept;
  void give_up(errc error);
  void close_gently();
  void linger();
  void discard();
  void input_ended();
  void gone();

  ConnectionSlot slot_;
  Socket socket_;
  Outbox outbox_;
  const bool is_secure_;  // also once the socket was released

  std::unique_ptr<char[]> in_;
  std::size_t in_capacity_ = 0;
  std::size_t in_begin_ = 0;
  std::size_t in_end_ = 0;

  std::optional<Parser> parser_;
  std::size_t head_bytes_ = 0;  // bytes of the current head that the parser has taken

  SteadyTime deadline_{};
  SteadyTime stalled_since_{};  // when the peer last took something
  std::size_t stalled_bytes_ = 0;
  Phase phase_ = Phase::reading;
  Waiting waiting_ = Waiting::request;
  bool in_message_ = false;
  bool head_seen_ = false;
  bool close_after_ = false;
  bool processing_ = false;
  bool paused_ = false;
};

// ---- Reading ----

void Session::advance() {
  while (process()) {
    if (!make_room()) {
      give_up(errc::invalid_argument);
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
                                 self->loop_.counters().bytes_received.add(size);
                                 self->in_end_ += size;
                                 self->advance();
                               });
      return;
    }
    const auto [size, state] = socket_.read(in_.get() + in_end_, in_capacity_ - in_end_);
    if (state == Socket::State::blocked) {
      if (waiting_ == Waiting::handshake && socket_.is_ready()) wait_for(Waiting::request);
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
    loop_.counters().bytes_received.add(size);
    in_end_ += size;
  }
}

bool Session::make_room() {
  if (in_begin_ == in_end_) in_begin_ = in_end_ = 0;
  if (in_end_ < in_capacity_) return true;
  if (in_begin_ > 0) {
    std::memmove(in_.get(), in_.get() + in_begin_, in_end_ - in_begin_);
    in_end_ -= in_begin_;
    in_begin_ = 0;
    return true;
  }
  // Only an unfinished header (or a chunk's) fills the buffer, and the parser ends one that is too long.
  const std::size_t limit = 2 * (loop_.server().options().max_header_bytes + first_buffer_bytes);
  if (in_capacity_ >= limit) return false;
  const std::size_t capacity = std::max(first_buffer_bytes, 2 * in_capacity_);
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  if (in_end_ > 0) std::memcpy(larger.get(), in_.get(), in_end_);
  in_ = std::move(larger);
  in_capacity_ = capacity;
  return true;
}

void Session::wait_for(Waiting what) {
  const Options& options = loop_.server().options();
  waiting_ = what;
  deadline_ = std::chrono::steady_clock::now() + (what == Waiting::handshake ? options.handshake_timeout
                                                  : what == Waiting::request ? options.idle_timeout
                                                  : what == Waiting::head    ? options.header_timeout
                                                                             : options.body_timeout);
}

void Session::begin_message() {
  const Options& options = loop_.server().options();
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(
      std::min<std::size_t>(options.max_header_bytes, std::numeric_limits<std::uint32_t>::max())));
  parser_->body_limit(options.max_body_bytes);
  begin(parser_->get());
  in_message_ = true;
  head_seen_ = false;
  head_bytes_ = 0;
}

// Works on what has been read. True: more bytes are needed.
bool Session::process() {
  if (processing_) return false;
  processing_ = true;
  bool wants_more = false;
  while (phase_ == Phase::reading && !wants_more) {
    if (!in_message_) {
      if (outbox_.pending_bytes() > max_waiting_answers) {
        outbox_.flush();
        if (!outbox_.empty()) {
          paused_ = true;
          outbox_.notify_when_drained();
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
    if (ec == beast_http::error::need_more) ec = {};
    if (ec) {
      if (ec == beast_http::error::header_limit) {
        give_up(is_path_too_long() ? errc::not_found : errc::headers_too_large);
      } else {
        give_up(ec == beast_http::error::body_limit ? errc::payload_too_large : errc::invalid_argument);
      }
      break;
    }
    if (!head_seen_) {
      // The parser takes the fields line by line and limits only what it is given at once.
      head_bytes_ += used;
      head_seen_ = parser_->is_header_done();
      if (head_bytes_ + (head_seen_ ? 0 : in_end_ - in_begin_) > loop_.server().options().max_header_bytes) {
        give_up(errc::headers_too_large);
        break;
      }
      if (head_seen_) {
        unlink();  // it has a request
        find_client();
        check_head();
      }
      if (phase_ != Phase::reading) break;
    }
    if (parser_->is_done()) {
      phase_ = Phase::answering;
      dispatch(Exchange(self()));
    } else if (used == 0 || in_begin_ == in_end_) {
      wants_more = true;
      const Waiting what = head_seen_ ? Waiting::body : Waiting::head;
      if (waiting_ != what) wait_for(what);
    }
  }
  processing_ = false;
  return wants_more;
}

// Whether the path alone exceeds the header limit. It is answered as not found, like any other malformed id.
bool Session::is_path_too_long() const noexcept {
  const std::string_view start(in_.get() + in_begin_, in_end_ - in_begin_);
  return message().target().empty() && start.find_first_of("?\r") == start.npos;
}

// What Beast's parser lets pass although it makes a request ambiguous (RFC 9112 sections 3.2 and 6.3).
void Session::check_head() {
  const auto& head = message();
  const auto count = [&](beast_http::field name) { return head.count(name); };
  const bool host_ok = head.version() < 11 || count(Field::host) == 1;
  const bool framed_once = count(Field::content_length) + count(Field::transfer_encoding) <= 1 &&
                           header(Field::content_length).find(',') == std::string_view::npos;
  const bool encoding_ok =
      count(Field::transfer_encoding) == 0 ||
      (head.version() >= 11 && parser_->chunked() && iequals(trim(header(Field::transfer_encoding)), "chunked"));
  if (!host_ok || !framed_once || !encoding_ok || is_ambiguous()) {
    give_up(errc::invalid_argument);
    return;
  }
  if (!parser_->is_done() && head.version() >= 11 && iequals(header(Field::expect), "100-continue")) {
    outbox_.append(std::string("HTTP/1.1 100 Continue\r\n\r\n"));
  }
}

// ---- Answering ----

// Answers what cannot be understood any further; whatever follows on this connection is ignored.
void Session::give_up(errc error) {
  if (phase_ != Phase::reading) return;
  phase_ = Phase::answering;
  unlink();
  close_after_ = true;
  refuse(error);
}

std::optional<UpgradedConnection> Session::release_connection() {
  if (phase_ != Phase::answering) return std::nullopt;
  // Earlier answers must have been sent before another protocol takes over.
  outbox_.flush();
  if (!outbox_.empty()) {
    gone();
    return std::nullopt;
  }
  phase_ = Phase::closed;
  return UpgradedConnection{std::move(slot_), socket_.release(),
                            std::string(in_.get() + in_begin_, in_end_ - in_begin_)};
}

void Session::answer(Answer answer) {
  if (phase_ != Phase::answering) return;
  const auto& head = message();
  const bool keep_alive = !close_after_ && !loop_.draining() && head.keep_alive();
  const bool is_head = head.method() == beast_http::verb::head;
  const bool has_length = answer.status >= 200 && answer.status != 204 && answer.status != 304;
  const std::size_t size = answer.size();

  std::string bytes;
  bytes.reserve(320 + answer.headers.size() + (answer.shared_body ? 0 : answer.body.size()));
  bytes += "HTTP/1.1 ";
  append_number(static_cast<std::size_t>(answer.status), bytes);
  bytes += ' ';
  bytes += view(beast_http::obsolete_reason(beast_http::int_to_status(static_cast<unsigned>(answer.status))));
  bytes += "\r\nDate: ";
  bytes += loop_.date();
  bytes += "\r\n";
  append_headers(answer, bytes);
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

  record(head_seen_ ? view(head.method_string()) : std::string_view(),
         head_seen_ ? split_target(target()).first : std::string_view(), answer.status, sends_body ? size : 0);
  outbox_.append(std::move(bytes));
  if (sends_body && answer.shared_body) outbox_.append(std::move(answer.shared_body));
  in_message_ = false;
  if (!keep_alive) {
    close_gently();
    return;
  }
  phase_ = Phase::reading;
  wait_for(Waiting::request);
  loop_.add(*this);
  if (!processing_) advance();
}

// ---- Ending ----

// Sends what waits, then reads until the peer closes: closing at once while the peer still sends would reset the
// connection, and the last answer could be lost.
void Session::close_gently() {
  if (phase_ >= Phase::closing) return;
  phase_ = Phase::closing;
  unlink();
  outbox_.seal();
  outbox_.flush();
  if (outbox_.empty())
    linger();
  else
    outbox_.notify_when_drained();
}

void Session::linger() {
  phase_ = Phase::lingering;
  deadline_ = std::chrono::steady_clock::now() + loop_.server().options().close_timeout;
  socket_.shutdown_write();
  discard();
}

void Session::discard() {
  socket_.wait_readable([self = self()](const error_code& ec) {
    if (self->phase_ == Phase::closed) return;
    const auto scratch = self->loop_.scratch();
    Socket::Outcome got{0, ec ? Socket::State::failed : Socket::State::ok};
    // Bounded, so that a peer that sends without end does not keep the loop from others.
    for (int turn = 0; turn < 4 && got.state == Socket::State::ok; ++turn) {
      got = self->socket_.read(scratch.data(), scratch.size());
    }
    if (got.state == Socket::State::end || got.state == Socket::State::failed)
      self->gone();
    else
      self->discard();
  });
}

// A peer that has closed only its sending half still gets its answers.
void Session::input_ended() {
  unlink();
  outbox_.seal();
  if (!outbox_.blocked()) outbox_.flush();
  if (outbox_.empty() || phase_ == Phase::lingering) {
    gone();
  } else {
    phase_ = Phase::closing;
    outbox_.notify_when_drained();
  }
}

void Session::gone() {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  unlink();
  outbox_.seal();
  socket_.close();
}

bool Session::try_end() {
  if (!outbox_.empty()) return false;
  gone();
  return true;
}

void Session::outbox_drained() {
  if (phase_ == Phase::closing) {
    linger();
  } else if (paused_) {
    paused_ = false;
    advance();
  }
}

void Session::tick(const Now& now) {
  const Options& options = loop_.server().options();
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
    if (waiting_ == Waiting::handshake)
      gone();
    else if (waiting_ == Waiting::request)
      close_gently();
    else
      give_up(errc::request_timeout);
  }
}

void Session::drain() {
  if (phase_ == Phase::reading && !in_message_) close_gently();
}

void open_session(EventLoop& loop, ConnectionSlot slot, RawSocket socket, std::string remote_address) {
  std::make_shared<Session>(loop, std::move(slot), std::move(socket), std::move(remote_address), nullptr)->start();
}

void open_adopted_session(EventLoop& loop, ConnectionSlot slot, RawSocket socket, const HttpRequest& request,
                          std::string_view behind) {
  std::string bytes = request.method + ' ' + request.target + " HTTP/1.1\r\n";
  for (const auto& [name, value] : request.headers) bytes += name + ": " + value + "\r\n";
  bytes += "\r\n";
  bytes += behind;
  std::make_shared<Session>(loop, std::move(slot), std::move(socket), request.remote_address, request.context)
      ->start_with(bytes);
}

}  // namespace travelchat::http
