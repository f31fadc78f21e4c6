// Every way a call can fail, and the one table of how HTTP and WebSocket answer each.
//
// Values only; any thread.
#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace travelchat {

template <class T>
using result = boost::system::result<T>;
using error_code = boost::system::error_code;

enum class errc {
  invalid_argument = 1,
  missing_field,
  malformed_json,
  invalid_content,
  invalid_emoji,
  invalid_client_message_id,
  trip_without_client,
  unauthenticated,
  forbidden,
  cross_origin,
  sharing_disabled,
  not_found,
  method_not_allowed,
  request_timeout,
  idempotency_conflict,
  epoch_changed,
  payload_too_large,
  unsupported_media_type,
  rate_limited,
  headers_too_large,
  too_slow,
  storage_failed,
  storage_full,
  storage_locked,
  storage_incompatible,
  overloaded,
  closed,
  internal,
  too_many_changes,  // from here on in the order of their addition: the values of the others never change
  upgrade_required,
};

// What an error is called and how it is answered.
struct ErrorInfo {
  errc code;
  std::string_view name;     // for programs: "code" in a JSON body, `code` of a JavaScript error
  int http_status;           // RFC 9110 section 15
  std::uint16_t close_code;  // WebSocket, RFC 6455 section 7.4
  std::string_view message;  // for people; never carries SQL, paths or data
};

// The row of one error. `error_code::message` gives the same sentence, except for `errc::closed`: the embedder is told
// that the engine is closed, people that the server is restarting.
const ErrorInfo& describe(errc code) noexcept;
// The row of any error code; one of another category counts as `errc::internal`.
const ErrorInfo& describe(const error_code& ec) noexcept;
// The whole table, for bindings and for tests.
std::span<const ErrorInfo> error_table() noexcept;

const boost::system::error_category& category() noexcept;
error_code make_error_code(errc code) noexcept;

// An option, or an argument (travelchat/arguments.hpp), that is not valid, found before anything else was done.
// `code()` is `errc::invalid_argument`, and `what()` a sentence about it: "typing_timeout must be longer than 0".
class OptionError : public std::system_error {
 public:
  // `option`: its name in the struct, with dots for a member of a member ("rate_limits.messages.window").
  OptionError(std::string option, std::string problem);
  ~OptionError() override;

  const char* what() const noexcept override { return sentence_.c_str(); }
  const std::string& option() const noexcept { return option_; }
  // The rest of the sentence.
  const std::string& problem() const noexcept { return problem_; }

 private:
  std::string option_;
  std::string problem_;
  std::string sentence_;
};

}  // namespace travelchat

template <>
struct boost::system::is_error_code_enum<travelchat::errc> : std::true_type {};
