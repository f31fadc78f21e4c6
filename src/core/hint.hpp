// What nodes tell each other over a backplane, and its bytes.
//
// A hint starts with the version of its layout, and its kind with a hash over the names of all members that can travel
// in one. A node that gets another version, other members or bytes that it cannot read takes them as a Look, and reads
// the storage. So nodes of different versions work together, only slower.
#pragma once

#include <travelchat/backplane.hpp>
#include <travelchat/event.hpp>
#include <travelchat/types.hpp>

#include <boost/describe/class.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace travelchat::detail {

// Something has changed, and is to be read from the storage.
struct Look {
  friend bool operator==(const Look&, const Look&) = default;
};
BOOST_DESCRIBE_STRUCT(Look, (), ())

// A conversation has reached `rev`. `events` are those of one transaction, or empty when they would be too long.
struct Progress {
  std::uint64_t rev = 0;
  std::vector<Event> events;  // durable ones, in order
  friend bool operator==(const Progress&, const Progress&) = default;
};
BOOST_DESCRIBE_STRUCT(Progress, (), (rev, events))

// Who types on one node, good for `lifetime`.
struct NodeTyping {
  Uuid node;
  TypingChanged typing;
  std::chrono::milliseconds lifetime{0};
  friend bool operator==(const NodeTyping&, const NodeTyping&) = default;
};
BOOST_DESCRIBE_STRUCT(NodeTyping, (), (node, typing, lifetime))

// A node has just joined a conversation and asks who types.
struct WhoTypes {
  friend bool operator==(const WhoTypes&, const WhoTypes&) = default;
};
BOOST_DESCRIBE_STRUCT(WhoTypes, (), ())

// A row of an organization's list.
struct InboxRow {
  ConversationSummary summary;
  friend bool operator==(const InboxRow&, const InboxRow&) = default;
};
BOOST_DESCRIBE_STRUCT(InboxRow, (), (summary))

// Credentials that have ended, on the topic that all nodes share.
struct CredentialsEnded {
  std::vector<Sha256Digest> digests;
  friend bool operator==(const CredentialsEnded&, const CredentialsEnded&) = default;
};
BOOST_DESCRIBE_STRUCT(CredentialsEnded, (), (digests))

// New ones come last: a node that does not know one takes it as a Look.
using Hint = std::variant<Look, Progress, NodeTyping, WhoTypes, InboxRow, CredentialsEnded>;

// What would be longer than `max_bytes` is shortened: a Progress loses its events, an InboxRow becomes a Look.
std::string encode_hint(const Hint& hint, std::size_t max_bytes);
// Publishes it to all nodes that joined the topic, shortened to what the backplane carries and to 32 KiB at most.
void publish_hint(Backplane& backplane, const Uuid& topic, const Hint& hint);
// Never fails; any thread.
Hint decode_hint(std::string_view bytes);

}  // namespace travelchat::detail
