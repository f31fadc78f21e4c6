#include <travelchat/wire.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

namespace travelchat::wire {
namespace {

using std::chrono::days;
using std::chrono::sys_days;
using std::chrono::year_month_day;

// RFC 3339 has four digits for the year.
constexpr TimePoint first_time =
    sys_days(year_month_day(std::chrono::year(0), std::chrono::January, std::chrono::day(1)));
constexpr TimePoint last_time =
    TimePoint(sys_days(year_month_day(std::chrono::year(10000), std::chrono::January, std::chrono::day(1)))) -
    std::chrono::milliseconds(1);

constexpr std::string_view shape = "0000-00-00T00:00:00.000Z";

void write_digits(char* at, unsigned value, std::size_t count) noexcept {
  while (count-- > 0) {
    at[count] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

unsigned read_digits(std::string_view digits) noexcept {
  unsigned value = 0;
  for (const char c : digits) value = value * 10 + static_cast<unsigned>(c - '0');
  return value;
}

}  // namespace

void append_time(TimePoint time, std::string& out) {
  time = std::clamp(time, first_time, last_time);
  const sys_days day = std::chrono::floor<days>(time);
  const year_month_day date(day);
  const auto in_day = static_cast<unsigned>((time - day).count());

  std::array<char, shape.size()> text;
  std::copy(shape.begin(), shape.end(), text.begin());
  write_digits(&text[0], static_cast<unsigned>(static_cast<int>(date.year())), 4);
  write_digits(&text[5], static_cast<unsigned>(date.month()), 2);
  write_digits(&text[8], static_cast<unsigned>(date.day()), 2);
  write_digits(&text[11], in_day / 3'600'000, 2);
  write_digits(&text[14], in_day / 60'000 % 60, 2);
  write_digits(&text[17], in_day / 1'000 % 60, 2);
  write_digits(&text[20], in_day % 1'000, 3);
  out.append(text.data(), text.size());
}

std::optional<TimePoint> parse_time(std::string_view text) {
  if (text.size() != shape.size()) return std::nullopt;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool fits = shape[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == shape[i];
    if (!fits) return std::nullopt;
  }
  const year_month_day date(std::chrono::year(static_cast<int>(read_digits(text.substr(0, 4)))),
                            std::chrono::month(read_digits(text.substr(5, 2))),
                            std::chrono::day(read_digits(text.substr(8, 2))));
  const unsigned hour = read_digits(text.substr(11, 2));
  const unsigned minute = read_digits(text.substr(14, 2));
  const unsigned second = read_digits(text.substr(17, 2));
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  return TimePoint(sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + std::chrono::milliseconds(read_digits(text.substr(20, 3)));
}

}  // namespace travelchat::wire
