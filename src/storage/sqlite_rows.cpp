#include "storage/sqlite_rows.hpp"

#include <algorithm>

namespace travelchat::sqlite {

namespace {

// The columns of Rows::list_reactions_.
Reaction read_reaction(const Run& row, const Conversation& conversation, const Uuid& message_id) {
  Reaction reaction;
  reaction.id = row.uuid(1);
  reaction.message_id = message_id;
  reaction.conversation_id = conversation.id;
  reaction.org_id = conversation.org_id;
  reaction.reactor_type = static_cast<Role>(row.integer(2));
  reaction.reactor_id = row.text(3);
  reaction.reactor_name = row.text(4);
  reaction.emoji = static_cast<Emoji>(row.integer(5));
  reaction.created_at = row.time(6);
  return reaction;
}

}  // namespace

KeyedConversation read_conversation(const Run& row) {
  KeyedConversation conversation;
  conversation.pk = row.integer(0);
  conversation.value.id = row.uuid(1);
  conversation.value.org_id = row.text(2);
  conversation.value.client_id = row.text(3);
  conversation.value.created_at = row.time(4);
  conversation.value.last_message_at = row.optional_time(5);
  conversation.value.last_seq = row.count(6);
  conversation.value.rev = row.count(7);
  conversation.value.unread_count = row.count(8);
  conversation.unseen_count = row.count(9);
  conversation.read_seq = row.count(10);
  conversation.seen_seq = row.count(11);
  return conversation;
}

Message read_message(const Run& row, const Conversation& conversation) {
  Message message;
  message.conversation_id = conversation.id;
  message.org_id = conversation.org_id;
  message.seq = row.count(0);
  message.id = row.uuid(1);
  message.rev = row.count(2);
  message.created_at = row.time(3);
  message.sender_type = static_cast<Role>(row.integer(4));
  message.is_read = row.integer(5) != 0;
  message.seen_at = row.optional_time(6);
  message.sender_id = row.text(7);
  message.sender_name = row.text(8);
  message.client_message_id = row.optional_text(9);
  message.attachment_url = row.optional_text(10);
  message.attachment_type = row.optional_text(11);
  message.attachment_name = row.optional_text(12);
  message.content = row.text(13);
  return message;
}

Rows::Rows(Database& database)
    : find_conversation_(database,
                         "SELECT " TRAVELCHAT_CONVERSATION_COLUMNS " FROM travelchat_conversations WHERE id = ?"),
      find_message_(database, "SELECT " TRAVELCHAT_MESSAGE_COLUMNS
                              " FROM travelchat_messages WHERE conversation_pk = ? AND seq = ?"),
      list_reactions_(
          database,
          "SELECT seq, id, reactor_type, reactor_id, reactor_name, emoji, created_at"
          " FROM travelchat_reactions WHERE conversation_pk = ? AND seq BETWEEN ? AND ? ORDER BY seq, rev") {}

std::optional<KeyedConversation> Rows::find_conversation(const Uuid& id) {
  Run row = find_conversation_.run(id);
  if (!row.next()) return std::nullopt;
  return read_conversation(row);
}

std::optional<Message> Rows::find_message(const KeyedConversation& conversation, std::uint64_t seq) {
  Run row = find_message_.run(conversation.pk, seq);
  if (!row.next()) return std::nullopt;
  return read_message(row, conversation.value);
}

std::vector<Reaction> Rows::list_reactions(const KeyedConversation& conversation, const Uuid& message_id,
                                           std::uint64_t seq) {
  std::vector<Reaction> reactions;
  Run row = list_reactions_.run(conversation.pk, seq, seq);
  while (row.next()) reactions.push_back(read_reaction(row, conversation.value, message_id));
  return reactions;
}

void Rows::load_reactions(const KeyedConversation& conversation, std::vector<Message>& messages) {
  if (messages.empty()) return;
  Run row = list_reactions_.run(conversation.pk, messages.front().seq, messages.back().seq);
  auto message = messages.begin();
  while (row.next()) {
    const std::uint64_t seq = row.count(0);
    message = std::lower_bound(message, messages.end(), seq,
                               [](const Message& m, std::uint64_t wanted) { return m.seq < wanted; });
    if (message == messages.end()) return;
    if (message->seq == seq) message->reactions.push_back(read_reaction(row, conversation.value, message->id));
  }
}

}  // namespace travelchat::sqlite
