// Described records out of JavaScript's objects, member by member (travelchat/describe.hpp): what values.hpp and the
// operations are made of.
//
// `read` has an overload for each type of a member. All of JavaScript's thread.
#pragma once

#include "values.hpp"

#include <travelchat/describe.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace travelchat::node {

inline void read(const Arguments& from, const char* name, bool& value) {
  value = from.boolean(name, false);
}
inline void read(const Arguments& from, const char* name, std::uint64_t& value) {
  value = from.number(name);
}
inline void read(const Arguments& from, const char* name, std::string& value) {
  value = from.string(name);
}
inline void read(const Arguments& from, const char* name, std::optional<std::string>& value) {
  value = from.optional_string(name);
}
inline void read(const Arguments& from, const char* name, TimePoint& value) {
  value = from.time(name);
}
inline void read(const Arguments& from, const char* name, std::optional<TimePoint>& value) {
  value = from.optional_time(name);
}
inline void read(const Arguments& from, const char* name, Uuid& value) {
  value = from.uuid(name);
}
inline void read(const Arguments& from, const char* name, std::optional<Uuid>& value) {
  value = from.optional_epoch(name);
}
inline void read(const Arguments& from, const char* name, Role& value) {
  value = to_role(from, name);
}
inline void read(const Arguments& from, const char* name, Emoji& value) {
  value = to_emoji(from, name);
}
inline void read(const Arguments& from, const char* name, Sha256Digest& value) {
  value = to_digest(from.string(name));
}

template <detail::Described T>
T to_record(const Arguments& from);

template <detail::Described T>
void read(const Arguments& from, const char* name, T& value) {
  value = to_record<T>(from.object(name));
}
template <detail::Described T>
void read(const Arguments& from, const char* name, std::optional<T>& value) {
  if (const auto object = from.optional_object(name)) value = to_record<T>(*object);
}
template <detail::Described T>
void read(const Arguments& from, const char* name, std::vector<T>& value) {
  value = from.objects(name, to_record<T>);
}

template <class Members, class T>
void read_members(const Arguments& from, T& record) {
  detail::for_each_of<Members>([&]<class Member>(Member) {
    auto& value = record.*Member::pointer;
    constexpr const char* name = detail::camel_name<Member>.c_str();
    if constexpr (detail::is_spread<Member>) {
      read_members<detail::MembersOf<std::remove_cvref_t<decltype(value)>>>(from, value);
    } else if constexpr (detail::is_one_of<Member, &Message::reactions>) {
      // A list row's message has none.
      value = from.optional_objects(name, to_record<Reaction>);
    } else {
      read(from, name, value);
    }
  });
}

template <detail::Described T>
T to_record(const Arguments& from) {
  T record;
  read_members<detail::MembersOf<T>>(from, record);
  return record;
}

}  // namespace travelchat::node
