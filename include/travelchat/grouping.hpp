// How a thread of messages is laid out: groups, dividers and their labels, as pure functions.
//
// bindings/web has the same in TypeScript; tests/vectors/grouping.json tests both.
#pragma once

#include <travelchat/types.hpp>

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace travelchat {

// Messages of one sender less than this apart form a group.
inline constexpr std::chrono::milliseconds group_gap = std::chrono::seconds{60};
// A divider stands before a message that came more than this after the one before it.
inline constexpr std::chrono::milliseconds divider_gap = std::chrono::minutes{5};

struct RowLayout {
  bool has_divider = false;        // a time divider stands before this message
  bool is_first_in_group = false;  // the avatar goes here
  bool is_last_in_group = false;   // the sharp corner goes here

  friend bool operator==(const RowLayout&, const RowLayout&) = default;
};

// One entry for each message, in the order given (by seq). A group is consecutive messages with the same sender type
// and id, each less than `group_gap` after the one before; a divider always ends a group. A clock that stepped back
// counts as no gap.
std::vector<RowLayout> lay_out(std::span<const Message> messages);

// Whether a divider stands before a message sent at `current`; `previous` is empty for the first message.
bool needs_divider(std::optional<TimePoint> previous, TimePoint current) noexcept;

// "Today 2:34 PM", "Yesterday 9:15 AM", "Mon Dec 14, 11:00 AM", and with the year when it is not the year of `now`:
// "Sun Dec 14, 2025, 11:00 AM". Days are those of the viewer, whose zone is `utc_offset` ahead of UTC. A time after
// the end of the viewer's today is shown as a date. English.
std::string divider_label(TimePoint at, TimePoint now, std::chrono::minutes utc_offset);

}  // namespace travelchat
