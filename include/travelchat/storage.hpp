// The interface of a storage: one call that writes, and few reads. An application's own storage derives from
// TransactionalStorage (transactional_storage.hpp), which implements the writing by loading and storing rows.
//
// The engine owns its storage. `commit` or `try_commit` is called by the engine's committer thread only, one at a time;
// the reads are called by several reader threads at any time, also while a commit runs. All of them may block.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/types.hpp>

#include <boost/describe/enum.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace travelchat {

// ---- Writes: commands, validated by the engine, with every id and time already in them. ----

// Get or create. `conversation_id` is used only when there is none yet for (org_id, client_id).
struct OpenConversation {
  Uuid conversation_id;
  std::string org_id;
  std::string client_id;
  TimePoint now;
};

// `sender` decides what it may reach (see Participant). With a `client_message_id` that this sender already used in
// this conversation: the first message again (`created` false) when all else of the draft is equal, too, otherwise
// `errc::idempotency_conflict`. A client's message raises `unread_count`.
struct AppendMessage : Draft {
  Uuid message_id;
  Participant sender;
  TimePoint now;
};

// Sets this reactor's one reaction, or removes it when `emoji` is empty. Setting what is set, or removing what is not
// there, changes nothing and raises no revision. A replaced reaction keeps its id, takes the new emoji and `now`, and
// moves to the end of the message's list. `errc::not_found` also when the message is not in that conversation.
struct PutReaction {
  Uuid reaction_id;
  Uuid conversation_id;
  Uuid message_id;
  Participant reactor;
  std::optional<Emoji> emoji;
  TimePoint now;
};

// By a client: sets `seen_at` on every advisor's message that has none. By an advisor: sets `is_read` on every client's
// message and `unread_count` to 0. One revision for all of them, none when nothing changed.
struct MarkConversation {
  Uuid conversation_id;
  Participant viewer;
  TimePoint now;
};

// Stores a token's digest; the oldest live ones of the same (client, trip) beyond `max_live` are deleted.
// `errc::not_found` when the claims' conversation is not that of their client.
struct PutToken {
  Sha256Digest digest;
  TokenClaims claims;
  TimePoint now;
  std::size_t max_live = 10;
};

// Deletes one token. `changed` says whether it was there.
struct DeleteToken {
  Sha256Digest digest;
};
BOOST_DESCRIBE_STRUCT(DeleteToken, (), (digest))

// Deletes every token with `expires_at <= now`.
struct SweepTokens {
  TimePoint now;
};
BOOST_DESCRIBE_STRUCT(SweepTokens, (), (now))

// Deletes the tokens of one client, of one trip, or of one client for one trip. At least one of the two is given.
struct RevokeTokens {
  std::string org_id;
  std::optional<std::string> client_id;
  std::optional<std::string> trip_id;
};
BOOST_DESCRIBE_STRUCT(RevokeTokens, (), (org_id, client_id, trip_id))

using Write = std::variant<OpenConversation, AppendMessage, PutReaction, MarkConversation, PutToken, DeleteToken,
                           SweepTokens, RevokeTokens>;

// What a write brought. `conversation` is the row after the write (not for tokens).
struct Written {
  bool changed = false;             // false: an answer to a repeat or to a write without effect; nothing to broadcast
  Conversation conversation;        // after the write, `rev` and `unread_count` included
  std::optional<Message> message;   // AppendMessage: the message (with its reactions when it is a repeat)
  std::vector<Reaction> reactions;  // PutReaction: all of the message's, oldest first
  std::optional<Message> last_message;  // OpenConversation, MarkConversation by an advisor: newest, without reactions
  std::uint64_t count = 0;  // MarkConversation: messages marked; SweepTokens, DeleteToken, RevokeTokens: tokens deleted
  std::vector<Sha256Digest> evicted;  // PutToken: the older tokens that made room; RevokeTokens: those deleted
};

// ---- Reads ----

struct ConversationQuery {
  ConversationQuery() = default;
  ConversationQuery(std::string of_org, std::optional<std::string> with_text = std::nullopt,
                    std::vector<std::string> of_clients = {})
      : org_id(std::move(of_org)), text(std::move(with_text)), client_ids(std::move(of_clients)) {}

  std::string org_id;
  // Empty: all. Else: a conversation matches when a message's content contains `text` (as `TextSearch` of
  // text_search.hpp finds it), or its client is in `client_ids`.
  std::optional<std::string> text;
  std::vector<std::string> client_ids;
};
BOOST_DESCRIBE_STRUCT(ConversationQuery, (), (org_id, text, client_ids))

