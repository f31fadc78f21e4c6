#include "values.hpp"

#include "wire/wire.hpp"

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

Sha256Digest to_digest(const Arguments& from, const std::string& hex) {
  (void)from;
  Sha256Digest digest{};
  const auto nibble = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  if (hex.size() != 2 * digest.size()) throw Refused{errc::storage_failed};
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const int high = nibble(hex[2 * i]);
    const int low = nibble(hex[2 * i + 1]);
    if (high < 0 || low < 0) throw Refused{errc::storage_failed};
    digest[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return digest;
}

}  // namespace

// ---- Arguments ----

Arguments Arguments::of(Napi::Value value, std::string path) {
  if (!value.IsObject() || value.IsArray()) {
    throw Napi::TypeError::New(value.Env(), path + " must be an object");
  }
  return Arguments(value.As<Napi::Object>(), std::move(path));
}

void Arguments::refuse(const char* name, const char* expected) const {
  throw Napi::TypeError::New(object_.Env(), (path_.empty() ? "" : path_ + ".") + name + " must be " + expected);
}

bool Arguments::has(const char* name) const {
  return !is_nothing(object_.Get(name));
}

std::string Arguments::string(const char* name) const {
  const Napi::Value value = object_.Get(name);
  if (!value.IsString()) refuse(name, "a string");
  return value.As<Napi::String>();
}

std::optional<std::string> Arguments::optional_string(const char* name) const {
  const Napi::Value value = object_.Get(name);
  if (is_nothing(value)) return std::nullopt;
  if (!value.IsString()) refuse(name, "a string");
  return std::string(value.As<Napi::String>());
}

std::vector<std::string> Arguments::strings(const char* name) const {
  const Napi::Value value = object_.Get(name);
  std::vector<std::string> texts;
  if (is_nothing(value)) return texts;
  if (!value.IsArray()) refuse(name, "an array of strings");
  const auto array = value.As<Napi::Array>();
  texts.reserve(array.Length());
  for (std::uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value text = array.Get(i);
    if (!text.IsString()) refuse(name, "an array of strings");
    texts.push_back(text.As<Napi::String>());
  }
  return texts;
}

bool Arguments::boolean(const char* name, bool otherwise) const {
  const Napi::Value value = object_.Get(name);
  if (is_nothing(value)) return otherwise;
  if (!value.IsBoolean()) refuse(name, "a boolean");
  return value.As<Napi::Boolean>();
}

std::optional<std::uint64_t> Arguments::optional_number(const char* name) const {
  const Napi::Value value = object_.Get(name);
  if (is_nothing(value)) return std::nullopt;
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1.0;
  if (!(number >= 0 && number <= max_exact && std::floor(number) == number)) refuse(name, "a whole number from 0 on");
  return static_cast<std::uint64_t>(number);
}

std::uint64_t Arguments::number(const char* name) const {
  const auto value = optional_number(name);
  if (!value) refuse(name, "a whole number from 0 on");
  return *value;
}

std::optional<std::chrono::milliseconds> Arguments::optional_milliseconds(const char* name) const {
  const auto value = optional_number(name);
  if (!value) return std::nullopt;
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
  if (!(std::abs(at) <= max_exact)) refuse(name, "a Date, milliseconds since 1970, or such a text");
  return TimePoint{std::chrono::milliseconds{static_cast<std::int64_t>(at)}};
}

TimePoint Arguments::time(const char* name) const {
  const auto value = optional_time(name);
  if (!value) refuse(name, "a Date, milliseconds since 1970, or such a text");
  return *value;
}

Uuid Arguments::uuid(const char* name) const {
  const auto id = parse_uuid(string(name));
  if (!id) throw Refused{errc::not_found};
  return *id;
}

Arguments Arguments::object(const char* name) const {
  return of(object_.Get(name), (path_.empty() ? "" : path_ + ".") + name);
}

std::optional<Arguments> Arguments::optional_object(const char* name) const {
  if (!has(name)) return std::nullopt;
  return object(name);
}

