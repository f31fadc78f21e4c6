#include <travelchat/error.hpp>

#include <array>
#include <cstddef>
#include <string>

namespace travelchat {
namespace {

// In the order of the enumerators. Kinds that no socket can meet close as a bad request does (4400), so that a client
// which sees one all the same stops instead of coming back with the same request.
constexpr std::array<ErrorInfo, 30> table = {{
    {errc::invalid_argument, "invalid_argument", 400, 4400, "A parameter is malformed."},
    {errc::missing_field, "missing_field", 400, 4400, "A required field is missing."},
    {errc::malformed_json, "malformed_json", 400, 1008, "This is not acceptable JSON."},
    {errc::invalid_content, "invalid_content", 400, 4400,
     "A message needs 1 to 10,000 characters of text, not only white space."},
    {errc::invalid_emoji, "invalid_emoji", 400, 4400, "This emoji is not one of the reactions."},
    {errc::invalid_client_message_id, "invalid_client_message_id", 400, 4400,
     "clientMessageId takes 1 to 64 letters, digits, hyphens and underscores."},
    {errc::trip_without_client, "trip_without_client", 400, 4400, "This trip has no client to chat with."},
    {errc::unauthenticated, "unauthenticated", 401, 4401, "Please sign in again."},
    {errc::forbidden, "forbidden", 403, 4403, "This credential does not allow that."},
    {errc::cross_origin, "cross_origin", 403, 4403, "Requests from this origin are not allowed."},
    {errc::sharing_disabled, "sharing_disabled", 403, 4403, "This trip is not shared by this link."},
    {errc::not_found, "not_found", 404, 4404, "There is nothing here."},
    {errc::method_not_allowed, "method_not_allowed", 405, 4400, "This method is not allowed here."},
    {errc::request_timeout, "request_timeout", 408, 1008, "The request took too long to arrive."},
    {errc::idempotency_conflict, "idempotency_conflict", 409, 4400,
     "This clientMessageId was already used for another message."},
    {errc::epoch_changed, "epoch_changed", 409, 4400,
     "The conversations were restored from a backup. Please load this one again."},
    {errc::payload_too_large, "payload_too_large", 413, 1009, "That is too large."},
    {errc::unsupported_media_type, "unsupported_media_type", 415, 1003, "Only JSON is accepted here."},
    {errc::rate_limited, "rate_limited", 429, 4429, "Too many requests. Please wait a moment."},
    {errc::headers_too_large, "headers_too_large", 431, 4400, "The request headers are too large."},
    {errc::too_slow, "too_slow", 503, 4408, "The connection fell too far behind."},
    {errc::storage_failed, "storage_failed", 500, 1011, "The message store failed. Please try again."},
    {errc::storage_full, "storage_full", 507, 1011, "The message store is full. Nothing was saved."},
    {errc::storage_locked, "storage_locked", 500, 1011, "The message store is in use by another process."},
    {errc::storage_incompatible, "storage_incompatible", 500, 1011,
     "The message store was made by another version, or by another program."},
    {errc::overloaded, "overloaded", 503, 1013, "The server is busy. Please try again."},
    {errc::closed, "closed", 503, 1012, "The server is restarting."},
    {errc::internal, "internal", 500, 1011, "Something went wrong."},
    {errc::too_many_changes, "too_many_changes", 409, 4400,
     "More has changed since then than a page can hold. Please load this one again."},
    {errc::upgrade_required, "upgrade_required", 426, 4400, "This address takes WebSocket connections, version 13."},
}};

constexpr std::size_t row_of(errc code) noexcept {
  return static_cast<std::size_t>(code) - 1;
}

static_assert(row_of(errc::upgrade_required) + 1 == table.size());
static_assert([] {
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (row_of(table[i].code) != i) return false;
  }
  return true;
}());

// Boost's base class has a protected destructor that is not virtual, because categories are never deleted through it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class Category final : public boost::system::error_category {
 public:
  constexpr Category() noexcept : error_category(0x7474'6368'6174'0001) {}

  const char* name() const noexcept override { return "travelchat"; }

  std::string message(int value) const override { return std::string(sentence(value)); }

  // Every sentence is a literal, so it ends with a NUL and needs no buffer.
  const char* message(int value, char*, std::size_t) const noexcept override { return sentence(value).data(); }

 private:
  // For the embedder, who knows of an engine and has closed it.
  static std::string_view sentence(int value) noexcept {
    const ErrorInfo& info = describe(static_cast<errc>(value));
    return info.code == errc::closed ? "The engine or the server is closed, or was not started." : info.message;
  }
};
#pragma GCC diagnostic pop

}  // namespace

const ErrorInfo& describe(errc code) noexcept {
  const std::size_t row = row_of(code);
  return row < table.size() ? table[row] : table[row_of(errc::internal)];
}

const ErrorInfo& describe(const error_code& ec) noexcept {
  return describe(ec.category() == category() ? static_cast<errc>(ec.value()) : errc::internal);
}

std::span<const ErrorInfo> error_table() noexcept {
  return table;
}

const boost::system::error_category& category() noexcept {
  static constexpr Category instance;
  return instance;
}

error_code make_error_code(errc code) noexcept {
  return error_code(static_cast<int>(code), category());
}

OptionError::OptionError(std::string option, std::string problem)
    : std::system_error(make_error_code(errc::invalid_argument)),
      option_(std::move(option)),
      problem_(std::move(problem)),
      sentence_(option_ + ' ' + problem_) {}

OptionError::~OptionError() = default;

}  // namespace travelchat
