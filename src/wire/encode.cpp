#include "wire/wire.hpp"

#include "core/validate.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

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

void append_number(std::uint64_t number, std::string& out) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

void append_bool(bool value, std::string& out) {
  out += value ? std::string_view("true") : std::string_view("false");
}

// Between quotes and without a look for escapes: what is made of safe characters by construction.
void append_plain(std::string_view text, std::string& out) {
  out += '"';
  out += text;
  out += '"';
}

void append_value(const Uuid& id, std::string& out) {
  char text[38];
  text[0] = '"';
  write_uuid(id, text + 1);
  text[37] = '"';
  out.append(text, sizeof(text));
}

void append_value(TimePoint time, std::string& out) {
  out += '"';
  append_time(time, out);
  out += '"';
}

void append_value(const std::string& text, std::string& out) {
  append_string(text, out);
}

template <class T>
void append_value(const std::optional<T>& value, std::string& out) {
  if (value) {
    append_value(*value, out);
  } else {
    out += "null";
  }
}

// Without the closing brace: what a list row's `lastMessage` and a full message share.
void append_message_without_reactions(const Message& message, std::string& out) {
  out += R"({"id":)";
  append_value(message.id, out);
  out += R"(,"conversationId":)";
  append_value(message.conversation_id, out);
  out += R"(,"orgId":)";
  append_value(message.org_id, out);
  out += R"(,"senderType":)";
  append_plain(to_string(message.sender_type), out);
  out += R"(,"senderId":)";
  append_value(message.sender_id, out);
  out += R"(,"senderName":)";
  append_value(message.sender_name, out);
  out += R"(,"content":)";
  append_value(message.content, out);
  out += R"(,"isRead":)";
  append_bool(message.is_read, out);
  out += R"(,"seenAt":)";
  append_value(message.seen_at, out);
  out += R"(,"createdAt":)";
  append_value(message.created_at, out);
  out += R"(,"attachmentUrl":)";
  append_value(message.attachment_url, out);
  out += R"(,"attachmentType":)";
  append_value(message.attachment_type, out);
  out += R"(,"attachmentName":)";
  append_value(message.attachment_name, out);
}

void append_message_tail(const Message& message, std::string& out) {
  out += R"(,"seq":)";
  append_number(message.seq, out);
  out += R"(,"rev":)";
  append_number(message.rev, out);
  out += R"(,"clientMessageId":)";
  append_value(message.client_message_id, out);
  out += '}';
}

template <class T>
void append_array(std::span<const T> items, std::string& out) {
  out += '[';
  bool first = true;
  for (const T& item : items) {
    if (!first) out += ',';
    first = false;
    append(item, out);
  }
  out += ']';
}

// Without the closing brace.
void append_conversation_head(const Conversation& conversation, std::string& out) {
  out += R"({"id":)";
  append_value(conversation.id, out);
  out += R"(,"orgId":)";
  append_value(conversation.org_id, out);
  out += R"(,"clientId":)";
  append_value(conversation.client_id, out);
  out += R"(,"createdAt":)";
  append_value(conversation.created_at, out);
  out += R"(,"lastMessageAt":)";
  append_value(conversation.last_message_at, out);
}

void append_rev(std::uint64_t rev, std::string& out) {
  out += R"(,"rev":)";
  append_number(rev, out);
  out += '}';
}

// A revision, and of which history it is.
void append_rev_of(std::uint64_t rev, const std::optional<Uuid>& epoch, std::string& out) {
  append_rev(rev, out);
  if (!epoch) return;
  out.back() = ',';
  out += R"("epoch":)";
  append_value(*epoch, out);
  out += '}';
}

void append_body(const TypingChanged& event, std::string& out) {
  out += R"({"type":"typing","advisorTyping":)";
  append_bool(event.advisor_typing, out);
  out += R"(,"clientTyping":)";
  append_bool(event.client_typing, out);
  out += '}';
}

void append_body(const MessageCreated& event, std::string& out) {
  out += R"({"type":"new_message","message":)";
  append(event.message, out);
  append_rev(event.rev, out);
}

void append_body(const ReactionsChanged& event, std::string& out) {
  out += R"({"type":"reaction_update","messageId":)";
  append_value(event.message_id, out);
  out += R"(,"reactions":)";
  append(event.reactions, out);
  append_rev(event.rev, out);
}

void append_body(const MessagesSeen& event, std::string& out) {
  out += R"({"type":"seen","seenAt":)";
  append_value(event.seen_at, out);
  append_rev(event.rev, out);
}

void append_body(const MessagesRead& event, std::string& out) {
  out += R"({"type":"read","readAt":)";
  append_value(event.read_at, out);
  append_rev(event.rev, out);
}

void append_body(const CaughtUp& event, std::string& out) {
  out += R"({"type":"caught_up")";
  append_rev_of(event.rev, event.epoch, out);
}

void append_body(const Resync& event, std::string& out) {
  out += R"({"type":"resync")";
  append_rev_of(event.rev, event.epoch, out);
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
  append_value(url && is_picture_address(*url) ? url : std::nullopt, out);
}

void append(const Reaction& reaction, std::string& out) {
  out += R"({"id":)";
  append_value(reaction.id, out);
  out += R"(,"messageId":)";
  append_value(reaction.message_id, out);
  out += R"(,"conversationId":)";
  append_value(reaction.conversation_id, out);
  out += R"(,"orgId":)";
  append_value(reaction.org_id, out);
  out += R"(,"reactorType":)";
  append_plain(to_string(reaction.reactor_type), out);
  out += R"(,"reactorId":)";
  append_value(reaction.reactor_id, out);
  out += R"(,"reactorName":)";
  append_value(reaction.reactor_name, out);
  out += R"(,"emoji":)";
  append_plain(to_string(reaction.emoji), out);
  out += R"(,"createdAt":)";
  append_value(reaction.created_at, out);
  out += '}';
}

void append(std::span<const Reaction> reactions, std::string& out) {
  append_array(reactions, out);
}

void append(const Message& message, std::string& out) {
  append_message_without_reactions(message, out);
  out += R"(,"reactions":)";
  append(message.reactions, out);
  append_message_tail(message, out);
}

void append_without_reactions(const Message& message, std::string& out) {
  append_message_without_reactions(message, out);
  append_message_tail(message, out);
}

void append(std::span<const Message> messages, std::string& out) {
  append_array(messages, out);
}

void append(const ConversationSummary& row, const ClientCard* card, std::string& out) {
  append_conversation_head(row.conversation, out);
  if (card != nullptr) {
    out += R"(,"clientName":)";
    append_value(card->name, out);
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
  append_number(row.conversation.unread_count, out);
  out += R"(,"activeTrip":)";
  if (card != nullptr && card->active_trip) {
    out += R"({"id":)";
    append_value(card->active_trip->id, out);
    out += R"(,"title":)";
    append_value(card->active_trip->title, out);
    out += '}';
  } else {
    out += "null";
  }
  append_rev(row.conversation.rev, out);
}

void append(const Conversation& conversation, std::string& out) {
  append_conversation_head(conversation, out);
  out += '}';
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
  append_number(static_cast<std::uint64_t>(interval.count()), out);
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
