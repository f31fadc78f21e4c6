// The columns of a record's row: one for each member, under the member's name.
//
// Lists of members (travelchat/describe.hpp) stand for lists of columns. What a table keeps elsewhere, as in its key,
// its storage leaves out of the list.
#pragma once

#include <travelchat/describe.hpp>

#include <boost/mp11/algorithm.hpp>
#include <boost/mp11/list.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace travelchat::storage {

// A conversation's row has the columns of both.
using ConversationColumns = boost::mp11::mp_append<detail::MembersOf<Conversation>,
                                                   detail::MembersWithout<ConversationRow, &ConversationRow::value>>;

using MemberColumns = detail::MembersOf<Member>;

// The column `kind` of travelchat_changes. A row of any other kind says that the message at its `first_seq` changed,
// and not what of it; ours have `message`, which version 2 of the schema knew as a change of reactions. The others are
// marks of the messages from `first_seq` to `last_seq`.
enum class LoggedKind : int { message = 1, seen = 2, read = 3 };

inline LoggedKind logged_kind(Role viewer) noexcept {
  return viewer == Role::client ? LoggedKind::seen : LoggedKind::read;
}
// nullopt: not a mark.
inline std::optional<Role> viewer_of(std::int64_t kind) noexcept {
  if (kind == static_cast<int>(LoggedKind::seen)) return Role::client;
  if (kind == static_cast<int>(LoggedKind::read)) return Role::advisor;
  return std::nullopt;
}

// The conversation's own client is a member also without a row. Its `seen_seq` is at least the conversation's, which
// nodes of older versions raise without a member's row.
inline void put_client_first(const ConversationRow& conversation, std::vector<Member>& rows) {
  const auto is_client = [&](const Member& member) {
    return member.type == Role::client && member.id == conversation.value.client_id;
  };
  auto client = std::find_if(rows.begin(), rows.end(), is_client);
  if (client == rows.end()) client = rows.insert(rows.end(), {Role::client, conversation.value.client_id, {}, 0, 0});
  const bool is_alone =
      std::count_if(rows.begin(), rows.end(), [](const Member& m) { return m.type == Role::client; }) == 1;
  if (is_alone) client->seen_seq = std::max(client->seen_seq, conversation.seen_seq);
  client->delivered_seq = std::max(client->delivered_seq, client->seen_seq);
  std::rotate(rows.begin(), client, client + 1);
}

template <class T, class Value>
auto& member_of(T& record, Value std::remove_const_t<T>::*pointer) {
  return record.*pointer;
}
template <class Value>
Value& member_of(ConversationRow& row, Value Conversation::*pointer) {
  return row.value.*pointer;
}
template <class Value>
const Value& member_of(const ConversationRow& row, Value Conversation::*pointer) {
  return row.value.*pointer;
}

template <class Columns>
constexpr int count = static_cast<int>(boost::mp11::mp_size<Columns>::value);

// The result of `text` for each column's name, joined by ", ".
template <class Columns, class Text>
std::string join(Text text) {
  std::string list;
  detail::for_each_of<Columns>([&](auto member) {
    if (!list.empty()) list += ", ";
    list += text(std::string(member.name));
  });
  return list;
}
// "m.id, m.seq" for `table` "m."
template <class Columns>
std::string names(const std::string& table = {}) {
  return join<Columns>([&](const std::string& name) { return table + name; });
}

// The values of a row, as references.
template <template <class...> class Columns, class... Members, class T>
auto values(Columns<Members...>, const T& record) {
  return std::tie(member_of(record, Members::pointer)...);
}

// Reads the columns of a row from `first` on into the members. `Row` has a `read(column, value)` for each type.
template <class Columns, class Row, class T>
void read(const Row& row, int first, T& record) {
  int column = first;
  detail::for_each_of<Columns>([&](auto member) { row.read(column++, member_of(record, member.pointer)); });
}

}  // namespace travelchat::storage
