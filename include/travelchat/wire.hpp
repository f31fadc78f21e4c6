// The JSON of the records, as in docs/protocol.md, for an application that needs it itself: in its own routes, in a
// log, for other programs. Component `wire` (Boost.JSON, which no header includes).
//
// Encoders append to a string. They write straight into it rather than building a document first, because every event
// of every conversation passes here once. Values only; any thread.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/event.hpp>
#include <travelchat/host.hpp>
#include <travelchat/types.hpp>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace travelchat::wire {

// ---- Encoding ----

// RFC 3339 UTC with milliseconds, "2026-11-23T06:51:47.120Z". A time before the year 0 or after 9999, which that cannot
// write, becomes the nearest one that it can.
void append_time(TimePoint time, std::string& out);
// Takes what `append_time` writes and nothing else.
std::optional<TimePoint> parse_time(std::string_view text);
// A JSON string with its quotes (RFC 8259 section 7); `text` is valid UTF-8.
void append_string(std::string_view text, std::string& out);
// What a page may show as a picture, or null in place of anything else.
void append_picture_url(const std::optional<std::string>& url, std::string& out);

void append(const Reaction& reaction, std::string& out);
void append(std::span<const Reaction> reactions, std::string& out);
void append(const Message& message, std::string& out);
void append(std::span<const Message> messages, std::string& out);
// As a list row has it: without its `reactions`.
void append_without_reactions(const Message& message, std::string& out);
// A list row. `card` is null when the host does not know the client: then the names are null. A `last_message` is
// written without its `reactions`.
void append(const ConversationSummary& row, const ClientCard* card, std::string& out);
// The bare conversation, for the answer to POST /api/conversations.
void append(const Conversation& conversation, std::string& out);
// The JSON text of any event. A ConversationUpdated is written without a card; see append_conversation_update.
void append(const Event& event, std::string& out);
void append_conversation_update(const ConversationSummary& row, const ClientCard* card, std::string& out);
// {"message":...,"code":...}
std::string error_body(const ErrorInfo& error);

// ---- Decoding ----

// The JSON object of a request body, with typed look-ups.
class Body {
 public:
  // `errc::malformed_json`: not JSON, over 16 deep, a duplicate key, a number out of range, or no object. An empty text
  // is an empty object.
  static result<Body> parse(std::string_view text);
  Body(Body&&) noexcept;
  Body& operator=(Body&&) noexcept;
  ~Body();

  // `errc::missing_field` when absent; `errc::invalid_argument` when it is there but not a string (null included).
  result<std::string_view> string(std::string_view name) const;
  // As above, but nullopt when absent or null.
  result<std::optional<std::string_view>> optional_string(std::string_view name) const;
  bool has(std::string_view name) const;

 private:
  struct Impl;
  explicit Body(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What a request hands in, without its conversation, which is not in the body. Attachments are not sent this way.
// Errors as of `Body`'s look-ups, the first of them in the order of the members.
result<Draft> parse_draft(const Body& body);

}  // namespace travelchat::wire
