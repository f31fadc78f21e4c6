#include <travelchat/grouping.hpp>

#include <array>
#include <cstddef>
#include <cstdio>

namespace travelchat {
namespace {

constexpr std::array<const char*, 7> weekdays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<const char*, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// Therefore a divider always ends a group, without a further check.
static_assert(divider_gap >= group_gap);

bool continues_group(const Message& previous, const Message& current) noexcept {
  return previous.sender_type == current.sender_type && previous.sender_id == current.sender_id &&
         current.created_at - previous.created_at < group_gap;
}

}  // namespace

std::vector<RowLayout> lay_out(std::span<const Message> messages) {
  std::vector<RowLayout> rows(messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const bool first = i == 0;
    rows[i].has_divider =
        needs_divider(first ? std::nullopt : std::optional(messages[i - 1].created_at), messages[i].created_at);
    rows[i].is_first_in_group = first || !continues_group(messages[i - 1], messages[i]);
    rows[i].is_last_in_group = true;
    if (!rows[i].is_first_in_group) rows[i - 1].is_last_in_group = false;
  }
  return rows;
}

bool needs_divider(std::optional<TimePoint> previous, TimePoint current) noexcept {
  return !previous || current - *previous > divider_gap;
}

std::string divider_label(TimePoint at, TimePoint now, std::chrono::minutes utc_offset) {
  using std::chrono::days;
  const TimePoint local = at + utc_offset;
  const std::chrono::sys_days day = std::chrono::floor<days>(local);
  const std::chrono::sys_days today = std::chrono::floor<days>(now + utc_offset);

  const std::chrono::hh_mm_ss clock(local - day);
  const int hour = static_cast<int>(clock.hours().count());
  char time[16];
  std::snprintf(time, sizeof(time), "%d:%02d %s", hour % 12 == 0 ? 12 : hour % 12,
                static_cast<int>(clock.minutes().count()), hour < 12 ? "AM" : "PM");
  if (day == today) return std::string("Today ") + time;
  if (day == today - days{1}) return std::string("Yesterday ") + time;

  const std::chrono::year_month_day date(day);
  std::string label = weekdays[std::chrono::weekday(day).c_encoding()];
  label += ' ';
  label += months[static_cast<unsigned>(date.month()) - 1];
  label += ' ';
  label += std::to_string(static_cast<unsigned>(date.day()));
  if (date.year() != std::chrono::year_month_day(today).year()) {
    label += ", ";
    label += std::to_string(static_cast<int>(date.year()));
  }
  label += ", ";
  label += time;
  return label;
}

}  // namespace travelchat
