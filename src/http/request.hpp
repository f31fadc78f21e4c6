// One HTTP request while it is being answered, whoever brought it: what every request must be, the way to its handler,
// and what its answer says.
//
// Kept alive by its Exchange; on one shard's thread. A carrier fills it in (`begin`), sends it on its way (`dispatch`)
// and takes its answer.
#pragma once

#include "http/outbox.hpp"
#include "http/request_checks.hpp"
#include "server/route_table.hpp"
#include "server/server.hpp"
#include "server/shard.hpp"

#include <travelchat/beast_server.hpp>
#include <travelchat/error.hpp>

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace travelchat::transport {

class Exchange;
struct Upgrade;

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

  Request(Shard& of, std::string_view remote_address, std::shared_ptr<void> context = nullptr);
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  virtual ~Request() = default;

  // Heard once for each dispatched request.
  virtual void answer(Answer answer) = 0;
  // Whether it arrived over TLS.
  virtual bool is_secure() const noexcept = 0;

  Shard& shard() const noexcept { return home_; }
  const Message& message() const noexcept { return *message_; }
  std::string_view header(Field name) const noexcept;
  std::string_view header(std::string_view name) const noexcept;
  std::string_view target() const noexcept;
  const Pattern::Params& params() const noexcept { return params_; }
  const TargetPath& path() const noexcept { return path_; }
  const Query& query() const noexcept { return query_; }
  const std::string& remote_address() const noexcept { return client_.empty() ? remote_address_ : client_; }
  const std::shared_ptr<void>& context() const noexcept { return context_; }
  // Whether the client speaks https: as a trusted proxy says, else whoever is connected.
  bool is_https() const noexcept { return forwarded_https_.value_or(is_secure()); }
  // See `is_trusted_origin`.
  bool from_trusted_origin(std::string_view fetch_site) const;

  void fail(const ErrorInfo& error, std::string_view headers = {});

 protected:
  // `message` lives until the answer.
  void begin(const Message& message);
  // Whom it is from, and how, when whoever is connected is a trusted proxy; until the next `begin`.
  void find_client();
  // Whether it says twice what may be said once (RFC 9110 section 5.3): whoever stands in front may have believed the
  // other one.
  bool is_ambiguous() const noexcept;
  // Finds the handler and calls it; what is not in order is answered at once.
  void dispatch(Exchange exchange);
  // A WebSocket's request whose handshake is in order.
  virtual void upgrade(Exchange exchange, std::string_view query) = 0;
  // The segments by which the chat knows a path; none when it is not the chat's.
  std::span<const std::string_view> chat_path(const TargetPath& path) const noexcept;
  // What it asks for; the connection is the carrier's to add.
  Upgrade to_upgrade(Server::Place place, const TargetPath& path, std::string_view query) const;
  // Answered by all who cannot make a connection a WebSocket, or are not asked to.
  static void fail_upgrade(Exchange exchange);
  // Answers what is not even looked at.
  void refuse(errc error);

  // Decides who may read the answer to `method` on this path (the Fetch standard's CORS protocol). Only the routes that
  // need no session are shared, and without Access-Control-Allow-Credentials, so browsers give a foreign page nothing
  // that rests on a cookie.
  void share(std::string_view method, std::span<const std::string_view> path);

  // The header lines of an answer, without those that are about its connection and its length.
  void append_headers(const Answer& answer, std::string& out) const;
  // Counts the answer and tells the log. `path`: encoded, without the query.
  void record(std::string_view method, std::string_view path, int status, std::size_t bytes) const;

 private:
  // Whether a page of another origin may read the answer. `none`: nobody's may; `refused`: allowed origins' may, and
  // this is none of them.
  enum class Sharing : std::uint8_t { none, refused, granted };

  void check_upgrade(Exchange exchange, std::string_view query);

  Shard& home_;
  const Message* message_ = nullptr;
  std::string remote_address_;           // in one form for each address, as far as it is one
  std::string client_;                   // of whom a trusted proxy says it is; empty: whoever is connected
  std::optional<bool> forwarded_https_;  // what a trusted proxy says of it
  std::shared_ptr<void> context_;
  TargetPath path_;
  Query query_;
  Pattern::Params params_{};
  SteadyTime begun_{};  // when its first byte was seen
  Sharing sharing_ = Sharing::none;
};

// Whether a path is one of the two where WebSockets are.
bool is_socket_path(std::span<const std::string_view> segments) noexcept;

// The credentials of a request, for the host.
RequestCredentials credentials_of(const Request& request);

std::string_view view(boost::beast::string_view text) noexcept;
void append_number(std::size_t number, std::string& out);

}  // namespace travelchat::transport
