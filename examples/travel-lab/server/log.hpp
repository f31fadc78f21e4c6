// Structured logs: one JSON object for each line on standard error.
//
// Lines are made by the calling thread and written by spdlog's own. Between them stands a bounded queue; when standard
// error is not read fast enough the oldest lines are dropped, so logging never holds an I/O thread up.
// Any thread may log. What goes in never holds a credential, a query string or a message's content.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <type_traits>
#include <variant>

namespace spdlog {
class logger;
namespace details {
class thread_pool;
}
}  // namespace spdlog

namespace travel_lab {

enum class LogLevel : std::uint8_t { debug, info, warn, error, off };

struct LogField {
  LogField(std::string_view field_name, std::string_view text) : name(field_name), value(text) {}
  LogField(std::string_view field_name, const char* text) : name(field_name), value(std::string_view(text)) {}
  template <class Integer>
  requires std::is_integral_v<Integer> LogField(std::string_view field_name, Integer number)
      : name(field_name), value(static_cast<std::int64_t>(number)) {}

  std::string_view name;
  std::variant<std::string_view, std::int64_t> value;
};

class Log {
 public:
  explicit Log(LogLevel level);
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  // Writes what is queued.
  ~Log();

  bool is_enabled(LogLevel level) const noexcept { return level >= level_; }

  // {"time":...,"level":...,"event":event,fields...}
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

 private:
  const LogLevel level_;
  std::shared_ptr<spdlog::details::thread_pool> writer_;
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace travel_lab