struct MessageQuery {
  Uuid conversation_id = {};
  std::optional<std::uint64_t> before_seq = {};  // only messages with a smaller seq
  std::optional<std::uint64_t> since_rev = {};   // only messages with a larger rev; excludes before_seq
  std::size_t limit = 100;                       // 1 to 200
  // The epoch that the caller's copy is of (see Revisions): the engine compares it with the page's, a storage need not.
  std::optional<Uuid> epoch = std::nullopt;
};
BOOST_DESCRIBE_STRUCT(MessageQuery, (), (conversation_id, before_seq, since_rev, limit, epoch))

// The most messages that a page by `since_rev` has.
inline constexpr std::size_t max_changed_messages = 1'000;

// By seq. Without `since_rev`: the newest `limit` ones (before `before_seq`). With it: the `limit` ones of smallest
// rev, sorted by seq, so that the largest rev of a page is the `since_rev` of the next. One mark gives many messages
// the same rev; a page never ends among them, so it may be longer than `limit`, but not than `max_changed_messages`:
// then the read fails with `errc::too_many_changes`. A storage bounds what it reads as well; of one that gives more all
// the same, the engine makes that error. Empty when there is no such conversation.
struct MessagePage {
  std::vector<Message> messages;  // with their reactions
  bool has_more = false;
  std::optional<Uuid> epoch = std::nullopt;  // see Revisions; read in the same snapshot
};
BOOST_DESCRIBE_STRUCT(MessagePage, (), (messages, has_more, epoch))

// One durable change of a conversation: of one message, or a mark. A message stands here as it is now, not as it was
// then: later changes follow in the same list, so whoever applies all of it ends in the present state. What is neither
// was made by a later version, or was of a message that is gone: only its revision is taken.
struct Change {
  struct Mark {
    Role viewer = Role::advisor;
    TimePoint at;
  };
  std::uint64_t rev = 0;
  std::optional<Message> message;  // with its reactions
  // Of `message`: the revision that brought it, and the newest one that changed more of it than its reactions and marks
  // (0: none has).
  std::uint64_t created_rev = 0;
  std::uint64_t content_rev = 0;
  std::optional<Mark> mark;
};
BOOST_DESCRIBE_STRUCT(Change::Mark, (), (viewer, at))
BOOST_DESCRIBE_STRUCT(Change, (), (rev, message, created_rev, content_rev, mark))

struct ChangeList {
  std::uint64_t current_rev = 0;  // of the conversation, read in the same snapshot
  // More than `limit` changes, or `since` is beyond `current_rev`, or before what is kept (see PruneChanges); then
  // `changes` is empty.
  bool too_many = false;
  std::vector<Change> changes;               // every rev from since + 1 to current_rev, in order
  std::optional<Uuid> epoch = std::nullopt;  // see Revisions; read in the same snapshot
};
BOOST_DESCRIBE_STRUCT(ChangeList, (), (current_rev, too_many, changes, epoch))

// Asks for the newest revisions, to compare them with what a node has told its listeners.
struct RevisionQuery {
  std::vector<Uuid> conversation_ids;
  std::vector<std::string> org_ids;
};
BOOST_DESCRIBE_STRUCT(RevisionQuery, (), (conversation_ids, org_ids))

struct Revisions {
  std::vector<std::uint64_t> conversations;  // the rev of each that was asked for, in that order; 0: no such one
  // For each organization a number that is different after a conversation of it was made or changed.
  std::vector<std::uint64_t> organizations;
  // Identifies the history that the revisions belong to. Made with the database, and anew after a restore, because
  // revisions that the backup lost are then given again to other changes. nullopt: the storage keeps none, and a
  // restored backup is not noticed.
  std::optional<Uuid> epoch = std::nullopt;
};
BOOST_DESCRIBE_STRUCT(Revisions, (), (conversations, organizations, epoch))

// ---- Upkeep ----

// Deletes old changes, which resuming listeners then get no more. It goes through the conversations by id, a bounded
// step in each call. A page by `since_rev` stays complete all the same.
struct PruneChanges {
  // Where the step begins: behind this conversation. Zero: with the first.
  Uuid after;
  // Of each conversation the changes of its newest revisions stay, this many. 0: all of them.
  std::uint64_t keep_revisions = 0;
  // Older ones are deleted, too. Empty: none is deleted for its age.
  std::optional<TimePoint> older_than = std::nullopt;
  // The bounds of a step: conversations looked at, and changes deleted. 0 is taken as 1.
  std::size_t max_conversations = 500;
  std::size_t max_changes = 1'000;
};
BOOST_DESCRIBE_STRUCT(PruneChanges, (), (after, keep_revisions, older_than, max_conversations, max_changes))

