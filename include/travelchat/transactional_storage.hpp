// The base class of an application's own storage: it loads and stores rows, and the library decides what to write.
//
// A commit is one or more transactions. In each the storage loads the facts that it is asked for, hands them to
// `decide`, and stores the effects. Who may reach what, what a repeat is, how counts, sequence numbers and revisions
// rise, and which tokens are evicted is decided in between, by the library.
#pragma once

#include <travelchat/storage.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace travelchat {

// A conversation as a storage keeps it, with members that only writes need.
struct ConversationRow {
  Conversation value;
  std::uint64_t unseen_count = 0;  // the advisors' messages that the client has not seen
  std::uint64_t read_seq = 0;      // every client's message up to this seq is read
  std::uint64_t seen_seq = 0;      // every advisor's message up to this seq is seen
};
BOOST_DESCRIBE_STRUCT(ConversationRow, (), (value, unseen_count, read_seq, seen_seq))

// A member as a storage keeps it. A conversation's own client is a member also where it has no row.
struct MemberRow {
  Uuid conversation_id;
  Member member;
};
BOOST_DESCRIBE_STRUCT(MemberRow, (), (conversation_id, member))

struct TokenRow {
  Sha256Digest digest{};
  TokenClaims claims;
  TimePoint created_at;
};
BOOST_DESCRIBE_STRUCT(TokenRow, (), (digest, claims, created_at))

// The rows that a transaction's decision depends on. Rows that do not exist are left out of the facts; rows that appear
// twice or were not asked for do no harm. The pointers lead into the writes, which outlive the transaction.
struct Questions {
  struct MemberKey {
    Uuid conversation_id;
    const Participant* who = nullptr;
  };
  // By id. Ascending, each once: who locks rows locks them in this order.
  std::vector<Uuid> conversations;
  // The conversations of (org_id, client_id), and their newest messages. Ascending, each once.
  std::vector<const OpenConversation*> openings;
  // The messages with this (conversation_id, client_message_id, sender.role, sender.id); every one here has a
  // `client_message_id`.
  std::vector<const AppendMessage*> repeatable;
  // By id, whichever conversation they are of. Ascending, each once.
  std::vector<Uuid> messages;
  // Conversations whose newest message, the one of the highest seq, is wanted. Ascending, each once.
  std::vector<Uuid> newest_of;
  // The members of these keys. For its access, a client's row in its own conversation may be left out.
  std::vector<MemberKey> viewers;  // of whom the watermarks are wanted
  std::vector<MemberKey> clients;  // of whom it is wanted whether they are members
  // The tokens of (claims.conversation_id, claims.trip_id). Those that have expired may be left out.
  std::vector<const PutToken*> tokens;
};

struct Facts {
  std::vector<ConversationRow> conversations;  // of `conversations` and `openings`
  std::vector<Message> messages;               // with their reactions, oldest first
  std::vector<MemberRow> members;              // of `viewers` and `clients`
  std::vector<TokenRow> tokens;                // of each conversation and trip the oldest first
  // For a storage that locks rows and therefore inserts the conversations of `openings` before it loads the facts: the
  // ids of those that it has inserted (they are among `conversations`, too). Then no effect opens one. nullopt: it
  // leaves that to the effects.
  std::optional<std::set<Uuid>> made = std::nullopt;
};
BOOST_DESCRIBE_STRUCT(Facts, (), (conversations, messages, members, tokens, made))

// The rows to write. Within one list each row is there once. Lists with messages, marks, reactions and changes are
// sorted by conversation, then by seq or rev. They may be stored in the order in which they stand here.
struct Effects {
  struct NewMessage {
    Message message;                // its `reactions` are among the reactions below
    std::uint64_t created_rev = 0;  // the revision that brought it; `message.rev` may be a later one
  };
  // An entry of the list of changes (see `Storage::list_changes`), and a change of the messages with
  // after_seq < seq <= up_to_seq that were there before: an advisor (`viewer`) has read each one of a client's that is
  // not read, or a client has seen, at `at`, each one of an advisor's that has no `seen_at`. These get `rev`.
  struct Mark {
    Uuid conversation_id;
    Role viewer = Role::advisor;
    std::uint64_t after_seq = 0;
    std::uint64_t up_to_seq = 0;
    std::uint64_t rev = 0;
    TimePoint at;
  };
  // A message that was there before gets this rev.
  struct Touched {
    Uuid conversation_id;
    Uuid message_id;
    std::uint64_t seq = 0;
    std::uint64_t rev = 0;
  };
  // A message that was there before, or is among `messages`, is replaced by this one; its reactions are among the
  // others. `content_rev`: see Change.
  struct Rewritten {
    Message message;
    std::uint64_t content_rev = 0;
  };
  // Replaces the one of this reactor to this message, if there is one.
  struct NewReaction {
    Reaction reaction;
    std::uint64_t seq = 0;  // of the message
    std::uint64_t rev = 0;  // the reactions of a message are listed in the order of these
  };
  struct RemovedReaction {
    Uuid conversation_id;
    Uuid message_id;
    std::uint64_t seq = 0;  // of the message
    Role reactor_type = Role::advisor;
    std::string reactor_id;
  };
  // An entry of the list of changes: this message changed, in whatever way. A new message has none: its `created_rev`
  // tells.
  struct ChangedMessage {
    Uuid conversation_id;
    std::uint64_t rev = 0;
    std::uint64_t seq = 0;
    TimePoint at;
  };

