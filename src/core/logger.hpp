// A sink that may be missing and may throw.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/log.hpp>

#include <exception>
#include <string_view>
#include <utility>

namespace travelchat {

// Any thread, with no lock held.
class Logger {
 public:
  Logger() = default;
  explicit Logger(Log sink) : sink_(std::move(sink)) {}

  const Log& sink() const noexcept { return sink_; }

  void write(LogLevel level, std::string_view event, std::string_view subject,
             std::string_view detail = {}) const noexcept {
    if (!sink_) return;
    try {
      sink_({level, event, subject, detail});
    } catch (...) {
      // A sink that throws is ignored: there is nobody to report it to.
    }
  }

  // Logs the exception that is being handled; call it within a catch block.
  void caught(std::string_view event, std::string_view subject) const noexcept {
    try {
      throw;
    } catch (const std::exception& thrown) {
      write(LogLevel::error, event, subject, thrown.what());
    } catch (...) {
      write(LogLevel::error, event, subject, "what was thrown is no std::exception");
    }
  }

  // Logs an error that a storage has answered, unless it is the caller's mistake.
  void storage_answered(const error_code& error, std::string_view subject) const noexcept {
    if (is_trouble(error)) write(LogLevel::error, "storage_failed", subject, describe(error).name);
  }

 private:
  // Whether the storage itself has failed, rather than the caller.
  static bool is_trouble(const error_code& error) noexcept {
    if (!error) return false;
    if (error.category() != category()) return true;
    switch (describe(error).code) {
      case errc::storage_failed:
      case errc::storage_full:
      case errc::storage_locked:
      case errc::storage_incompatible:
      case errc::internal:
        return true;
      default:
        return false;
    }
  }

  Log sink_;
};

}  // namespace travelchat
