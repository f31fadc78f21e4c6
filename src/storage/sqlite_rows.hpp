// The look-ups that reads and writes share, and how a row becomes a value.
#pragma once

#include "storage/sqlite_statement.hpp"

#include <travelchat/transactional_storage.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace travelchat::sqlite {

struct KeyedConversation : ConversationRow {
  std::int64_t pk = 0;
};

#define TRAVELCHAT_CONVERSATION_COLUMNS                                                                           \
  "pk, id, org_id, client_id, created_at, last_message_at, last_seq, rev, unread_count, unseen_count, read_seq, " \
  "seen_seq"
KeyedConversation read_conversation(const Run& row);

#define TRAVELCHAT_MESSAGE_COLUMNS                                                                       \
  "seq, id, rev, created_at, sender_type, is_read, seen_at, sender_id, sender_name, client_message_id, " \
  "attachment_url, attachment_type, attachment_name, content, created_rev"
inline constexpr int created_rev_column = 14;
inline constexpr int message_columns = 15;
// Without its reactions.
Message read_message(const Run& row, const Conversation& conversation);

// Belongs to one connection.
class Rows {
 public:
  explicit Rows(Database& database);

  std::optional<KeyedConversation> find_conversation(const Uuid& id);
  // Without its reactions; nullopt when there is no such seq.
  std::optional<Message> find_message(const KeyedConversation& conversation, std::uint64_t seq);
  std::vector<Reaction> list_reactions(const KeyedConversation& conversation, const Uuid& message_id,
                                       std::uint64_t seq);
  // Fills in the reactions of messages that are sorted by seq.
  void load_reactions(const KeyedConversation& conversation, std::vector<Message>& messages);

 private:
  Statement find_conversation_;
  Statement find_message_;
  Statement list_reactions_;
};

}  // namespace travelchat::sqlite
