// The writes of storage.hpp on the writing connection.
#pragma once

#include "storage/sqlite_rows.hpp"
#include "storage/sqlite_statement.hpp"

#include <travelchat/storage.hpp>

#include <cstdint>
#include <unordered_map>

namespace travelchat::sqlite {

// One thread at a time. Throws Failure.
class Writer {
 public:
  // `database` has the newest schema and outlives the writer.
  explicit Writer(Database& database);

  // Runs one write inside the transaction that the caller has begun. A write that fails alone has changed nothing: it
  // validates first, and its new row, which a taken id refuses, comes before whatever counts it.
  result<Written> apply(const Write& write);

  // To be called when the transaction was undone, or when somebody else wrote.
  void forget() noexcept;

  Statement& begin() noexcept { return begin_; }
  Statement& commit() noexcept { return commit_; }

 private:
  result<Written> run(const OpenConversation& write);
  result<Written> run(const AppendMessage& write);
  result<Written> run(const PutReaction& write);
  result<Written> run(const MarkConversation& write);
  result<Written> run(const PutToken& write);
  result<Written> run(const DeleteToken& write);
  result<Written> run(const SweepTokens& write);

  // The row as it is now; nullptr: none. Valid until the next call, or until `forget`.
  ConversationRow* find_conversation(const Uuid& id);
  // nullptr also when the participant does not reach it.
  ConversationRow* find_conversation(const Uuid& id, const Participant& who);

  std::uint64_t rows_changed() const noexcept;

  Database& database_;
  Statement begin_;
  Statement commit_;
  Rows rows_;
  // What this connection, the only one that writes, last wrote: a batch's writes go to few conversations again and
  // again.
  std::unordered_map<Uuid, ConversationRow> conversations_;
  Statement find_by_client_;
  Statement insert_conversation_;
  Statement find_by_client_message_id_;
  Statement insert_message_;
  Statement advance_to_message_;
  Statement find_message_seq_;
  Statement find_reaction_;
  Statement put_reaction_;
  Statement delete_reaction_;
  Statement touch_message_;
  Statement advance_to_reaction_;
  Statement insert_change_;
  Statement mark_read_;
  Statement mark_seen_;
  Statement advance_to_read_;
  Statement advance_to_seen_;
  Statement insert_token_;
  Statement delete_surplus_tokens_;
  Statement delete_token_;
  Statement sweep_tokens_;
};

}  // namespace travelchat::sqlite