std::vector<Arguments> Arguments::objects(const char* name) const {
  std::vector<Arguments> all;
  const Napi::Value value = object_.Get(name);
  if (is_nothing(value)) return all;
  if (!value.IsArray()) refuse(name, "an array");
  const auto array = value.As<Napi::Array>();
  all.reserve(array.Length());
  for (std::uint32_t i = 0; i < array.Length(); ++i) {
    all.push_back(of(array.Get(i), (path_.empty() ? "" : path_ + ".") + name + "[" + std::to_string(i) + "]"));
  }
  return all;
}

Participant Arguments::participant(const char* name) const {
  const Arguments from = object(name);
  return {from.string("orgId"), to_role(from, "role"), from.string("id"), from.optional_string("name").value_or("")};
}

Role to_role(const Arguments& from, const char* name) {
  const auto role = parse_role(from.string(name));
  if (!role) throw Refused{errc::invalid_argument};
  return *role;
}

Emoji to_emoji(const std::string& text) {
  const auto emoji = parse_emoji(text);
  if (!emoji) throw Refused{errc::invalid_emoji};
  return *emoji;
}

std::string to_hex(const Sha256Digest& digest) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * digest.size());
  for (const std::uint8_t byte : digest) {
    hex += digits[byte >> 4];
    hex += digits[byte & 15];
  }
  return hex;
}

errc to_errc(std::string_view name) noexcept {
  for (const ErrorInfo& error : error_table()) {
    if (error.name == name) return error.code;
  }
  return errc::storage_failed;
}

// ---- What a storage answers ----

Reaction to_reaction(const Arguments& from) {
  Reaction reaction;
  reaction.id = from.uuid("id");
  reaction.message_id = from.uuid("messageId");
  reaction.conversation_id = from.uuid("conversationId");
  reaction.org_id = from.string("orgId");
  reaction.reactor_type = to_role(from, "reactorType");
  reaction.reactor_id = from.string("reactorId");
  reaction.reactor_name = from.string("reactorName");
  reaction.emoji = to_emoji(from.string("emoji"));
  reaction.created_at = from.time("createdAt");
  return reaction;
}

Message to_message(const Arguments& from) {
  Message message;
  message.id = from.uuid("id");
  message.conversation_id = from.uuid("conversationId");
  message.org_id = from.string("orgId");
  message.sender_type = to_role(from, "senderType");
  message.sender_id = from.string("senderId");
  message.sender_name = from.string("senderName");
  message.content = from.string("content");
  message.is_read = from.boolean("isRead", false);
  message.seen_at = from.optional_time("seenAt");
  message.created_at = from.time("createdAt");
  message.attachment_url = from.optional_string("attachmentUrl");
  message.attachment_type = from.optional_string("attachmentType");
  message.attachment_name = from.optional_string("attachmentName");
  for (const Arguments& reaction : from.objects("reactions")) message.reactions.push_back(to_reaction(reaction));
  message.seq = from.number("seq");
  message.rev = from.number("rev");
  message.client_message_id = from.optional_string("clientMessageId");
  return message;
}

Conversation to_conversation(const Arguments& from) {
  Conversation conversation;
  conversation.id = from.uuid("id");
  conversation.org_id = from.string("orgId");
  conversation.client_id = from.string("clientId");
  conversation.created_at = from.time("createdAt");
  conversation.last_message_at = from.optional_time("lastMessageAt");
  conversation.last_seq = from.number("lastSeq");
  conversation.rev = from.number("rev");
  conversation.unread_count = from.number("unreadCount");
  return conversation;
}

ConversationSummary to_summary(const Arguments& from) {
  ConversationSummary summary{to_conversation(from), std::nullopt};
  if (const auto last = from.optional_object("lastMessage")) summary.last_message = to_message(*last);
  return summary;
}

TokenClaims to_claims(const Arguments& from) {
  return {from.string("orgId"), from.string("clientId"), from.string("tripId"), from.uuid("conversationId"),
          from.time("expiresAt")};
}

