// What happens in a conversation, as values, and the batch in which it reaches subscribers.
#pragma once

#include <travelchat/types.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace travelchat {

// Somebody began or stopped typing. Volatile: carries no revision and is never replayed.
struct TypingChanged {
  bool advisor_typing = false;
  bool client_typing = false;
  friend bool operator==(const TypingChanged&, const TypingChanged&) = default;
};
BOOST_DESCRIBE_STRUCT(TypingChanged, (), (advisor_typing, client_typing))

struct MessageCreated {
  Message message;
  std::uint64_t rev = 0;  // the revision that the message brought; `message.rev` may be newer in a replay
  friend bool operator==(const MessageCreated&, const MessageCreated&) = default;
};
BOOST_DESCRIBE_STRUCT(MessageCreated, (), (message, rev))

// More of a message changed than its reactions and marks: it is now like this.
struct MessageChanged {
  Message message;
  std::uint64_t rev = 0;
  friend bool operator==(const MessageChanged&, const MessageChanged&) = default;
};
BOOST_DESCRIBE_STRUCT(MessageChanged, (), (message, rev))

struct ReactionsChanged {
  Uuid message_id;
  std::vector<Reaction> reactions;  // all of the message's, oldest first
  std::uint64_t rev = 0;
  friend bool operator==(const ReactionsChanged&, const ReactionsChanged&) = default;
};
BOOST_DESCRIBE_STRUCT(ReactionsChanged, (), (message_id, reactions, rev))

// The client has seen the advisor's messages.
struct MessagesSeen {
  TimePoint seen_at;
  std::uint64_t rev = 0;
  friend bool operator==(const MessagesSeen&, const MessagesSeen&) = default;
};
BOOST_DESCRIBE_STRUCT(MessagesSeen, (), (seen_at, rev))

// An advisor has read the client's messages.
struct MessagesRead {
  TimePoint read_at;
  std::uint64_t rev = 0;
  friend bool operator==(const MessagesRead&, const MessagesRead&) = default;
};
BOOST_DESCRIBE_STRUCT(MessagesRead, (), (read_at, rev))

// The end of a replay: everything up to `rev` has been delivered.
struct CaughtUp {
  std::uint64_t rev = 0;
  std::optional<Uuid> epoch = std::nullopt;  // what `rev` is of, see Revisions; nullopt: the storage keeps none
  friend bool operator==(const CaughtUp&, const CaughtUp&) = default;
};
BOOST_DESCRIBE_STRUCT(CaughtUp, (), (rev, epoch))

// The replay would be too long, or started from a revision that does not exist, or is of another epoch: load the
// conversation again, and forget what was known of another epoch.
struct Resync {
  std::uint64_t rev = 0;
  std::optional<Uuid> epoch = std::nullopt;
  friend bool operator==(const Resync&, const Resync&) = default;
};
BOOST_DESCRIBE_STRUCT(Resync, (), (rev, epoch))

// A row of an organization's list changed (inbox subscribers only).
struct ConversationUpdated {
  ConversationSummary summary;
  friend bool operator==(const ConversationUpdated&, const ConversationUpdated&) = default;
};
BOOST_DESCRIBE_STRUCT(ConversationUpdated, (), (summary))

using Event = std::variant<TypingChanged, MessageCreated, MessageChanged, ReactionsChanged, MessagesSeen, MessagesRead,
                           CaughtUp, Resync, ConversationUpdated>;

// The revision that an event brought; 0 for one that brings none.
std::uint64_t revision(const Event& event) noexcept;

// Appends one event, encoded for the sockets of a server, to `out`.
using EventEncoder = std::function<void(const Event& event, std::string& out)>;

// Events of one conversation, in order, shared by every subscriber of it.
//
// Immutable, except that the first call of `encoded` makes the bytes, all events in one buffer: so each event is
// encoded once for any number of sockets, and not at all when nobody needs bytes. `encoded` is for the shard thread
// that delivers the batch; `events` may be read anywhere.
class EventBatch {
 public:
  EventBatch(std::vector<Event> events, const EventEncoder* encoder) : events_(std::move(events)), encoder_(encoder) {}

  const std::vector<Event>& events() const noexcept { return events_; }
  // Never null; empty when the engine has no encoder.
  const std::shared_ptr<const std::string>& encoded() const;

 private:
  std::vector<Event> events_;
  const EventEncoder* encoder_;
  mutable std::shared_ptr<const std::string> encoded_;
};

}  // namespace travelchat
