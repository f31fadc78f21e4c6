// JSON of described records, by templates: what wire.hpp and the Node addon are made of. For bindings, which hand
// over more records than the wire has; other applications include wire.hpp. Component `wire`.
//
// A member is written under its camelCase name, in the order of the description; what is not there is null. Each
// overload of `append_value` appends one value to `out`. Any thread.
#pragma once

#include <travelchat/describe.hpp>
#include <travelchat/wire.hpp>

#include <boost/describe/enum_to_string.hpp>

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::wire::json {

using detail::Described;
using detail::MembersOf;

// Such a member is left out when it is empty, rather than written as null.
template <class Member>
constexpr bool is_left_out_when_empty =
    detail::is_one_of<Member, &CaughtUp::epoch, &Resync::epoch, &MessagePage::epoch>;

// ---- Values ----

// A string without a check for escapes, for text that is known to need none.
inline void append_plain(std::string_view text, std::string& out) {
  out += '"';
  out += text;
  out += '"';
}

// For bool alone, not for types that convert to it, as pointers do.
inline void append_value(std::same_as<bool> auto value, std::string& out) {
  out += value ? std::string_view("true") : std::string_view("false");
}

inline void append_value(std::uint64_t number, std::string& out) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

inline void append_value(const std::string& text, std::string& out) {
  append_string(text, out);
}

inline void append_value(const Uuid& id, std::string& out) {
  char text[38];
  text[0] = '"';
  write_uuid(id, text + 1);
  text[37] = '"';
  out.append(text, sizeof(text));
}

inline void append_value(TimePoint time, std::string& out) {
  out += '"';
  append_time(time, out);
  out += '"';
}

inline void append_value(Role role, std::string& out) {
  append_plain(to_string(role), out);
}

inline void append_value(Emoji emoji, std::string& out) {
  append_plain(to_string(emoji), out);
}

inline void append_value(const Sha256Digest& digest, std::string& out) {
  append_plain(to_hex(digest), out);
}

template <Described T>
void append_value(const T& record, std::string& out);
template <class T>
void append_value(const std::vector<T>& items, std::string& out);

template <class T>
void append_value(const std::optional<T>& value, std::string& out) {
  if (value) {
    append_value(*value, out);
  } else {
    out += "null";
  }
}

template <class T>
void append_array(std::span<const T> items, std::string& out) {
  out += '[';
  bool first = true;
  for (const T& item : items) {
    if (!first) out += ',';
    first = false;
    append_value(item, out);
  }
  out += ']';
}

template <class T>
void append_value(const std::vector<T>& items, std::string& out) {
  append_array(std::span<const T>(items), out);
}

// ---- Records ----

template <class Member, char before>
constexpr auto make_key() {
  constexpr std::string_view name = detail::camel_name<Member>.view();
  detail::FixedText<name.size() + 4> text;
  text.chars[0] = before;
  text.chars[1] = '"';
  std::copy(name.begin(), name.end(), text.chars.begin() + 2);
  text.chars[name.size() + 2] = '"';
  text.chars[name.size() + 3] = ':';
  return text;
}
// `,"seenAt":`
template <class Member, char before>
inline constexpr auto key = make_key<Member, before>();

// Members of a record, without the closing brace. `before` stands before the first of them: '{' begins the object, ','
// goes on with one.
template <char before, class Members, class T>
void append_members(const T& record, std::string& out) {
  detail::for_each_of<Members>([&]<class Member>(Member) {
    constexpr char separator = std::is_same_v<Member, boost::mp11::mp_first<Members>> ? before : ',';
    const auto& value = record.*Member::pointer;
    if constexpr (detail::is_spread<Member>) {
      append_members<separator, MembersOf<std::remove_cvref_t<decltype(value)>>>(value, out);
    } else {
      if constexpr (is_left_out_when_empty<Member>) {
        if (!value) return;
      }
      out += key<Member, separator>.view();
      append_value(value, out);
    }
  });
}

// An object of some of a record's members.
template <class Members, class T>
void append_object(const T& record, std::string& out) {
  append_members<'{', Members>(record, out);
  out += '}';
}

template <Described T>
void append_value(const T& record, std::string& out) {
  append_object<MembersOf<T>>(record, out);
}

}  // namespace travelchat::wire::json
