// JavaScript's values as the engine's, and the other way round.
//
// What goes to JavaScript goes as JSON text in the words of the wire, made where the value was made and parsed once:
// that is cheaper than setting properties one by one. What comes from it is read property by property. All of
// JavaScript's thread, but the functions that make text.
#pragma once

#include <travelchat/engine.hpp>
#include <travelchat/host.hpp>
#include <travelchat/storage.hpp>

#include <napi.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::node {

// What a call is refused with before the engine hears of it.
struct Refused {
  errc code;
};

// An argument object. A property of another type than expected throws a TypeError that names it.
class Arguments {
 public:
  explicit Arguments(Napi::Object object, std::string path = {}) : object_(object), path_(std::move(path)) {}
  // TypeError unless it is an object.
  static Arguments of(Napi::Value value, std::string path);

  bool has(const char* name) const;
  std::string string(const char* name) const;
  // Absent, undefined and null are all nothing.
  std::optional<std::string> optional_string(const char* name) const;
  std::vector<std::string> strings(const char* name) const;  // empty when absent
  bool boolean(const char* name, bool otherwise) const;
  std::optional<std::uint64_t> optional_number(const char* name) const;
  std::uint64_t number(const char* name) const;
  std::optional<std::chrono::milliseconds> optional_milliseconds(const char* name) const;
  // Milliseconds since 1970, a Date or RFC 3339 text.
  std::optional<TimePoint> optional_time(const char* name) const;
  TimePoint time(const char* name) const;
  // Throws Refused(not_found) for another shape, which is how ids of nothing are answered.
  Uuid uuid(const char* name) const;
  Arguments object(const char* name) const;
  std::optional<Arguments> optional_object(const char* name) const;
  std::vector<Arguments> objects(const char* name) const;  // empty when absent
  Participant participant(const char* name) const;
  Napi::Value value(const char* name) const { return object_.Get(name); }

 private:
  [[noreturn]] void refuse(const char* name, const char* expected) const;

  Napi::Object object_;
  std::string path_;  // for messages
};

Role to_role(const Arguments& from, const char* name);
Emoji to_emoji(const std::string& text);  // throws Refused
std::string to_hex(const Sha256Digest& digest);
// The error that JavaScript names; what is not one of ours is `errc::storage_failed`.
errc to_errc(std::string_view name) noexcept;

// ---- What a storage in JavaScript answers ----

Reaction to_reaction(const Arguments& from);
Message to_message(const Arguments& from);
Conversation to_conversation(const Arguments& from);
ConversationSummary to_summary(const Arguments& from);
TokenClaims to_claims(const Arguments& from);
Written to_written(const Arguments& from);
Change to_change(const Arguments& from);
// And what it is asked.
void append_write(const Write& write, std::string& out);

// ---- Text ----

class JsonObject {
 public:
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }
  ~JsonObject() { out_ += '}'; }
  JsonObject(const JsonObject&) = delete;
  JsonObject& operator=(const JsonObject&) = delete;

  std::string& key(std::string_view name);
  void add(std::string_view name, std::string_view text);
  void add(std::string_view name, const char* text) { add(name, std::string_view(text)); }
  void add(std::string_view name, const std::string& text) { add(name, std::string_view(text)); }
  void add(std::string_view name, const std::optional<std::string>& text);
  void add(std::string_view name, const Uuid& id);
  void add(std::string_view name, bool value);
  void add(std::string_view name, std::uint64_t number);
  void add(std::string_view name, TimePoint time);
  void add(std::string_view name, const Participant& participant);

 private:
  std::string& out_;
  bool first_ = true;
};

void append_strings(const std::vector<std::string>& texts, std::string& out);

}  // namespace travelchat::node
