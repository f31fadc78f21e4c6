// Where an engine and a server report what no caller is told: a storage that failed, or a host or a handler that threw.
//
// A sink is called by any thread of the engine's, several at once, with no lock held. It must not block. What it throws
// is dropped.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace travelchat {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

// Views, which end with the call. Nothing in it is a message's content or a credential, unless an exception of the
// application's says so in its own words.
struct LogRecord {
  LogLevel level = LogLevel::info;
  std::string_view event;    // for programs: "storage_threw"
  std::string_view subject;  // what was being done: "commit", "find_clients", "POST /api/conversations/…/messages"
  std::string_view detail;   // an error's name, or an exception's `what()`
};

using Log = std::function<void(const LogRecord&)>;

}  // namespace travelchat