struct Pruned {
  std::uint64_t count = 0;                   // changes deleted
  std::optional<Uuid> next = std::nullopt;   // the next step's `after`; nullopt: all conversations were looked at
  std::optional<Uuid> epoch = std::nullopt;  // see Revisions
};
BOOST_DESCRIBE_STRUCT(Pruned, (), (count, next, epoch))

// The second base class of a storage that deletes old changes and keeps an epoch. Called by threads of the engine, one
// call at a time, also while a commit or reads run; may block.
class StorageUpkeep {
 public:
  virtual ~StorageUpkeep() = default;

  // Afterwards `Storage::list_changes` answers `too_many` for a revision before the kept changes.
  virtual result<Pruned> prune_changes(const PruneChanges& step) = 0;
  // Whatever is read from now on is of this epoch; durable.
  virtual error_code begin_epoch(const Uuid& epoch) = 0;
};

// The answer of `Storage::try_commit` to a write that it has left for later.
inline error_code postponed() noexcept {
  return boost::system::errc::make_error_code(boost::system::errc::resource_unavailable_try_again);
}

class Storage {
 public:
  virtual ~Storage() = default;

  // Runs all writes and returns once they are durable. Those of one conversation run in order, in one transaction; a
  // storage may run several such transactions at once. `results` gets one entry for each write. A write that fails
  // alone (not found, conflict; `errc::internal`: its new id is taken) has its error in its entry and leaves the others
  // untouched. When a transaction fails, its writes are undone and have its error in their entries:
  // `errc::storage_full` when the disk is full, `errc::storage_failed` otherwise. When the returned code is set, that
  // has happened to all of them, and the entries mean nothing. A later call may succeed.
  //
  // A storage behind a network may also answer `errc::storage_failed` for what it has carried out, when it lost the
  // connection at that very moment; the same `client_message_id` again brings the message that is there.
  virtual error_code commit(std::span<const Write> writes, std::vector<result<Written>>& results) = 0;
  // The same without waiting for rows that others have locked: a write that needs such a row is answered with
  // `postponed()`, and so are those of its conversation that follow in this call. They are not stored, and the caller
  // gives them again, soon and in their order, while it goes on with others. A storage postpones for a limited time
  // only; then the write fails as in `commit`. Called instead of `commit`, by the same thread.
  virtual error_code try_commit(std::span<const Write> writes, std::vector<result<Written>>& results) {
    return commit(writes, results);
  }

  // nullopt: no such conversation.
  virtual result<std::optional<Conversation>> find_conversation(const Uuid& id) = 0;
  // Newest activity first (`last_message_at`, else `created_at`; then by id, descending).
  virtual result<std::vector<ConversationSummary>> list_conversations(const ConversationQuery& query) = 0;
  virtual result<MessagePage> list_messages(const MessageQuery& query) = 0;
  // `errc::not_found` when there is no such conversation.
  virtual result<ChangeList> list_changes(const Uuid& conversation_id, std::uint64_t since_rev, std::size_t limit) = 0;
  // The conversation's client first, then the others in a fixed order; empty when there is no such conversation. Unless
  // overridden, the client alone.
  virtual result<std::vector<Member>> list_members(const Uuid& conversation_id);
  virtual result<Revisions> list_revisions(const RevisionQuery& query) = 0;
  // The sum of `unread_count` over the organization.
  virtual result<std::uint64_t> count_unread(const std::string& org_id) = 0;
  // nullopt: unknown, or `expires_at <= now`.
  virtual result<std::optional<TokenClaims>> find_token(const Sha256Digest& digest, TimePoint now) = 0;
  // Those of `digests` that `find_token` would find, in any order. A node asks for all tokens that its listeners rest
  // on, 500 at a time, every few seconds; unless overridden it is one `find_token` for each.
  virtual result<std::vector<Sha256Digest>> list_live_tokens(std::span<const Sha256Digest> digests, TimePoint now);
  // A cheap check that reads work, for readiness probes.
  virtual error_code ping() = 0;
  // Whether others may write to it as well: further nodes, or the host's own statements. Then an engine compares what
  // it has told with the storage (`EngineOptions::poll_interval`), also without a backplane. Constant.
  virtual bool has_other_writers() const noexcept { return false; }
};

}  // namespace travelchat
