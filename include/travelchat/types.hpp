// The value types of the chat: ids, participants, messages, reactions, conversations.
//
// Plain data, copyable, owned by whoever holds it; no thread rules. Every time is UTC with millisecond precision.
//
// A struct that travels or is stored is described behind its declaration, here and in the other headers: JSON, the
// backplane's bytes, columns, and the values of Node and Python are made from that (travelchat/describe.hpp). A member
// that is not in the description is in none of them.
#pragma once

#include <boost/describe/class.hpp>

#include <array>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace travelchat {

using TimePoint = std::chrono::sys_time<std::chrono::milliseconds>;

// A 128-bit identifier. Ids that the engine makes are version 7 (RFC 9562 section 5.7): they sort by creation time,
// which keeps a database's index appending. Rows adopted from an older database may carry any version.
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

// The canonical form of RFC 9562 section 4: 36 characters, lower case.
std::string to_string(const Uuid& id);
// Writes the same 36 characters at `out` (no terminator).
void write_uuid(const Uuid& id, char* out) noexcept;
// Accepts the canonical lower-case form only; anything else is nullopt.
std::optional<Uuid> parse_uuid(std::string_view text) noexcept;
// A new version 7 id. Within one process the results strictly increase, even when the clock steps back.
// Any thread.
Uuid make_uuid(TimePoint now);

enum class Role : std::uint8_t { advisor = 0, client = 1 };

// "advisor" or "client".
std::string_view to_string(Role role) noexcept;
std::optional<Role> parse_role(std::string_view text) noexcept;

// Whoever acts on a conversation, as the host has authenticated them. An advisor reaches every conversation of
// `org_id`; a client reaches those of `org_id` in which it is a member: its own, and those to which it was added. For
// others it answers as if the conversation did not exist.
//
// It has constructors, as have all parameter types of the engine's operations with members to destroy: g++ 12
// miscompiles such an aggregate when it is made within a co_await expression.
struct Participant {
  Participant() = default;
  Participant(std::string its_org_id, Role its_role, std::string its_id, std::string its_name = {})
      : org_id(std::move(its_org_id)), role(its_role), id(std::move(its_id)), name(std::move(its_name)) {}

  std::string org_id;  // the host's id: 1 to 128 printable ASCII characters, as every host id here
  Role role = Role::advisor;
  std::string id;    // the host's id of the advisor or the client
  std::string name;  // for people; stored beside what they write

  friend bool operator==(const Participant&, const Participant&) = default;
};
BOOST_DESCRIBE_STRUCT(Participant, (), (org_id, role, id, name))

// The six reactions. The enumerators' values are what the storages keep; never renumber them.
enum class Emoji : std::uint8_t { heart = 0, thumbs_up = 1, joy = 2, open_mouth = 3, sad = 4, thumbs_down = 5 };

// UTF-8 as it travels: the heart with U+FE0F, the others without.
std::string_view to_string(Emoji emoji) noexcept;
// The heart is U+2764 with or without U+FE0F; the others lose one trailing U+FE0F. Anything else is nullopt.
std::optional<Emoji> parse_emoji(std::string_view text) noexcept;

// One person's reaction to one message; there is at most one.
struct Reaction {
  Uuid id;
  Uuid message_id;
  Uuid conversation_id;
  std::string org_id;
  Role reactor_type = Role::advisor;
  std::string reactor_id;
  std::string reactor_name;
  Emoji emoji = Emoji::heart;
  TimePoint created_at;

  friend bool operator==(const Reaction&, const Reaction&) = default;
};
BOOST_DESCRIBE_STRUCT(Reaction, (),
                      (id, message_id, conversation_id, org_id, reactor_type, reactor_id, reactor_name, emoji,
                       created_at))

// Of a message's content.
inline constexpr std::size_t max_content_code_points = 10'000;

struct Message {
  Uuid id;
  Uuid conversation_id;
  std::string org_id;
  Role sender_type = Role::advisor;
  std::string sender_id;
  std::string sender_name;
  std::string content;               // UTF-8, trimmed, 1 to 10,000 code points
  bool is_read = false;              // a client's message: an advisor has read it
  std::optional<TimePoint> seen_at;  // an advisor's message: when the client saw it
  TimePoint created_at;
  std::optional<std::string> attachment_url;
  std::optional<std::string> attachment_type;
  std::optional<std::string> attachment_name;
  std::vector<Reaction> reactions;  // oldest first
  std::uint64_t seq = 0;            // 1, 2, 3 ... within the conversation, without gaps, given inside the commit
  std::uint64_t rev = 0;            // the conversation's revision that last changed this message
  std::optional<std::string> client_message_id;

