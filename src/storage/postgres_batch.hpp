// What a transaction decides between its two round trips: from the rows as they are, what each write answers and which
// rows it leaves.
//
// Plain values without a connection; one thread at a time. The transaction has locked the conversations, so the rows
// stay as they were read until it ends.
#pragma once

#include "storage/postgres_rows.hpp"

#include <travelchat/storage.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace travelchat::postgres {

// A write that is not decided on but simply done, and alone.
inline bool is_token_removal(const Write& write) noexcept {
  return std::holds_alternative<DeleteToken>(write) || std::holds_alternative<SweepTokens>(write);
}

// What must be known to decide on some writes. Points into them.
struct Questions {
  // Sorted, each once: every transaction locks in the same order.
  std::vector<Uuid> conversations;
  std::vector<const OpenConversation*> openings;  // the first for each (org_id, client_id), sorted by these
  std::vector<const AppendMessage*> repeatable;   // those with a client message id
  std::vector<Uuid> messages;
  std::vector<Uuid> newest_of;  // conversations whose newest message is answered with
  std::vector<const PutToken*> tokens;
};

// `after_trouble`: also whether a new message's id is there already, from an attempt whose outcome nobody knew.
Questions questions_of(std::span<const Write* const> writes, bool after_trouble);

struct TokenRow {
  Sha256Digest digest{};
  TokenClaims claims;
  TimePoint created_at;
};

struct Facts {
  std::set<Uuid> made;  // conversations that this transaction has inserted for `openings`
  std::vector<ConversationRow> conversations;
  std::vector<Message> messages;  // with their reactions
  std::vector<TokenRow> tokens;   // of the conversations and trips asked for, oldest first
};

// The rows to write. Within one list, each row once.
struct Effects {
  struct NewMessage {
    Message message;
    std::uint64_t created_rev = 0;
  };
  struct Mark {
    Uuid conversation_id;
    Role viewer = Role::advisor;
    std::uint64_t after_seq = 0;
    std::uint64_t up_to_seq = 0;
    std::uint64_t rev = 0;
    TimePoint at;
  };
  struct ChangeRow {
    Uuid conversation_id;
    std::uint64_t rev = 0;
    Change::Kind kind = Change::Kind::reaction;
    std::uint64_t first_seq = 0;
    std::uint64_t last_seq = 0;
    TimePoint at;
  };
  struct RemovedReaction {
    Uuid message_id;
    Role reactor_type = Role::advisor;
    std::string reactor_id;
  };

  std::vector<ConversationRow> conversations;
  std::vector<NewMessage> messages;
  std::vector<Mark> marks;                              // of messages that were there before
  std::vector<std::pair<Uuid, std::uint64_t>> touched;  // the same, with their new rev
  std::vector<std::pair<Reaction, std::uint64_t>> reactions;
  std::vector<RemovedReaction> removed_reactions;
  std::vector<ChangeRow> changes;
  std::vector<TokenRow> tokens;
  std::vector<Sha256Digest> removed_tokens;
};

class Batch {
 public:
  explicit Batch(Facts facts);

  // In the order of the writes. A write that fails alone has changed nothing. Not for DeleteToken and SweepTokens,
  // which need no decision.
  result<Written> apply(const Write& write);

  Effects effects() const;

 private:
  struct KnownMessage {
    Message message;  // with its reactions
    std::uint64_t created_rev = 0;
    bool is_new = false;
    bool touched = false;  // by a reaction
  };
  struct KnownConversation {
    ConversationRow row;
    // Of the messages that were there before.
    std::uint64_t stored_last_seq = 0;
    bool has_stored_unread = false;
    bool has_stored_unseen = false;
    bool changed = false;
    std::map<std::uint64_t, Uuid> messages;  // those that are known, by seq
  };
  struct KnownToken {
    TokenRow row;
    bool is_new = false;
    bool removed = false;
  };
  using RepeatKey = std::tuple<Uuid, Role, std::string, std::string>;
  using ReactorKey = std::tuple<Uuid, Role, std::string>;

  result<Written> run(const OpenConversation& write);
  result<Written> run(const AppendMessage& write);
  result<Written> run(const PutReaction& write);
  result<Written> run(const MarkConversation& write);
  result<Written> run(const PutToken& write);
  result<Written> run(const DeleteToken&) { return errc::internal; }
  result<Written> run(const SweepTokens&) { return errc::internal; }

  // nullptr: none, or not opened yet.
  KnownConversation* find(const Uuid& id);
  // nullptr also when the participant does not reach it.
  KnownConversation* find(const Uuid& id, const Participant& who);
  void learn(KnownMessage message);
  std::optional<Message> newest(const KnownConversation& conversation) const;

  std::set<Uuid> made_;  // and not opened yet
  std::map<Uuid, KnownConversation> conversations_;
  std::map<std::pair<std::string, std::string>, Uuid> by_client_;
  std::unordered_map<Uuid, KnownMessage> messages_;
  std::map<RepeatKey, Uuid> repeats_;
  std::map<std::pair<Uuid, std::string>, std::vector<KnownToken>> tokens_;
  std::vector<Uuid> new_messages_;
  std::vector<Effects::Mark> marks_;
  std::vector<Effects::ChangeRow> changes_;
  std::map<ReactorKey, std::optional<std::pair<Reaction, std::uint64_t>>> reactions_;
};

}  // namespace travelchat::postgres
