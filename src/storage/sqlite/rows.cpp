#include "storage/sqlite/rows.hpp"

#include <algorithm>

namespace travelchat::sqlite {

namespace {

// The columns of Rows::list_reactions_.
Reaction read_reaction(const Run& row, const Conversation& conversation, const Uuid& message_id) {
  Reaction reaction;
  reaction.message_id = message_id;
  reaction.conversation_id = conversation.id;
  reaction.org_id = conversation.org_id;
  storage::read<ReactionColumns>(row, 1, reaction);
  return reaction;
}

}  // namespace

KeyedConversation read_conversation(const Run& row) {
  KeyedConversation conversation;
  conversation.pk = row.integer(0);
  storage::read<ConversationColumns>(row, 1, static_cast<ConversationRow&>(conversation));
  return conversation;
}

Message read_message(const Run& row, const Conversation& conversation) {
  Message message;
  message.conversation_id = conversation.id;
  message.org_id = conversation.org_id;
  storage::read<MessageColumns>(row, 0, message);
  return message;
}

std::string select_conversation() {
  return "SELECT pk, " + storage::names<ConversationColumns>();
}

std::string select_message(const std::string& more) {
  return "SELECT " + storage::names<MessageColumns>() + more;
}

Rows::Rows(Database& database)
    : find_conversation_(database, select_conversation() + " FROM travelchat_conversations WHERE id = ?"),
      find_message_(database, select_message() + " FROM travelchat_messages WHERE conversation_pk = ? AND seq = ?"),
      list_reactions_(database, "SELECT seq, " + storage::names<ReactionColumns>() +
                                    " FROM travelchat_reactions WHERE conversation_pk = ? AND seq BETWEEN ? AND ?"
                                    " ORDER BY seq, rev") {}

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
