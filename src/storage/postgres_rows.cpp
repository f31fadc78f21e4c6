#include "storage/postgres_rows.hpp"

namespace travelchat::postgres {

ConversationRow read_conversation(const Row& row) {
  ConversationRow conversation;
  conversation.value.id = row.uuid(0);
  conversation.value.org_id = row.text(1);
  conversation.value.client_id = row.text(2);
  conversation.value.created_at = row.time(3);
  conversation.value.last_seq = row.count(5);
  // A host's table may have a time from the start, with NOT NULL.
  if (conversation.value.last_seq > 0) conversation.value.last_message_at = row.optional_time(4);
  conversation.value.rev = row.count(6);
  conversation.value.unread_count = row.count(7);
  conversation.unseen_count = row.count(8);
  conversation.read_seq = row.count(9);
  conversation.seen_seq = row.count(10);
  return conversation;
}

Message read_message(const Row& row, int first) {
  Message message;
  message.id = row.uuid(first);
  message.conversation_id = row.uuid(first + 1);
  message.org_id = row.text(first + 2);
  message.seq = row.count(first + 3);
  message.rev = row.count(first + 4);
  message.created_at = row.time(first + 5);
  message.sender_type = row.role(first + 6);
  message.is_read = row.boolean(first + 7);
  message.seen_at = row.optional_time(first + 8);
  message.sender_id = row.text(first + 9);
  message.sender_name = row.text(first + 10);
  message.client_message_id = row.optional_text(first + 11);
  message.attachment_url = row.optional_text(first + 12);
  message.attachment_type = row.optional_text(first + 13);
  message.attachment_name = row.optional_text(first + 14);
  message.content = row.text(first + 15);
  return message;
}

std::unordered_map<Uuid, std::vector<Reaction>> read_reactions(const Result& rows) {
  std::unordered_map<Uuid, std::vector<Reaction>> reactions;
  for (int i = 0; i < rows.size(); ++i) {
    const Row row = rows[i];
    const auto emoji = parse_emoji(row.text(7));
    if (!emoji) continue;
    Reaction reaction;
    reaction.id = row.uuid(0);
    reaction.message_id = row.uuid(1);
    reaction.conversation_id = row.uuid(2);
    reaction.org_id = row.text(3);
    reaction.reactor_type = row.role(4);
    reaction.reactor_id = row.text(5);
    reaction.reactor_name = row.text(6);
    reaction.emoji = *emoji;
    reaction.created_at = row.time(8);
    reactions[reaction.message_id].push_back(std::move(reaction));
  }
  return reactions;
}

}  // namespace travelchat::postgres