Written to_written(const Arguments& from) {
  Written written;
  written.changed = from.boolean("changed", false);
  if (const auto conversation = from.optional_object("conversation")) {
    written.conversation = to_conversation(*conversation);
  }
  if (const auto message = from.optional_object("message")) written.message = to_message(*message);
  for (const Arguments& reaction : from.objects("reactions")) written.reactions.push_back(to_reaction(reaction));
  if (const auto last = from.optional_object("lastMessage")) written.last_message = to_message(*last);
  written.count = from.optional_number("count").value_or(0);
  for (const std::string& hex : from.strings("evicted")) written.evicted.push_back(to_digest(from, hex));
  return written;
}

Change to_change(const Arguments& from) {
  Change change;
  const std::string kind = from.string("kind");
  change.rev = from.number("rev");
  if (kind == "message") {
    change.kind = Change::Kind::message;
    change.message = to_message(from.object("message"));
  } else if (kind == "reaction") {
    change.kind = Change::Kind::reaction;
    change.message_id = from.uuid("messageId");
    for (const Arguments& reaction : from.objects("reactions")) change.reactions.push_back(to_reaction(reaction));
  } else if (kind == "seen" || kind == "read") {
    change.kind = kind == "seen" ? Change::Kind::seen : Change::Kind::read;
    change.at = from.time("at");
  } else {
    throw Refused{errc::storage_failed};
  }
  return change;
}

// ---- What it is asked ----

namespace {

struct AppendWrite {
  std::string& out;

  void operator()(const OpenConversation& write) const {
    JsonObject object(out);
    object.add("kind", "openConversation");
    object.add("conversationId", write.conversation_id);
    object.add("orgId", write.org_id);
    object.add("clientId", write.client_id);
    object.add("now", write.now);
  }
  void operator()(const AppendMessage& write) const {
    JsonObject object(out);
    object.add("kind", "appendMessage");
    object.add("messageId", write.message_id);
    object.add("conversationId", write.conversation_id);
    object.add("sender", write.sender);
    object.add("content", write.content);
    object.add("clientMessageId", write.client_message_id);
    object.add("attachmentUrl", write.attachment_url);
    object.add("attachmentType", write.attachment_type);
    object.add("attachmentName", write.attachment_name);
    object.add("now", write.now);
  }
  void operator()(const PutReaction& write) const {
    JsonObject object(out);
    object.add("kind", "putReaction");
    object.add("reactionId", write.reaction_id);
    object.add("conversationId", write.conversation_id);
    object.add("messageId", write.message_id);
    object.add("reactor", write.reactor);
    object.add("emoji", write.emoji ? std::optional(std::string(to_string(*write.emoji))) : std::nullopt);
    object.add("now", write.now);
  }
  void operator()(const MarkConversation& write) const {
    JsonObject object(out);
    object.add("kind", "markConversation");
    object.add("conversationId", write.conversation_id);
    object.add("viewer", write.viewer);
    object.add("now", write.now);
  }
  void operator()(const PutToken& write) const {
    JsonObject object(out);
    object.add("kind", "putToken");
    object.add("digest", to_hex(write.digest));
    {
      JsonObject claims(object.key("claims"));
      claims.add("orgId", write.claims.org_id);
      claims.add("clientId", write.claims.client_id);
      claims.add("tripId", write.claims.trip_id);
      claims.add("conversationId", write.claims.conversation_id);
      claims.add("expiresAt", write.claims.expires_at);
    }
    object.add("now", write.now);
    object.add("maxLive", static_cast<std::uint64_t>(write.max_live));
  }
  void operator()(const DeleteToken& write) const {
    JsonObject object(out);
    object.add("kind", "deleteToken");
    object.add("digest", to_hex(write.digest));
  }
  void operator()(const SweepTokens& write) const {
    JsonObject object(out);
    object.add("kind", "sweepTokens");
    object.add("now", write.now);
  }
};

}  // namespace

void append_write(const Write& write, std::string& out) {
  std::visit(AppendWrite{out}, write);
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

}  // namespace travelchat::node