  std::vector<ConversationRow> opened;         // to be inserted
  std::vector<ConversationRow> conversations;  // to be updated
  std::vector<Mark> marks;
  std::vector<NewMessage> messages;  // to be inserted
  std::vector<Touched> touched;
  std::vector<Rewritten> rewritten;
  std::vector<RemovedReaction> removed_reactions;
  std::vector<NewReaction> reactions;
  std::vector<ChangedMessage> changes;  // to be inserted
  std::vector<MemberRow> members;       // to be inserted, or to replace the row with the same key
  std::vector<Sha256Digest> removed_tokens;
  std::vector<TokenRow> tokens;  // to be inserted; of one trip the oldest first
};
BOOST_DESCRIBE_STRUCT(Effects::NewMessage, (), (message, created_rev))
BOOST_DESCRIBE_STRUCT(Effects::Mark, (), (conversation_id, viewer, after_seq, up_to_seq, rev, at))
BOOST_DESCRIBE_STRUCT(Effects::Touched, (), (conversation_id, message_id, seq, rev))
BOOST_DESCRIBE_STRUCT(Effects::Rewritten, (), (message, content_rev))
BOOST_DESCRIBE_STRUCT(Effects::NewReaction, (), (reaction, seq, rev))
BOOST_DESCRIBE_STRUCT(Effects::RemovedReaction, (), (conversation_id, message_id, seq, reactor_type, reactor_id))
BOOST_DESCRIBE_STRUCT(Effects::ChangedMessage, (), (conversation_id, rev, seq, at))
BOOST_DESCRIBE_STRUCT(Effects, (),
                      (opened, conversations, marks, messages, touched, rewritten, removed_reactions, reactions,
                       changes, members, removed_tokens, tokens))

// The writes that remove tokens, which need no decision; see storage.hpp.
using TokenRemoval = std::variant<DeleteToken, SweepTokens, RevokeTokens>;

struct RemovedTokens {
  std::uint64_t count = 0;
  std::vector<Sha256Digest> digests;  // RevokeTokens only: which
};
BOOST_DESCRIBE_STRUCT(RemovedTokens, (), (count, digests))

class TransactionalStorage : public Storage {
 public:
  // `Storage::commit` by means of the two below. A transaction that fails with another error than
  // `errc::storage_failed` and `errc::storage_full` was refused for one of its rows: it is done again in halves, until
  // the write that is to blame stands alone and has that error.
  error_code commit(std::span<const Write> writes, std::vector<result<Written>>& results) override;

 protected:
  using Decide = std::function<Effects(Facts)>;

  // One transaction: loads what `questions` asks for, gives it to `decide`, stores what that answers, and returns once
  // it is durable. Called by one thread at a time, the one that commits; may block.
  //
  // Where others write to the same rows, the conversations that are loaded are locked until the end. A storage that
  // begins a transaction anew, because the database asks for it, calls `decide` again with the facts as they are then.
  // `decide` does not throw but for lack of memory, and is of no use once `transact` has returned.
  //
  // Errors, after which nothing of it is stored: `errc::internal` when the key of a row to insert is taken,
  // `errc::storage_full`, `errc::storage_failed`.
  virtual error_code transact(const Questions& questions, const Decide& decide) = 0;
  // Durable when it returns. Errors as above. Called by the same thread.
  virtual result<RemovedTokens> remove_tokens(const TokenRemoval& removal) = 0;

 private:
  void decide(std::span<const Write> writes, bool after_trouble, std::vector<result<Written>>& results);
};

}  // namespace travelchat
