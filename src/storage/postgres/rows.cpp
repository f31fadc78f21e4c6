#include "storage/postgres/rows.hpp"

#include <algorithm>
#include <utility>

namespace travelchat::postgres {

namespace {

const char* name_of(Type type) noexcept {
  switch (type) {
    case Type::boolean:
      return "boolean";
    case Type::bigint:
      return "bigint";
    case Type::smallint:
      return "smallint";
    case Type::timestamp:
      return "timestamp";
    case Type::text:
      break;
  }
  return "text";
}

// "$2::text[], $3::bigint[]": $1 is what a row has besides the record.
template <class T, class Columns>
std::string array_parameters() {
  std::string list;
  int number = 2;
  detail::for_each_of<Columns>([&](auto member) {
    constexpr Type type = column_type<std::remove_cvref_t<decltype(std::declval<T&>().*member.pointer)>>;
    if (!list.empty()) list += ", ";
    list += "$" + std::to_string(number++) + "::" + name_of(type) + "[]";
  });
  return list;
}

constexpr int emoji_column =
    static_cast<int>(boost::mp11::mp_find_if_q<ReactionColumns, detail::Without<&Reaction::emoji>>::value);

}  // namespace

const ColumnsText* find_columns_text(std::string_view sql) noexcept {
  static const std::vector<ColumnsText> all = {
      {"@c.*", storage::names<ConversationColumns>("c.")},
      {"@m.*", storage::names<MessageColumns>("m.")},
      {"@r.*", storage::names<ReactionColumns>("r.")},
      {"@p.*", storage::names<MemberColumns>("p.")},
      {"@(m)", storage::names<MessageColumns>()},
      {"@(r)", storage::names<ReactionColumns>()},
      {"@(p)", storage::names<MemberColumns>()},
      {"@[m]", array_parameters<Message, MessageColumns>()},
      {"@[r]", array_parameters<Reaction, ReactionColumns>()},
      {"@[p]", array_parameters<Member, MemberColumns>()},
  };
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const ColumnsText& columns) { return sql.starts_with(columns.placeholder); });
  return found == all.end() ? nullptr : &*found;
}

ConversationRow read_conversation(const Row& row) {
  ConversationRow conversation;
  storage::read<ConversationColumns>(row, 0, conversation);
  // In a host's table the column may be NOT NULL and so have a time before the first message.
  if (conversation.value.last_seq == 0) conversation.value.last_message_at.reset();
  return conversation;
}

Message read_message(const Row& row, int first) {
  Message message;
  storage::read<MessageColumns>(row, first, message);
  return message;
}

std::unordered_map<Uuid, std::vector<Reaction>> read_reactions(const Result& rows) {
  std::unordered_map<Uuid, std::vector<Reaction>> reactions;
  for (int i = 0; i < rows.size(); ++i) {
    const Row row = rows[i];
    if (!parse_emoji(row.text(emoji_column))) continue;
    Reaction reaction;
    storage::read<ReactionColumns>(row, 0, reaction);
    reactions[reaction.message_id].push_back(std::move(reaction));
  }
  return reactions;
}

}  // namespace travelchat::postgres
