#include <travelchat/wire.hpp>

#include "wire/socket_text.hpp"

#include <travelchat/record_json.hpp>
#include <travelchat/validate.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace travelchat::wire {
namespace {

constexpr bool needs_escape(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
}

// Whether one of eight bytes is a quote, a backslash or below 0x20. May also say yes for a byte behind such a one (the
// borrow of a subtraction), which costs nothing: a byte-wise look follows.
bool any_needs_escape(const char* at) noexcept {
  constexpr std::uint64_t ones = 0x0101'0101'0101'0101;
  constexpr std::uint64_t tops = 0x8080'8080'8080'8080;
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof(word));
  const std::uint64_t quote = word ^ (ones * '"');
  const std::uint64_t backslash = word ^ (ones * '\\');
  const std::uint64_t found =
      ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash);
  return (found & tops) != 0;
}

// The length of the longest prefix of `text` that a JSON string may carry as it is.
std::size_t plain_prefix(std::string_view text) noexcept {
  std::size_t i = 0;
  while (text.size() - i >= 8 && !any_needs_escape(text.data() + i)) i += 8;
  while (i < text.size() && !needs_escape(text[i])) ++i;
  return i;
}

void append_escape(char c, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default: {
      constexpr char digits[] = "0123456789abcdef";
      const char escape[] = {'\\', 'u', '0', '0', digits[(c >> 4) & 15], digits[c & 15]};
      out.append(escape, sizeof(escape));
    }
  }
}

// A list row writes what is left out here in another form.
using ConversationHead =
    detail::MembersWithout<Conversation, &Conversation::last_seq, &Conversation::rev, &Conversation::unread_count>;

// How the JSON of an event begins.
template <class E>
constexpr std::string_view opening = {};
template <>
constexpr std::string_view opening<TypingChanged> = R"({"type":"typing")";
template <>
constexpr std::string_view opening<MessageCreated> = R"({"type":"new_message")";
template <>
constexpr std::string_view opening<MessageChanged> = R"({"type":"message_update")";
template <>
constexpr std::string_view opening<ReactionsChanged> = R"({"type":"reaction_update")";
template <>
constexpr std::string_view opening<MessagesSeen> = R"({"type":"seen")";
template <>
constexpr std::string_view opening<MessagesRead> = R"({"type":"read")";
template <>
constexpr std::string_view opening<CaughtUp> = R"({"type":"caught_up")";
template <>
constexpr std::string_view opening<Resync> = R"({"type":"resync")";

template <class E>
void append_body(const E& event, std::string& out) {
  static_assert(!opening<E>.empty(), "what `type` has this event?");
  out += opening<E>;
  json::append_members<',', detail::MembersOf<E>>(event, out);
  out += '}';
}

void append_body(const ConversationUpdated& event, std::string& out) {
  append_conversation_update(event.summary, nullptr, out);
}

}  // namespace

void append_string(std::string_view text, std::string& out) {
  out += '"';
  while (true) {
    const std::size_t plain = plain_prefix(text);
    out.append(text.data(), plain);
    if (plain == text.size()) break;
    append_escape(text[plain], out);
    text.remove_prefix(plain + 1);
  }
  out += '"';
}

void append_picture_url(const std::optional<std::string>& url, std::string& out) {
  if (url && is_picture_address(*url))
    append_string(*url, out);
  else
    out += "null";
}

void append(const Reaction& reaction, std::string& out) {
  json::append_value(reaction, out);
}

void append(std::span<const Reaction> reactions, std::string& out) {
  json::append_array(reactions, out);
}

void append(const Message& message, std::string& out) {
  json::append_value(message, out);
}

void append_without_reactions(const Message& message, std::string& out) {
  json::append_object<detail::MembersWithout<Message, &Message::reactions>>(message, out);
}

void append(std::span<const Message> messages, std::string& out) {
  json::append_array(messages, out);
}

void append(const ConversationSummary& row, const ClientCard* card, std::string& out) {
  json::append_members<'{', ConversationHead>(row.conversation, out);
  if (card != nullptr) {
    out += R"(,"clientName":)";
    append_string(card->name, out);
    out += R"(,"clientAvatarUrl":)";
    append_picture_url(card->avatar_url, out);
  } else {
    out += R"(,"clientName":null,"clientAvatarUrl":null)";
  }
  out += R"(,"lastMessage":)";
  if (row.last_message)
    append_without_reactions(*row.last_message, out);
  else
    out += "null";
  out += R"(,"unreadCount":)";
  json::append_value(row.conversation.unread_count, out);
  out += R"(,"activeTrip":)";
  if (card != nullptr)
    json::append_value(card->active_trip, out);
  else
    out += "null";
  out += R"(,"rev":)";
  json::append_value(row.conversation.rev, out);
  out += '}';
}

void append(const Conversation& conversation, std::string& out) {
  json::append_object<ConversationHead>(conversation, out);
}

void append(const Event& event, std::string& out) {
  std::visit([&out](const auto& e) { append_body(e, out); }, event);
}

void append_conversation_update(const ConversationSummary& row, const ClientCard* card, std::string& out) {
  out += R"({"type":"conversation_update","conversation":)";
  append(row, card, out);
  out += '}';
}

void append_error_event(const ErrorInfo& error, std::string& out) {
  out += R"({"type":"error","code":)";
  append_string(error.name, out);
  out += R"(,"message":)";
  append_string(error.message, out);
  out += '}';
}

void append_alive_event(std::chrono::milliseconds interval, std::string& out) {
  out += R"({"type":"alive","intervalMs":)";
  json::append_value(static_cast<std::uint64_t>(interval.count()), out);
  out += '}';
}

std::string error_body(const ErrorInfo& error) {
  std::string out = R"({"message":)";
  append_string(error.message, out);
  out += R"(,"code":)";
  append_string(error.name, out);
  out += '}';
  return out;
}

}  // namespace travelchat::wire