  friend bool operator==(const Message&, const Message&) = default;
};
BOOST_DESCRIBE_STRUCT(Message, (),
                      (id, conversation_id, org_id, sender_type, sender_id, sender_name, content, is_read, seen_at,
                       created_at, attachment_url, attachment_type, attachment_name, reactions, seq, rev,
                       client_message_id))

// What a sender hands in, by the names of its members: `{.conversation_id = id, .content = "Hello"}`. Views, which
// `async_send` copies before it returns; nothing to destroy (see Participant).
struct DraftView {
  Uuid conversation_id = {};
  std::string_view content = {};
  std::optional<std::string_view> client_message_id = {};
  std::optional<std::string_view> attachment_url = {};
  std::optional<std::string_view> attachment_type = {};
  std::optional<std::string_view> attachment_name = {};
};
BOOST_DESCRIBE_STRUCT(DraftView, (),
                      (conversation_id, content, client_message_id, attachment_url, attachment_type, attachment_name))

// The same, with strings of its own.
struct Draft {
  Draft() = default;
  explicit Draft(const DraftView& view);

  Uuid conversation_id;
  std::string content;
  std::optional<std::string> client_message_id;
  std::optional<std::string> attachment_url;
  std::optional<std::string> attachment_type;
  std::optional<std::string> attachment_name;
};
BOOST_DESCRIBE_STRUCT(Draft, (),
                      (conversation_id, content, client_message_id, attachment_url, attachment_type, attachment_name))

// One per (org_id, client_id).
struct Conversation {
  Uuid id;
  std::string org_id;
  std::string client_id;
  TimePoint created_at;
  std::optional<TimePoint> last_message_at;
  std::uint64_t last_seq = 0;      // seq of the newest message; 0 when there is none
  std::uint64_t rev = 0;           // raised by one with every durable change
  std::uint64_t unread_count = 0;  // the client's messages that no advisor has read

  friend bool operator==(const Conversation&, const Conversation&) = default;
};
BOOST_DESCRIBE_STRUCT(Conversation, (),
                      (id, org_id, client_id, created_at, last_message_at, last_seq, rev, unread_count))

// A row of an advisor's list.
struct ConversationSummary {
  Conversation conversation;
  std::optional<Message> last_message;  // without its reactions

  friend bool operator==(const ConversationSummary&, const ConversationSummary&) = default;
};
BOOST_DESCRIBE_STRUCT(ConversationSummary, (), (conversation, last_message))

// Somebody in a conversation, and up to where they have received and seen it. Its client is a member from the start; an
// advisor becomes one with the first mark.
struct Member {
  Role type = Role::advisor;
  std::string id;
  std::string name;  // as it was when they were last seen; empty: not known
  // Every message up to there has reached them, and every one up to there they have seen. They only rise, and
  // delivered_seq >= seen_seq. What `Message::is_read` and `seen_at` say follows from the largest ones of each side.
  std::uint64_t delivered_seq = 0;
  std::uint64_t seen_seq = 0;

  friend bool operator==(const Member&, const Member&) = default;
};
BOOST_DESCRIBE_STRUCT(Member, (), (type, id, name, delivered_seq, seen_seq))

// What a live chat token says.
struct TokenClaims {
  std::string org_id;
  std::string client_id;
  std::string trip_id;
  Uuid conversation_id;
  TimePoint expires_at;

  friend bool operator==(const TokenClaims&, const TokenClaims&) = default;
};
BOOST_DESCRIBE_STRUCT(TokenClaims, (), (org_id, client_id, trip_id, conversation_id, expires_at))

using Sha256Digest = std::array<std::uint8_t, 32>;
// Two lower-case characters for each byte.
std::string to_hex(std::span<const std::uint8_t> bytes);

// What authorizes a listener. When it ends, the listener is closed with `errc::unauthenticated`.
struct Credential {
  enum class Kind : std::uint8_t { none, chat_token, session };

  Kind kind = Kind::none;  // none: nothing ends it
  Sha256Digest digest{};   // of the token, or of the host's id of the session
  TimePoint expires_at = TimePoint::max();

  // `expires_at`: of its TokenClaims.
  static Credential of_chat_token(std::string_view chat_token, TimePoint expires_at);
  // See `Advisor::session_id`.
  static Credential of_session(std::string_view session_id, TimePoint expires_at = TimePoint::max());

  friend bool operator==(const Credential&, const Credential&) = default;
};

}  // namespace travelchat

template <>
struct std::hash<travelchat::Uuid> {
  std::size_t operator()(const travelchat::Uuid& id) const noexcept {
    // The last eight bytes of a version 7 (and 4) id are random.
    std::size_t h = 0;
    for (std::size_t i = 8; i < 16; ++i) h = (h << 8) | id.bytes[i];
    return h;
  }
};
