// One HTTP request that is being answered: what a handler sees of it, and its one answer.
//
// Movable; on the thread of the request's loop only. Destroyed unanswered, it answers 500.
#pragma once

#include "http/request.hpp"

#include <travelchat/error.hpp>
#include <travelchat/http.hpp>

#include <boost/beast/http/field.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace travelchat::http {

class Exchange {
 public:
  using Field = boost::beast::http::field;

  explicit Exchange(std::shared_ptr<Request> request) noexcept : request_(std::move(request)) {}
  Exchange(Exchange&&) noexcept = default;
  Exchange& operator=(Exchange&&) = delete;
  ~Exchange();

  EventLoop& loop() const noexcept { return request_->loop(); }
  Request& request() const noexcept { return *request_; }

  // Views into the request; they end with the answer.
  std::string_view method() const noexcept;
  std::string_view header(Field name) const noexcept;
  std::string_view param(std::size_t index) const noexcept;
  const Query& query() const noexcept;
  std::string_view body() const noexcept;
  const std::string& remote_address() const noexcept;

  // See `is_trusted_origin`.
  bool from_trusted_origin() const;
  // From this machine itself, through no proxy.
  bool from_loopback() const;

  // `headers`: whole lines, each with its CRLF.
  void answer(int status, std::string json, std::string_view headers = {});
  void fail(const ErrorInfo& error, std::string_view headers = {});
  void fail(const error_code& error) { fail(describe(error)); }
  void fail(errc error) { fail(describe(error)); }
  void fail_rate_limited(std::chrono::milliseconds retry_after);
  void respond(HttpResponse response);
  // The request as the routes of an application get it.
  HttpRequest to_values(std::vector<std::string> params) const;
  // Takes over the connection for another protocol, in place of an answer. nullopt: there is none that can be taken
  // over, and the request must still be answered.
  std::optional<UpgradedConnection> upgrade() { return request_->release_connection(); }

 private:
  std::shared_ptr<Request> request_;
};

}  // namespace travelchat::http
