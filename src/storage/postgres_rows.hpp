// The columns of the tables, and how a row becomes a value.
#pragma once

#include "storage/postgres_connection.hpp"

#include <travelchat/transactional_storage.hpp>

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

namespace travelchat::postgres {

#define TRAVELCHAT_CONVERSATION_COLUMNS                                                                               \
  "c.id, c.org_id, c.client_id, c.created_at, c.last_message_at, c.last_seq, c.rev, c.unread_count, c.unseen_count, " \
  "c.read_seq, c.seen_seq"
inline constexpr int conversation_columns = 11;
ConversationRow read_conversation(const Row& row);

#define TRAVELCHAT_MESSAGE_COLUMNS                                                                                    \
  "m.id, m.conversation_id, m.org_id, m.seq, m.rev, m.created_at, m.sender_type, m.is_read, m.seen_at, m.sender_id, " \
  "m.sender_name, m.client_message_id, m.attachment_url, m.attachment_type, m.attachment_name, m.content,"            \
  " m.created_rev"
inline constexpr int message_columns = 17;
// Without its reactions. The message's columns begin at `first`.
Message read_message(const Row& row, int first = 0);
inline std::uint64_t read_created_rev(const Row& row) {
  return row.count(16);
}

#define TRAVELCHAT_REACTION_COLUMNS                                                                          \
  "r.id, r.message_id, r.conversation_id, r.org_id, r.reactor_type, r.reactor_id, r.reactor_name, r.emoji, " \
  "r.created_at"
// A message's reactions in the order of its list.
#define TRAVELCHAT_REACTION_ORDER "r.rev NULLS FIRST, r.created_at NULLS FIRST, r.id"
// By message. What a host has written that is none of the six reactions is left out.
std::unordered_map<Uuid, std::vector<Reaction>> read_reactions(const Result& rows);

}  // namespace travelchat::postgres
