// One HTTP request while it is being answered, on a connection or from another server: its checks, the way to its
// handler, and the headers of its answer.
//
// Kept alive by its Exchange; on one loop's thread. The receiver, a connection or another server, fills it in
// (`begin`), passes it on (`dispatch`) and takes its answer.
#pragma once

#include "http/outbox.hpp"
#include "http/request_checks.hpp"
#include "http/route_pattern.hpp"
#include "http/server.hpp"
#include "http/socket.hpp"

#include <travelchat/error.hpp>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace travelchat::http {

class Exchange;

// A connection that another protocol goes on with (RFC 9110 section 7.8).
struct UpgradedConnection {
  ConnectionSlot slot;
  RawSocket socket;
  std::string early_bytes;  // what came behind the request
};

class Request {
 public:
  using Field = boost::beast::http::field;
  using Message = boost::beast::http::request<boost::beast::http::string_body>;

  struct Answer {
    int status = 200;
    std::string_view content_type;  // empty: none, or within `headers`
    std::string_view headers;       // whole lines
    std::string body;
    Buffer shared_body;  // in place of `body`
    bool may_be_cached = false;

    std::size_t size() const noexcept { return shared_body ? shared_body->size() : body.size(); }
  };

  Request(EventLoop& of, std::string_view remote_address, std::shared_ptr<void> context = nullptr);
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  virtual ~Request() = default;

  // Called once for each dispatched request, unless its connection was released.
  virtual void answer(Answer answer) = 0;
  // Whether it arrived over TLS.
  virtual bool is_secure() const noexcept = 0;
  // Releases the connection to another protocol. nullopt: there is none that can be released.
  virtual std::optional<UpgradedConnection> release_connection() = 0;

  EventLoop& loop() const noexcept { return home_; }
  const Message& message() const noexcept { return *message_; }
  std::string_view header(Field name) const noexcept;
  std::string_view header(std::string_view name) const noexcept;
  std::string_view target() const noexcept;
  const TargetPath& path() const noexcept { return path_; }
  // As it came.
  std::string_view raw_query() const noexcept { return raw_query_; }
  // Filled in on the way to the handler.
  Pattern::Params& params() noexcept { return params_; }
  Query& query() noexcept { return query_; }
  const std::string& remote_address() const noexcept { return client_.empty() ? remote_address_ : client_; }
  const std::shared_ptr<void>& context() const noexcept { return context_; }
  // HTTP/1.1 allows one Cookie header; several are joined as a browser would have.
  std::string cookies() const;
  // Whether the client speaks https: as a trusted proxy says, else as the connection is.
  bool is_https() const noexcept { return forwarded_https_.value_or(is_secure()); }
  // See `is_trusted_origin`.
  bool from_trusted_origin(std::string_view fetch_site) const;

  // Whether the answer has CORS headers. Never Access-Control-Allow-Credentials, so a page of another origin gets
  // nothing that depends on a cookie.
  void share(Sharing sharing) noexcept { sharing_ = sharing; }
  void fail(const ErrorInfo& error, std::string_view headers = {});

 protected:
  // `message` lives until the answer.
  void begin(const Message& message);
  // Reads the client's address and scheme from the headers of a trusted proxy; they hold until the next `begin`.
  void find_client();
  // Whether a header that may be there once is there twice (RFC 9110 section 5.3): a proxy in front may have used the
  // other one.
  bool is_ambiguous() const noexcept;
  // Fills in path and query. `errc::invalid_argument`, see TargetPath.
  error_code read_target();
  // Has the application answer it; a malformed request is refused at once.
  void dispatch(Exchange exchange);
  // Answers a request that is not dispatched.
  void refuse(errc error);

  // The header lines of an answer, without those that are about its connection and its length.
  void append_headers(const Answer& answer, std::string& out) const;
  // Counts the answer and tells the log. `path`: encoded, without the query.
  void record(std::string_view method, std::string_view path, int status, std::size_t bytes) const;

 private:
  EventLoop& home_;
  const Message* message_ = nullptr;
  std::string remote_address_;           // in one form for each address, as far as it is one
  std::string client_;                   // the client that a trusted proxy names; empty: the peer itself
  std::optional<bool> forwarded_https_;  // as a trusted proxy says
  std::shared_ptr<void> context_;
  TargetPath path_;
  std::string_view raw_query_;
  Query query_;
  Pattern::Params params_{};
  SteadyTime begun_{};  // when its first byte was seen
  Sharing sharing_ = Sharing::none;
};

std::string_view view(boost::beast::string_view text) noexcept;
void append_number(std::size_t number, std::string& out);

}  // namespace travelchat::http
