// Iteration over the members of a record. The records are described where they are declared (BOOST_DESCRIBE_STRUCT in
// the public headers); templates that turn them into JSON, bytes, columns and other languages' values use that. For
// bindings: an application has the structs themselves.
//
// Types and constants only. A "member" here is Boost.Describe's descriptor of one: an empty type with `pointer` and
// `name`.
#pragma once

#include <travelchat/transactional_storage.hpp>
#include <travelchat/types.hpp>

#include <boost/describe/members.hpp>
#include <boost/describe/modifiers.hpp>
#include <boost/mp11/algorithm.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

namespace travelchat::detail {

template <class T>
concept Described = boost::describe::has_describe_members<T>::value;

// In the order of the description.
template <Described T>
using MembersOf = boost::describe::describe_members<T, boost::describe::mod_public>;

// Calls `use` with each member of the list.
template <class Members, class Use>
constexpr void for_each_of(Use&& use) {
  boost::mp11::mp_for_each<Members>(std::forward<Use>(use));
}
template <Described T, class Use>
constexpr void for_each_member(Use&& use) {
  for_each_of<MembersOf<T>>(std::forward<Use>(use));
}

// Whether the member is one of `&Record::member`...
template <class Member, auto... pointers>
constexpr bool is_one_of = (std::is_same_v<std::integral_constant<decltype(Member::pointer), Member::pointer>,
                                           std::integral_constant<std::add_const_t<decltype(pointers)>, pointers>> ||
                            ...);

// For mp_remove_if_q: removes these members.
template <auto... pointers>
struct Without {
  template <class Member>
  using fn = std::bool_constant<is_one_of<Member, pointers...>>;
};
// The members of a record but for some.
template <Described T, auto... pointers>
using MembersWithout = boost::mp11::mp_remove_if_q<MembersOf<T>, Without<pointers...>>;

// The member of another record, T, that has the same name.
template <class Member>
struct IsNamesakeOf {
  template <class Other>
  using fn = std::bool_constant<std::string_view(Other::name) == Member::name>;
};
template <Described T, class Member>
using Namesake = boost::mp11::mp_at<MembersOf<T>, boost::mp11::mp_find_if_q<MembersOf<T>, IsNamesakeOf<Member>>>;

// In JSON and JavaScript, its own members are written in its place.
template <class Member>
constexpr bool is_spread = is_one_of<Member, &ConversationRow::value, &ConversationSummary::conversation>;

// ---- Names ----

// Text that is made while compiling.
template <std::size_t length>
struct FixedText {
  std::array<char, length + 1> chars{};

  constexpr std::string_view view() const noexcept { return {chars.data(), length}; }
  constexpr const char* c_str() const noexcept { return chars.data(); }
};

// As C++ and Python write it: "seen_at".
template <class Member>
constexpr std::string_view snake_name = Member::name;

namespace describing {

template <class Member>
constexpr auto make_camel_name() {
  constexpr std::string_view name = snake_name<Member>;
  FixedText<name.size() - static_cast<std::size_t>(std::count(name.begin(), name.end(), '_'))> text;
  std::size_t size = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool begins_word = name[i] == '_';
    if (begins_word) ++i;
    text.chars[size++] = begins_word ? static_cast<char>(name[i] - 'a' + 'A') : name[i];
  }
  return text;
}

}  // namespace describing

// As JSON and JavaScript write it: "seenAt".
template <class Member>
inline constexpr auto camel_name = describing::make_camel_name<Member>();

}  // namespace travelchat::detail
