// The columns of a record's row: one for each member, under the member's name.
//
// Lists of members (travelchat/describe.hpp) stand for lists of columns. What a table keeps elsewhere, as in its key,
// its storage leaves out of the list.
#pragma once

#include <travelchat/describe.hpp>

#include <boost/mp11/algorithm.hpp>
#include <boost/mp11/list.hpp>

#include <string>
#include <string_view>
#include <tuple>

namespace travelchat::storage {

// A conversation's row has the columns of both.
using ConversationColumns = boost::mp11::mp_append<detail::MembersOf<Conversation>,
                                                   detail::MembersWithout<ConversationRow, &ConversationRow::value>>;

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

// What `text` says for each column's name, with ", " in between.
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
