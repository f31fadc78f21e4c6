// JavaScript's values as the engine's, and the other way round.
//
// Values go to JavaScript as JSON text in the form of the wire, which is made on the thread of the value and parsed
// once: that is cheaper than setting properties one by one. Values from JavaScript are read property by property. For
// JavaScript's thread, except the functions that make text.
#pragma once

#include <travelchat/arguments.hpp>
#include <travelchat/engine.hpp>
#include <travelchat/host.hpp>
#include <travelchat/transactional_storage.hpp>

#include <napi.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::node {

// The error of a call that is refused before it reaches the engine.
struct Refused {
  errc code;
  std::string detail;  // for the application's programmer: what is wrong, and what would be right
};

// The sentence of the error, with JavaScript's name of the option: "typingTimeout must be longer than 0".
std::string to_sentence(const OptionError& refused);
// What a value is, without showing a text, which may be a secret in the wrong place: "the number 7", "an array".
std::string kind_of(const Napi::Value& value);
// The text in UTF-8; nullopt when it has half of a surrogate pair, which UTF-8 cannot represent.
std::optional<std::string> to_text(const Napi::String& value);
// The part of an error about a text for which `to_text` gives nullopt.
inline constexpr const char* well_formed = "well-formed text, and holds half of a surrogate pair";

// An argument object. A property of another type than expected throws a TypeError that names it. Reading one may run
// JavaScript (a getter, a proxy), which may throw, or close the engine: whoever reads asks afterwards whether it is
// open.
class Arguments {
 public:
  explicit Arguments(Napi::Object object, std::string path = {}) : object_(object), path_(std::move(path)) {}
  // A longer array is refused before an item is read: its length may be a lie.
  static constexpr std::uint32_t max_items = 1'000'000;
  // A longer time is a mistake in units, and does not fit into every clock's.
  static constexpr std::chrono::milliseconds max_duration = std::chrono::hours{10 * 366 * 24};

  // TypeError unless it is an object.
  static Arguments of(Napi::Value value, std::string path);

  bool has(const char* name) const;
  // Each that gives texts throws a TypeError for one that is not well-formed.
  std::string string(const char* name) const;
  // For a text that is only compared with known ones; it need not be well-formed.
  std::string word(const char* name) const;
  // A message's: one that is not well-formed is Refused(invalid_content).
  std::string content(const char* name) const;
  // An id that the host owns; a TypeError for any other value, the empty text included.
  std::string host_id(const char* name) const;
  // nullopt when it is absent, undefined or null.
  std::optional<std::string> optional_string(const char* name) const;
  std::vector<std::string> strings(const char* name) const;  // empty when absent
  bool boolean(const char* name, bool otherwise) const;
  bool boolean(const char* name) const;
  std::optional<std::uint64_t> optional_number(const char* name) const;
  std::uint64_t number(const char* name) const;
  std::optional<std::chrono::milliseconds> optional_milliseconds(const char* name) const;
  // Milliseconds since 1970, a Date or RFC 3339 text.
  std::optional<TimePoint> optional_time(const char* name) const;
  TimePoint time(const char* name) const;
  // Throws Refused(not_found) for a text that is no UUID, as for an unknown id.
  Uuid uuid(const char* name) const;
  // Throws Refused(invalid_argument) for another shape.
  std::optional<Uuid> optional_epoch(const char* name) const;
  Arguments object(const char* name) const;
  std::optional<Arguments> optional_object(const char* name) const;
  template <class T>
  std::vector<T> objects(const char* name, T (*read)(const Arguments& from)) const {
    std::vector<T> all;
    each_object(name, [&](const Arguments& one) { all.push_back(read(one)); });
    return all;
  }
  template <class T>
  std::vector<T> optional_objects(const char* name, T (*read)(const Arguments& from)) const {  // empty when absent
    return has(name) ? objects(name, read) : std::vector<T>();
  }
  void each_object(const char* name, const std::function<void(const Arguments& one)>& take) const;
  std::vector<std::uint64_t> numbers(const char* name) const;
  Participant participant(const char* name) const;
  Napi::Value value(const char* name) const { return object_.Get(name); }
  // Throws Refused(invalid_argument) when there is a problem, with its sentence; `member`: which of these it is of.
  void require_none(const Problem& problem, std::string_view member = {}) const;
  // "send.sender.role"
  std::string name_of(std::string_view name) const;

 private:
  std::string text(const char* name, const Napi::Value& value) const;
  [[noreturn]] void refuse(const char* name, const std::string& expected) const;
  [[noreturn]] void refuse(const char* name, const std::string& expected, const Napi::Value& value) const;
  void each(const char* name, const char* expected,
            const std::function<void(const Napi::Value& item, std::uint32_t index)>& take) const;

  Napi::Object object_;
  std::string path_;  // for messages
};

Role to_role(const Arguments& from, const char* name);
Emoji to_emoji(const Arguments& from, const char* name);  // throws Refused
// Throws Refused when the text is no digest.
Sha256Digest to_digest(const std::string& hex);
// The error that JavaScript names; what is not one of ours is `errc::storage_failed`.
errc to_errc(std::string_view name) noexcept;

// ---- What a storage in JavaScript answers: these, and `to_record` of records.hpp ----

// A kind that is not known here, of a later version perhaps, gives a change with nothing but its revision.
Change to_change(const Arguments& from);
Facts to_facts(const Arguments& from);
// The questions and effects for such a storage, as JSON.
void append(const Questions& questions, std::string& out);
void append(const Effects& effects, std::string& out);
void append(const TokenRemoval& removal, std::string& out);

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
  void add(std::string_view name, const std::optional<TimePoint>& time);
  void add(std::string_view name, const Participant& participant);

 private:
  std::string& out_;
  bool first_ = true;
};

void append_strings(const std::vector<std::string>& texts, std::string& out);
// A ConversationSummary of types.ts.
void append_summary(const ConversationSummary& row, std::string& out);

}  // namespace travelchat::node
