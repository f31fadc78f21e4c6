#include "values.hpp"

#include "records.hpp"

#include <travelchat/record_json.hpp>
#include <travelchat/validate.hpp>
#include <travelchat/wire.hpp>

#include <cmath>
#include <limits>
#include <utility>
#include <variant>

namespace travelchat::node {
namespace {

// JavaScript's numbers are exact up to here.
constexpr double max_exact = 9007199254740991.0;

bool is_nothing(const Napi::Value& value) {
  return value.IsUndefined() || value.IsNull();
}

// A whole number from 0 on; nullopt for any other value.
std::optional<std::uint64_t> to_whole(const Napi::Value& value) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1.0;
  if (!(number >= 0 && number <= max_exact && std::floor(number) == number)) return std::nullopt;
  return static_cast<std::uint64_t>(number);
}

}  // namespace

Sha256Digest to_digest(const std::string& hex) {
  Sha256Digest digest{};
  const auto nibble = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  const Refused refused{errc::storage_failed, "the digest of a token must be 64 hexadecimal digits in lower case"};
  if (hex.size() != 2 * digest.size()) throw refused;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const int high = nibble(hex[2 * i]);
    const int low = nibble(hex[2 * i + 1]);
    if (high < 0 || low < 0) throw refused;
    digest[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return digest;
}

std::string to_sentence(const OptionError& refused) {
  std::string name;
  for (const char c : refused.option()) {
    const bool begins_word = !name.empty() && name.back() == '_';
    if (begins_word) name.pop_back();
    name += begins_word && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  // Two parameters have shorter names in JavaScript.
  for (const std::string_view longer : {"beforeSeq", "sinceRev"}) {
    if (const std::size_t at = name.find(longer); at != name.npos) name.erase(at + longer.size() - 3, 3);
  }
  return name + ' ' + refused.problem();
}

std::string kind_of(const Napi::Value& value) {
  switch (value.Type()) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_boolean:
      return value.As<Napi::Boolean>() ? "true" : "false";
    case napi_number:
      return "the number " + std::string(value.ToString());
    case napi_string:
      return "a string";
    case napi_symbol:
      return "a symbol";
    case napi_bigint:
      return "a bigint";
    case napi_function:
      return "a function";
    default:
      return value.IsArray() ? "an array" : "an object";
  }
}

std::optional<std::string> to_text(const Napi::String& value) {
  std::string text = value;
  // Node writes U+FFFD for half of a surrogate pair, so only a text with that character has to be checked further.
  if (text.find("\xEF\xBF\xBD") == text.npos) return text;
  const std::u16string units = value;
  const auto is_half = [&](std::size_t i, char16_t first) { return i < units.size() && (units[i] & 0xFC00) == first; };
  for (std::size_t i = 0; i < units.size(); ++i) {
    if (is_half(i, 0xDC00)) return std::nullopt;
    if (is_half(i, 0xD800) && !is_half(++i, 0xDC00)) return std::nullopt;
  }
  return text;
}

// ---- Arguments ----

Arguments Arguments::of(Napi::Value value, std::string path) {
  if (!value.IsObject() || value.IsArray()) {
    throw Napi::TypeError::New(value.Env(), path + " must be an object, not " + kind_of(value));
  }
  return Arguments(value.As<Napi::Object>(), std::move(path));
}

std::string Arguments::name_of(std::string_view name) const {
  return (path_.empty() ? "" : path_ + ".") + std::string(name);
}

void Arguments::refuse(const char* name, const std::string& expected) const {
  throw Napi::TypeError::New(object_.Env(), name_of(name) + " must be " + expected);
}

void Arguments::refuse(const char* name, const std::string& expected, const Napi::Value& value) const {
  refuse(name, expected + ", not " + kind_of(value));
}

void Arguments::require_none(const Problem& problem, std::string_view member) const {
  if (!problem) return;
  std::string sentence = to_sentence(*problem);
  if (!member.empty()) sentence = std::string(member) + "." + sentence;
  throw Refused{errc::invalid_argument, name_of(sentence)};
}

bool Arguments::has(const char* name) const {
  return !is_nothing(object_.Get(name));
}

std::string Arguments::string(const char* name) const {
  return text(name, object_.Get(name));
}

std::string Arguments::word(const char* name) const {
  const Napi::Value value = object_.Get(name);
  if (!value.IsString()) refuse(name, "a string", value);
  return value.As<Napi::String>();
}

std::string Arguments::content(const char* name) const {
  const Napi::Value value = object_.Get(name);
  if (!value.IsString()) refuse(name, "a string", value);
  auto text = to_text(value.As<Napi::String>());
  if (!text) throw Refused{errc::invalid_content, name_of(name) + " must be " + well_formed};
  return *std::move(text);
}

std::string Arguments::text(const char* name, const Napi::Value& value) const {
  if (!value.IsString()) refuse(name, "a string", value);
  auto text = to_text(value.As<Napi::String>());
  if (!text) refuse(name, well_formed);
  return *std::move(text);
}

std::string Arguments::host_id(const char* name) const {
  std::string id = string(name);
  if (const Problem problem = find_problem_of_host_id(name_of(name), id)) {
    throw Napi::TypeError::New(object_.Env(), problem->what());
  }
  return id;
}

std::optional<std::string> Arguments::optional_string(const char* name) const {
  const Napi::Value value = object_.Get(name);
  if (is_nothing(value)) return std::nullopt;
  return text(name, value);
}

void Arguments::each(const char* name, const char* expected,
                     const std::function<void(const Napi::Value& item, std::uint32_t index)>& take) const {
  const Napi::Value value = object_.Get(name);
  if (!value.IsArray()) refuse(name, expected, value);
  const auto array = value.As<Napi::Array>();
  // Read once, because reading an item may run JavaScript that makes the array longer.
  const std::uint32_t length = array.Length();
  if (length > max_items) {
    refuse(name, std::string(expected) + ", at most " + std::to_string(max_items) + " of them");
  }
  for (std::uint32_t i = 0; i < length; ++i) {
    // Without a scope, a long array would hold as many handles at once.
    const Napi::HandleScope scope(array.Env());
    take(array.Get(i), i);
  }
}

void Arguments::each_object(const char* name, const std::function<void(const Arguments& one)>& take) const {
  each(name, "an array", [&](const Napi::Value& item, std::uint32_t index) {
    take(of(item, name_of(name) + "[" + std::to_string(index) + "]"));
  });
}

std::vector<std::uint64_t> Arguments::numbers(const char* name) const {
  std::vector<std::uint64_t> all;
  each(name, "an array of whole numbers from 0 on", [&](const Napi::Value& item, std::uint32_t index) {
    const auto number = to_whole(item);
    if (!number) refuse((name + ("[" + std::to_string(index) + "]")).c_str(), "a whole number from 0 on", item);
    all.push_back(*number);
  });
  return all;
}

std::vector<std::string> Arguments::strings(const char* name) const {
  std::vector<std::string> texts;
  if (!has(name)) return texts;
  constexpr const char* expected = "an array of strings";
  each(name, expected, [&](const Napi::Value& text, std::uint32_t index) {
    if (!text.IsString()) refuse((name + ("[" + std::to_string(index) + "]")).c_str(), "a string", text);
    auto bytes = to_text(text.As<Napi::String>());
    if (!bytes) refuse((name + ("[" + std::to_string(index) + "]")).c_str(), well_formed);
    texts.push_back(*std::move(bytes));
  });
  return texts;
}

bool Arguments::boolean(const char* name, bool otherwise) const {
  return has(name) ? boolean(name) : otherwise;
}

bool Arguments::boolean(const char* name) const {
  const Napi::Value value = object_.Get(name);
  if (!value.IsBoolean()) refuse(name, "a boolean", value);
  return value.As<Napi::Boolean>();
}

std::optional<std::uint64_t> Arguments::optional_number(const char* name) const {
  const Napi::Value value = object_.Get(name);
  if (is_nothing(value)) return std::nullopt;
  const auto number = to_whole(value);
  if (!number) refuse(name, "a whole number from 0 on", value);
  return number;
}

std::uint64_t Arguments::number(const char* name) const {
  const auto value = optional_number(name);
  if (!value) refuse(name, "a whole number from 0 on", object_.Get(name));
  return *value;
}

std::optional<std::chrono::milliseconds> Arguments::optional_milliseconds(const char* name) const {
  const auto value = optional_number(name);
  if (!value) return std::nullopt;
  if (*value > static_cast<std::uint64_t>(max_duration.count())) refuse(name, "at most ten years, in milliseconds");
  return std::chrono::milliseconds{*value};
}

std::optional<TimePoint> Arguments::optional_time(const char* name) const {
  const Napi::Value value = object_.Get(name);
  if (is_nothing(value)) return std::nullopt;
  double at = std::numeric_limits<double>::quiet_NaN();
  if (value.IsNumber()) {
    at = value.As<Napi::Number>();
  } else if (value.IsDate()) {
    at = value.As<Napi::Date>().ValueOf();
  } else if (value.IsString()) {
    if (const auto time = wire::parse_time(std::string(value.As<Napi::String>()))) return *time;
  }
  if (!(std::abs(at) <= max_exact)) {
    refuse(name, "a Date, milliseconds since 1970, or a text like 2026-11-23T06:51:47.120Z", value);
  }
  return TimePoint{std::chrono::milliseconds{static_cast<std::int64_t>(at)}};
}

TimePoint Arguments::time(const char* name) const {
  const auto value = optional_time(name);
  if (!value) refuse(name, "a Date, milliseconds since 1970, or such a text", object_.Get(name));
  return *value;
}

Uuid Arguments::uuid(const char* name) const {
  const auto id = parse_uuid(word(name));
  if (!id) throw Refused{errc::not_found, name_of(name) + " must be an id that the engine gave, a UUID in lower case"};
  return *id;
}

std::optional<Uuid> Arguments::optional_epoch(const char* name) const {
  const auto text = optional_string(name);
  if (!text) return std::nullopt;
  const auto epoch = parse_uuid(*text);
  if (!epoch) throw Refused{errc::invalid_argument, name_of(name) + " must be a UUID in lower case"};
  return epoch;
}

Arguments Arguments::object(const char* name) const {
  return of(object_.Get(name), name_of(name));
}

std::optional<Arguments> Arguments::optional_object(const char* name) const {
  if (!has(name)) return std::nullopt;
  return object(name);
}

Participant Arguments::participant(const char* name) const {
  const Arguments from = object(name);
  return {from.string("orgId"), to_role(from, "role"), from.string("id"), from.optional_string("name").value_or("")};
}

Role to_role(const Arguments& from, const char* name) {
  const std::string text = from.string(name);
  const auto role = parse_role(text);
  if (!role) {
    throw Refused{errc::invalid_argument, from.name_of(name) + R"( must be "advisor" or "client", not )" +
                                              (text.size() > 60 ? "another string" : '"' + text + '"')};
  }
  return *role;
}

Emoji to_emoji(const Arguments& from, const char* name) {
  const auto emoji = parse_emoji(from.word(name));
  if (!emoji) throw Refused{errc::invalid_emoji, from.name_of(name) + " must be one of the six reactions"};
  return *emoji;
}

errc to_errc(std::string_view name) noexcept {
  for (const ErrorInfo& error : error_table()) {
    if (error.name == name) return error.code;
  }
  return errc::storage_failed;
}

// ---- What a storage answers ----

Facts to_facts(const Arguments& from) {
  Facts facts;
  read_members<detail::MembersWithout<Facts, &Facts::made>>(from, facts);
  return facts;
}

Change to_change(const Arguments& from) {
  Change change;
  change.rev = from.number("rev");
  read(from, "message", change.message);
  if (change.message) {
    change.created_rev = from.number("createdRev");
    change.content_rev = from.optional_number("contentRev").value_or(0);
  }
  read(from, "mark", change.mark);
  return change;
}

// ---- What it is asked ----

namespace {

template <class Items, class Append>
void append_array(std::string& out, const Items& items, Append append) {
  out += '[';
  bool is_first = true;
  for (const auto& item : items) {
    if (!std::exchange(is_first, false)) out += ',';
    append(item);
  }
  out += ']';
}

// Each item as an object.
template <class Items, class Fill>
void add_objects(JsonObject& to, std::string_view name, const Items& items, Fill fill) {
  std::string& out = to.key(name);
  append_array(out, items, [&](const auto& item) {
    JsonObject object(out);
    fill(object, item);
  });
}

void add_ids(JsonObject& to, std::string_view name, const std::vector<Uuid>& ids) {
  std::vector<std::string> texts;
  for (const Uuid& id : ids) texts.push_back(to_string(id));
  append_strings(texts, to.key(name));
}

}  // namespace

void append(const Questions& questions, std::string& out) {
  JsonObject object(out);
  add_ids(object, "conversations", questions.conversations);
  add_objects(object, "openings", questions.openings, [](JsonObject& to, const OpenConversation* open) {
    to.add("orgId", open->org_id);
    to.add("clientId", open->client_id);
  });
  add_objects(object, "repeatable", questions.repeatable, [](JsonObject& to, const AppendMessage* write) {
    to.add("conversationId", write->conversation_id);
    to.add("clientMessageId", write->client_message_id);
    to.add("senderType", to_string(write->sender.role));
    to.add("senderId", write->sender.id);
  });
  add_ids(object, "messages", questions.messages);
  add_ids(object, "newestOf", questions.newest_of);
  const auto add_member_key = [](JsonObject& to, const Questions::MemberKey& key) {
    to.add("conversationId", key.conversation_id);
    to.add("type", to_string(key.who->role));
    to.add("id", key.who->id);
  };
  add_objects(object, "viewers", questions.viewers, add_member_key);
  add_objects(object, "clients", questions.clients, add_member_key);
  add_objects(object, "tokens", questions.tokens, [](JsonObject& to, const PutToken* put) {
    to.add("conversationId", put->claims.conversation_id);
    to.add("tripId", put->claims.trip_id);
  });
}

void append(const Effects& effects, std::string& out) {
  wire::json::append_value(effects, out);
}

void append(const TokenRemoval& removal, std::string& out) {
  JsonObject object(out);
  if (const auto* one = std::get_if<DeleteToken>(&removal)) {
    object.add("kind", "deleteToken");
    object.add("digest", to_hex(one->digest));
  } else if (const auto* expired = std::get_if<SweepTokens>(&removal)) {
    object.add("kind", "sweepTokens");
    object.add("now", expired->now);
  } else {
    const auto& some = std::get<RevokeTokens>(removal);
    object.add("kind", "revokeTokens");
    object.add("orgId", some.org_id);
    object.add("clientId", some.client_id);
    object.add("tripId", some.trip_id);
  }
}

// ---- Text ----

std::string& JsonObject::key(std::string_view name) {
  if (!first_) out_ += ',';
  first_ = false;
  out_ += '"';
  out_ += name;
  out_ += "\":";
  return out_;
}

void JsonObject::add(std::string_view name, std::string_view text) {
  wire::append_string(text, key(name));
}

void JsonObject::add(std::string_view name, const std::optional<std::string>& text) {
  if (text)
    add(name, std::string_view(*text));
  else
    key(name) += "null";
}

void JsonObject::add(std::string_view name, const Uuid& id) {
  add(name, std::string_view(to_string(id)));
}

void JsonObject::add(std::string_view name, bool value) {
  key(name) += value ? "true" : "false";
}

void JsonObject::add(std::string_view name, std::uint64_t number) {
  key(name) += std::to_string(number);
}

void JsonObject::add(std::string_view name, TimePoint time) {
  std::string& out = key(name);
  out += '"';
  wire::append_time(time, out);
  out += '"';
}

void JsonObject::add(std::string_view name, const std::optional<TimePoint>& time) {
  if (time)
    add(name, *time);
  else
    key(name) += "null";
}

void JsonObject::add(std::string_view name, const Participant& participant) {
  JsonObject object(key(name));
  object.add("orgId", participant.org_id);
  object.add("role", to_string(participant.role));
  object.add("id", participant.id);
  object.add("name", participant.name);
}

void append_strings(const std::vector<std::string>& texts, std::string& out) {
  out += '[';
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) out += ',';
    wire::append_string(texts[i], out);
  }
  out += ']';
}

void append_summary(const ConversationSummary& row, std::string& out) {
  wire::json::append_members<'{', detail::MembersOf<Conversation>>(row.conversation, out);
  out += R"(,"lastMessage":)";
  if (row.last_message)
    wire::append_without_reactions(*row.last_message, out);
  else
    out += "null";
  out += '}';
}

}  // namespace travelchat::node
