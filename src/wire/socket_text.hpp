// The frames of the chat's WebSockets, and the JSON in them that is no record.
//
// Values only; any thread.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/event.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <variant>

namespace travelchat::wire {

// ---- Encoding ----

// {"type":"error","code":...,"message":...}
void append_error_event(const ErrorInfo& error, std::string& out);
// {"type":"alive","intervalMs":...}
void append_alive_event(std::chrono::milliseconds interval, std::string& out);

// A server-to-client text frame, unmasked (RFC 6455 section 5.2): header and payload.
void append_text_frame(std::string_view payload, std::string& out);
// The EventEncoder of the server: each event as one text frame.
void append_event_frame(const Event& event, std::string& out);

// ---- Decoding ----

// A client's text frame.
struct TypingFrame {
  bool is_typing = false;
};
struct SeenFrame {};
using ClientFrame = std::variant<TypingFrame, SeenFrame>;
// `errc::malformed_json`: not JSON, over 16 deep, a duplicate key, a number out of range; `errc::invalid_argument`: no
// object, unknown type, or a member of another type. Members it does not know are ignored.
result<ClientFrame> parse_client_frame(std::string_view text);

}  // namespace travelchat::wire
