// The columns of the tables, and how a row becomes a value.
#pragma once

#include "storage/columns.hpp"
#include "storage/postgres/codec.hpp"
#include "storage/postgres/connection.hpp"

#include <travelchat/transactional_storage.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

namespace travelchat::postgres {

using storage::ConversationColumns;
// A message's reactions are rows of their own.
using MessageColumns = detail::MembersWithout<Message, &Message::reactions>;
using ReactionColumns = detail::MembersOf<Reaction>;

using storage::MemberColumns;

// A placeholder for columns in SQL; see Query.
struct ColumnsText {
  std::string_view placeholder;
  std::string text;
};
// The one that `sql` begins with; nullptr: none.
const ColumnsText* find_columns_text(std::string_view sql) noexcept;

inline constexpr int conversation_columns = storage::count<ConversationColumns>;
ConversationRow read_conversation(const Row& row);

inline constexpr int message_columns = storage::count<MessageColumns>;
// Without its reactions. The message's columns begin at `first`.
Message read_message(const Row& row, int first = 0);

// A message's reactions in the order of its list.
#define TRAVELCHAT_REACTION_ORDER "r.rev NULLS FIRST, r.created_at NULLS FIRST, r.id"
// By message. What a host has written that is none of the six reactions is left out.
std::unordered_map<Uuid, std::vector<Reaction>> read_reactions(const Result& rows);

template <class T>
constexpr Type column_type = Type::text;
template <class T>
constexpr Type column_type<std::optional<T>> = column_type<T>;
template <>
inline constexpr Type column_type<bool> = Type::boolean;
template <>
inline constexpr Type column_type<std::uint64_t> = Type::bigint;
template <>
inline constexpr Type column_type<TimePoint> = Type::timestamp;

// Adds an array for each column: of its values in the records that `record_of` finds in the rows.
template <class Columns, class Rows, class RecordOf>
void add_arrays(Parameters& parameters, const Rows& rows, RecordOf record_of) {
  detail::for_each_of<Columns>([&](auto member) {
    Array array(column_type<std::remove_cvref_t<decltype(record_of(rows.front()).*member.pointer)>>);
    for (const auto& row : rows) array.add(record_of(row).*member.pointer);
    parameters.add(array);
  });
}

}  // namespace travelchat::postgres
