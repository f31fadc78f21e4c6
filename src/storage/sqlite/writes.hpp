// The writes of storage.hpp on the writing connection.
#pragma once

#include "storage/sqlite/given.hpp"
#include "storage/sqlite/rows.hpp"
#include "storage/sqlite/statement.hpp"

#include <travelchat/transactional_storage.hpp>

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace travelchat::sqlite {

// One thread at a time. Throws Failure.
class Writer {
 public:
  // `database` has the newest schema and outlives the writer.
  explicit Writer(Database& database);

  // How to carry out writes, from the fastest to the slowest:
  enum class Mode {
    expecting_no_repeat,  // without a look for repeated client message ids: an index refuses the row of one
    together,
    one_by_one,  // so that a write whose new id is taken fails alone
  };
  // Carries out the writes inside the transaction that the caller has begun, and answers each. False: a row was
  // refused, and the transaction must be undone; `one_by_one` never says so.
  [[nodiscard]] bool apply(std::span<const Write> writes, Mode mode, std::vector<result<Written>>& results);

  // Also inside a transaction of the caller's.
  Pruned prune_changes(const PruneChanges& step);
  void begin_epoch(const Uuid& epoch);

  // To be called when the transaction was undone, or when somebody else wrote.
  void forget() noexcept;

  Statement& begin() noexcept { return begin_; }
  Statement& commit() noexcept { return commit_; }

 private:
  // The key of a new row is taken, or its client message id: thrown while effects are stored.
  struct KeyTaken {};

  void decide(std::span<const Write> writes, Mode mode, std::vector<result<Written>>& results);
  Facts load(const Questions& questions);
  void store(Effects effects);
  RemovedTokens remove_tokens(const TokenRemoval& removal);

  // The row as it is now; nullptr: none. Valid until `forget`.
  KeyedConversation* find_conversation(const Uuid& id);
  void load_members(const Questions& questions, Facts& facts);
  // Of one that is there.
  std::int64_t key_of(const Uuid& conversation_id);

  std::uint64_t rows_changed() const noexcept;

  Database& database_;
  Statement begin_;
  Statement commit_;
  Rows rows_;
  GivenTable given_;
  // A cache of rows, valid because no other connection writes: many writes go to few conversations.
  std::unordered_map<Uuid, KeyedConversation> conversations_;
  Statement find_by_client_;
  Statement insert_conversation_;
  Statement find_repeated_;
  Statement find_message_by_id_;
  Statement list_tokens_;
  Statement update_conversations_;
  Statement insert_messages_;
  Statement put_reaction_;
  Statement delete_reaction_;
  Statement touch_message_;
  Statement rewrite_message_;
  Statement insert_change_;
  Statement find_member_;
  Statement put_member_;
  Statement mark_read_;
  Statement mark_seen_;
  Statement insert_token_;
  Statement delete_token_;
  Statement sweep_tokens_;
  Statement revoke_tokens_of_client_;
  Statement revoke_tokens_of_trip_;
  Statement list_oldest_changes_;
  Statement list_changes_;
  Statement delete_changes_;
  Statement note_pruned_;
  Statement put_epoch_;
  Statement find_epoch_;
};

}  // namespace travelchat::sqlite
