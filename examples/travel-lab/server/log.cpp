#include "log.hpp"

#include "clock.hpp"

#include <travelchat/validate.hpp>
#include <travelchat/wire.hpp>

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <string>

namespace travel_lab {
namespace {

constexpr std::size_t max_queued_lines = 8'192;

std::string_view name_of(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
    case LogLevel::off:
      break;
  }
  return "error";
}

// A request's path may hold any byte; a log line must stay JSON.
void append_text(std::string_view text, std::string& out) {
  if (travelchat::is_valid_utf8(text)) {
    travelchat::wire::append_string(text, out);
    return;
  }
  std::string ascii(text);
  for (char& c : ascii) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  travelchat::wire::append_string(ascii, out);
}

}  // namespace

Log::Log(LogLevel level) : level_(level) {
  if (level == LogLevel::off) return;
  writer_ = std::make_shared<spdlog::details::thread_pool>(max_queued_lines, 1);
  logger_ = std::make_shared<spdlog::async_logger>("travelchat", std::make_shared<spdlog::sinks::stderr_sink_mt>(),
                                                   writer_, spdlog::async_overflow_policy::overrun_oldest);
  logger_->set_pattern("%v");
  logger_->set_level(spdlog::level::trace);  // `is_enabled` has decided by then
}

Log::~Log() = default;

void Log::write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!is_enabled(level) || logger_ == nullptr) return;
  std::string line = "{\"time\":\"";
  travelchat::wire::append_time(current_time(), line);
  line += "\",\"level\":\"";
  line += name_of(level);
  line += "\",\"event\":";
  append_text(event, line);
  for (const LogField& field : fields) {
    line += ',';
    append_text(field.name, line);
    line += ':';
    if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
      line += std::to_string(*number);
    } else {
      append_text(std::get<std::string_view>(field.value), line);
    }
  }
  line += '}';
  logger_->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace travel_lab
