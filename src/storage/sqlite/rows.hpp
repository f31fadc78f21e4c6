// The look-ups that reads and writes share, and how a row becomes a value.
#pragma once

#include "storage/columns.hpp"
#include "storage/sqlite/statement.hpp"

#include <travelchat/transactional_storage.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace travelchat::sqlite {

struct KeyedConversation : ConversationRow {
  std::int64_t pk = 0;
};

// The names of a conversation's columns behind `pk`, with which `read_conversation` expects them.
using storage::ConversationColumns;
KeyedConversation read_conversation(const Run& row);

// A message's and a reaction's conversation are told by the key. A message's reactions are rows of their own.
using MessageColumns =
    detail::MembersWithout<Message, &Message::conversation_id, &Message::org_id, &Message::reactions>;
using ReactionColumns =
    detail::MembersWithout<Reaction, &Reaction::message_id, &Reaction::conversation_id, &Reaction::org_id>;
// Without its reactions.
Message read_message(const Run& row, const Conversation& conversation);

using storage::MemberColumns;

// "SELECT pk, id, ..." and "SELECT id, ...", for the two above; `more` columns may follow.
std::string select_conversation();
std::string select_message(const std::string& more = {});
inline constexpr int message_columns = storage::count<MessageColumns>;

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
