// A request that another server has received, for example Node's: it comes as values, and its answer is a call.
#pragma once

#include "http/request.hpp"
#include "http/server.hpp"

#include <travelchat/error.hpp>
#include <travelchat/http.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace travelchat::http {

// Sends one answer to the function that waits for it. Destroyed without one, it answers that the server is closed.
class Responder {
 public:
  // Nobody waits for an answer.
  Responder() noexcept = default;
  Responder(HttpRespond respond, std::shared_ptr<const Logger> logger,
            std::string (*error_body)(const ErrorInfo& error)) noexcept
      : respond_(std::move(respond)), logger_(std::move(logger)), error_body_(error_body) {}
  Responder(Responder&& other) noexcept
      : respond_(std::exchange(other.respond_, nullptr)),
        logger_(std::move(other.logger_)),
        error_body_(other.error_body_) {}
  Responder& operator=(Responder&&) = delete;
  ~Responder();

  void respond(HttpResponse response) noexcept;
  void fail(const ErrorInfo& error) noexcept;

 private:
  HttpRespond respond_;  // empty once it was called
  std::shared_ptr<const Logger> logger_;
  std::string (*error_body_)(const ErrorInfo& error) = nullptr;
};

class ExternalRequest final : public Request {
 public:
  // Its slot is held until the answer. The HttpResponse has no header that is about a connection.
  ExternalRequest(EventLoop& loop, ConnectionSlot slot, HttpRequest&& request, Responder responder);

  // Checks it as one that arrived on a connection, and has the application answer it.
  static void start(const std::shared_ptr<ExternalRequest>& self);

  // The checks of `start` alone, for a caller that answers by other means.
  bool is_in_order() const noexcept { return message_.count(Field::host) == 1 && !is_ambiguous(); }
  using Request::read_target;

  void answer(Answer answer) override;
  bool is_secure() const noexcept override { return is_secure_; }
  std::optional<UpgradedConnection> release_connection() override { return std::nullopt; }

 private:
  // By its Content-Length: a body that is too long need not have been read.
  std::uint64_t declared_bytes() const noexcept { return parse_number(header(Field::content_length)).value_or(0); }

  ConnectionSlot slot_;
  Responder responder_;
  Message message_;
  std::size_t header_bytes_;
  bool is_path_too_long_;  // then it is not found, as on a connection
  bool is_secure_;
};

// On the loop's thread.
void answer_external_request(EventLoop& loop, ConnectionSlot slot, HttpRequest request, Responder responder);

}  // namespace travelchat::http
