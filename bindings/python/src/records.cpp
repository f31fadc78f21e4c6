#include "records.hpp"

#include <travelchat/arguments.hpp>

#include <datetime.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace travelchat::python {

namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::milliseconds;

// One dataclass. Objects are filled through its slots: its own constructor would set every field through the
// interpreter, which costs more than all else that is done for an event.
class Record {
 public:
  void load(const py::module_& types, const char* name, std::initializer_list<const char*> fields) {
    type_ = types.attr(name);
    const py::tuple known = type_.attr("__match_args__");
    if (known.size() != fields.size())
      throw std::logic_error(std::string(name) + " has other fields than the engine's");
    std::size_t at = 0;
    for (const char* field : fields) {
      if (known[at++].cast<std::string_view>() != field) throw std::logic_error(std::string(name) + " lacks " + field);
      slots_.push_back(type_.attr(field));
    }
  }

  template <class... Values>
  py::object make(const Values&... values) const {
    auto* const type = reinterpret_cast<PyTypeObject*>(type_.ptr());
    auto made = py::reinterpret_steal<py::object>(type->tp_alloc(type, 0));
    if (!made) throw py::error_already_set();
    auto slot = slots_.begin();
    const auto set = [&](const py::object& value) {
      if (Py_TYPE(slot->ptr())->tp_descr_set(slot->ptr(), made.ptr(), value.ptr()) != 0) throw py::error_already_set();
      ++slot;
    };
    (set(values), ...);
    return made;
  }

  bool is(py::handle value) const { return Py_TYPE(value.ptr()) == reinterpret_cast<PyTypeObject*>(type_.ptr()); }
  // TypeError unless `value` is one.
  void require(py::handle value, const char* what) const {
    if (is(value) || py::isinstance(value, type_)) return;
    throw py::type_error(std::string(what) + " must be a travelchat." + std::string(py::str(type_.attr("__name__"))) +
                         ", not " + Py_TYPE(value.ptr())->tp_name);
  }

 private:
  py::object type_;
  std::vector<py::object> slots_;
};

struct Records {
  Record participant, reaction, message, conversation, summary, claims, sent, marked, page, token, stats;
  Record typing, created, reacted, seen, read, caught_up, resync, updated;
  Record conversation_row, token_row, opening_question, repeat_question, token_question, questions, facts;
  Record new_message, mark, touched, new_reaction, removed_reaction, change_row, effects;
  Record delete_token, sweep_tokens, revoke_tokens, removed_tokens;
  Record conversation_query, message_query, change, change_list, revision_query, revisions;
  Record prune_changes, pruned;
  Record notification, advisor, trip, client_card, active_trip;
  std::array<py::object, 2> roles;
  std::array<py::object, 6> emoji;
  std::array<py::object, 4> change_kinds;
  py::object utc;
  py::object errors;
};

// Never destroyed: the interpreter is gone by the time static objects are.
Records* records = nullptr;

}  // namespace

static py::object none() {
  return py::none();
}

static py::object to_python(std::string_view text) {
  auto made = py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
  if (!made) throw py::error_already_set();
  return made;
}

template <class T>
static py::object to_python(const std::optional<T>& value) {
  return value ? to_python(*value) : none();
}

static py::object to_python(Role role) {
  return records->roles.at(static_cast<std::size_t>(role));
}

static py::object to_python(const std::optional<Emoji>& emoji) {
  return emoji ? records->emoji.at(static_cast<std::size_t>(*emoji)) : none();
}

static py::object to_python(const Sha256Digest& digest) {
  return py::bytes(reinterpret_cast<const char*>(digest.data()), digest.size());
}

static py::object to_python(const Reaction& reaction) {
  return records->reaction.make(
      to_python(reaction.id), to_python(reaction.message_id), to_python(reaction.conversation_id),
      to_python(reaction.org_id), to_python(reaction.reactor_type), to_python(reaction.reactor_id),
      to_python(reaction.reactor_name), to_python(std::optional(reaction.emoji)), to_python(reaction.created_at));
}

static py::object to_python(const ConversationRow& row) {
  return records->conversation_row.make(to_python(row.value), to_python(row.unseen_count), to_python(row.read_seq),
                                        to_python(row.seen_seq));
}

static py::object to_python(const TokenRow& row) {
  return records->token_row.make(to_python(row.digest), to_python(row.claims), to_python(row.created_at));
}

template <class T>
static py::object to_tuple(const std::vector<T>& values) {
  py::tuple made(values.size());
  std::size_t at = 0;
  for (const T& value : values) made[at++] = to_python(value);
  return made;
}

namespace {

// ---- From Python ----

[[noreturn]] void wrong_type(const char* name, const char* wanted, py::handle value) {
  throw py::type_error(std::string(name) + " must be " + wanted + ", not " + Py_TYPE(value.ptr())->tp_name);
}

py::object field(py::handle record, const char* name) {
  return record.attr(name);
}

std::string text(py::handle record, const char* name) {
  return to_well_formed(field(record, name), name);
}

std::optional<std::string> optional_text(py::handle record, const char* name) {
  const py::object value = field(record, name);
  return value.is_none() ? std::nullopt : std::optional(to_well_formed(value, name));
}

std::uint64_t count(py::handle record, const char* name) {
  return to_count(field(record, name), name);
}

bool flag(py::handle record, const char* name) {
  // Not whatever Python takes for true or false: a None or a coroutine says neither. A database's 0 and 1 do.
  const py::object value = field(record, name);
  if (!PyLong_Check(value.ptr())) wrong_type(name, "a bool", value);
  const std::uint64_t number = to_count(value, name);
  if (number > 1) throw py::value_error(std::string(name) + " must be a bool, not " + std::to_string(number));
  return number == 1;
}

// An id of the host's. An empty one is no person and no organization.
std::string host_id(py::handle record, const char* name) {
  std::string value = text(record, name);
  if (const Problem problem = find_problem_of_host_id(name, value)) throw py::value_error(problem->what());
  return value;
}

Uuid id(py::handle record, const char* name) {
  const auto found = to_id(field(record, name), name);
  if (!found) throw py::value_error(std::string(name) + " is no id of the engine's");
  return *found;
}

Role role(py::handle record, const char* name) {
  const auto found = parse_role(text(record, name));
  if (!found) throw py::value_error(std::string(name) + " must be \"advisor\" or \"client\"");
  return *found;
}

TimePoint to_time(py::handle value, const char* name) {
  if (!PyDateTime_Check(value.ptr())) wrong_type(name, "a datetime", value);
  if (value.attr("tzinfo").is_none()) throw py::value_error(std::string(name) + " must be an aware datetime");
  const py::object utc = py::object(value.attr("tzinfo")).ptr() == records->utc.ptr()
                             ? py::reinterpret_borrow<py::object>(value)
                             : value.attr("astimezone")(records->utc);
  // A subclass may return anything, and what follows looks into its memory.
  if (!PyDateTime_Check(utc.ptr())) wrong_type(name, "a datetime", utc);
  const auto date = std::chrono::year{PyDateTime_GET_YEAR(utc.ptr())} /
                    static_cast<unsigned>(PyDateTime_GET_MONTH(utc.ptr())) /
                    static_cast<unsigned>(PyDateTime_GET_DAY(utc.ptr()));
  return TimePoint(std::chrono::sys_days(date)) + std::chrono::hours(PyDateTime_DATE_GET_HOUR(utc.ptr())) +
         std::chrono::minutes(PyDateTime_DATE_GET_MINUTE(utc.ptr())) +
         std::chrono::seconds(PyDateTime_DATE_GET_SECOND(utc.ptr())) +
         milliseconds(PyDateTime_DATE_GET_MICROSECOND(utc.ptr()) / 1000);
}

TimePoint time(py::handle record, const char* name) {
  return to_time(field(record, name), name);
}

std::optional<TimePoint> optional_time(py::handle record, const char* name) {
  const py::object value = field(record, name);
  if (value.is_none()) return std::nullopt;
  return to_time(value, name);
}

Sha256Digest to_digest(py::handle value) {
  Sha256Digest digest;
  char* bytes = nullptr;
  Py_ssize_t size = 0;
  if (!PyBytes_Check(value.ptr())) wrong_type("a digest", "bytes", value);
  if (PyBytes_AsStringAndSize(value.ptr(), &bytes, &size) != 0) throw py::error_already_set();
  if (static_cast<std::size_t>(size) != digest.size()) throw py::value_error("a digest has 32 bytes");
  std::copy_n(reinterpret_cast<const std::uint8_t*>(bytes), digest.size(), digest.begin());
  return digest;
}

// Any iterable but a str, which is one too.
template <class Read>
auto to_vector(py::handle value, const char* name, Read read) {
  std::vector<decltype(read(value))> values;
  if (PyUnicode_Check(value.ptr()) || !py::isinstance<py::iterable>(value)) wrong_type(name, "a sequence", value);
  for (const py::handle item : py::reinterpret_borrow<py::iterable>(value)) values.push_back(read(item));
  return values;
}

Reaction to_reaction(py::handle value) {
  records->reaction.require(value, "a reaction");
  Reaction reaction;
  reaction.id = id(value, "id");
  reaction.message_id = id(value, "message_id");
  reaction.conversation_id = id(value, "conversation_id");
  reaction.org_id = text(value, "org_id");
  reaction.reactor_type = role(value, "reactor_type");
  reaction.reactor_id = text(value, "reactor_id");
  reaction.reactor_name = text(value, "reactor_name");
  const auto emoji = parse_emoji(text(value, "emoji"));
  if (!emoji) throw py::value_error("emoji is not one of the reactions");
  reaction.emoji = *emoji;
  reaction.created_at = time(value, "created_at");
  return reaction;
}

std::vector<Reaction> to_reactions(py::handle value) {
  return to_vector(value, "reactions", to_reaction);
}

Message to_message(py::handle value) {
  records->message.require(value, "a message");
  Message message;
  message.id = id(value, "id");
  message.conversation_id = id(value, "conversation_id");
  message.org_id = text(value, "org_id");
  message.sender_type = role(value, "sender_type");
  message.sender_id = text(value, "sender_id");
  message.sender_name = text(value, "sender_name");
  message.content = text(value, "content");
  message.is_read = flag(value, "is_read");
  message.seen_at = optional_time(value, "seen_at");
  message.created_at = time(value, "created_at");
  message.attachment_url = optional_text(value, "attachment_url");
  message.attachment_type = optional_text(value, "attachment_type");
  message.attachment_name = optional_text(value, "attachment_name");
  message.reactions = to_reactions(field(value, "reactions"));
  message.seq = count(value, "seq");
  message.rev = count(value, "rev");
  message.client_message_id = optional_text(value, "client_message_id");
  return message;
}

std::optional<Message> to_optional_message(py::handle value) {
  if (value.is_none()) return std::nullopt;
  return to_message(value);
}

Conversation to_conversation(py::handle value) {
  records->conversation.require(value, "a conversation");
  Conversation conversation;
  conversation.id = id(value, "id");
  conversation.org_id = text(value, "org_id");
  conversation.client_id = text(value, "client_id");
  conversation.created_at = time(value, "created_at");
  conversation.last_message_at = optional_time(value, "last_message_at");
  conversation.last_seq = count(value, "last_seq");
  conversation.rev = count(value, "rev");
  conversation.unread_count = count(value, "unread_count");
  return conversation;
}

// nullopt for a kind that is not known here, as a later version may have: its revision counts all the same.
std::optional<Change> to_change(py::handle value) {
  records->change.require(value, "a change");
  Change change;
  const std::string kind = text(value, "kind");
  if (kind == "message") {
    change.kind = Change::Kind::message;
    change.message = to_message(field(value, "message"));
  } else if (kind == "reaction") {
    change.kind = Change::Kind::reaction;
    change.message_id = id(value, "message_id");
    change.reactions = to_reactions(field(value, "reactions"));
  } else if (kind == "seen" || kind == "read") {
    change.kind = kind == "seen" ? Change::Kind::seen : Change::Kind::read;
    change.at = time(value, "at");
  } else {
    (void)count(value, "rev");
    return std::nullopt;
  }
  change.rev = count(value, "rev");
  return change;
}

std::vector<Change> to_changes(py::handle value) {
  std::vector<Change> changes;
  for (auto& change : to_vector(value, "changes", to_change)) {
    if (change) changes.push_back(*std::move(change));
  }
  return changes;
}

std::optional<ActiveTrip> to_optional_active_trip(py::handle value) {
  if (value.is_none()) return std::nullopt;
  records->active_trip.require(value, "active_trip");
  return ActiveTrip{text(value, "id"), text(value, "title")};
}

ClientCard to_client_card(py::handle value) {
  records->client_card.require(value, "a client");
  return {text(value, "id"), text(value, "name"), optional_text(value, "avatar_url"),
          to_optional_active_trip(field(value, "active_trip"))};
}

}  // namespace

void load_records() {
  PyDateTime_IMPORT;
  if (PyDateTimeAPI == nullptr) throw py::error_already_set();
  auto loaded = std::make_unique<Records>();
  Records& r = *loaded;
  const auto types = py::module_::import("travelchat.types");
  r.participant.load(types, "Participant", {"org_id", "role", "id", "name"});
  r.reaction.load(types, "Reaction",
                  {"id", "message_id", "conversation_id", "org_id", "reactor_type", "reactor_id", "reactor_name",
                   "emoji", "created_at"});
  r.message.load(types, "Message",
                 {"id", "conversation_id", "org_id", "sender_type", "sender_id", "sender_name", "content", "is_read",
                  "seen_at", "created_at", "attachment_url", "attachment_type", "attachment_name", "reactions", "seq",
                  "rev", "client_message_id"});
  r.conversation.load(
      types, "Conversation",
      {"id", "org_id", "client_id", "created_at", "last_message_at", "last_seq", "rev", "unread_count"});
  r.summary.load(types, "ConversationSummary", {"conversation", "last_message"});
  r.claims.load(types, "TokenClaims", {"org_id", "client_id", "trip_id", "conversation_id", "expires_at"});
  r.sent.load(types, "Sent", {"message", "created"});
  r.marked.load(types, "Marked", {"at", "count", "rev"});
  r.page.load(types, "MessagePage", {"messages", "has_more", "epoch"});
  r.token.load(types, "IssuedToken", {"token", "expires_at"});
  r.stats.load(types, "EngineStats",
               {"messages", "commits", "writes", "failed_commits", "deliveries", "queued_writes", "subscribers",
                "rooms", "catch_ups"});
  r.typing.load(types, "TypingChanged", {"advisor_typing", "client_typing"});
  r.created.load(types, "MessageCreated", {"message", "rev"});
  r.reacted.load(types, "ReactionsChanged", {"message_id", "reactions", "rev"});
  r.seen.load(types, "MessagesSeen", {"seen_at", "rev"});
  r.read.load(types, "MessagesRead", {"read_at", "rev"});
  r.caught_up.load(types, "CaughtUp", {"rev", "epoch"});
  r.resync.load(types, "Resync", {"rev", "epoch"});
  r.updated.load(types, "ConversationUpdated", {"summary"});
  r.conversation_row.load(types, "ConversationRow", {"conversation", "unseen_count", "read_seq", "seen_seq"});
  r.token_row.load(types, "TokenRow", {"digest", "claims", "created_at"});
  r.opening_question.load(types, "OpeningQuestion", {"org_id", "client_id"});
  r.repeat_question.load(types, "RepeatQuestion", {"conversation_id", "client_message_id", "sender_type", "sender_id"});
  r.token_question.load(types, "TokenQuestion", {"conversation_id", "trip_id"});
  r.questions.load(types, "Questions", {"conversations", "openings", "repeatable", "messages", "newest_of", "tokens"});
  r.facts.load(types, "Facts", {"conversations", "messages", "tokens"});
  r.new_message.load(types, "NewMessage", {"message", "created_rev"});
  r.mark.load(types, "MarkRow", {"conversation_id", "viewer", "after_seq", "up_to_seq", "rev", "at"});
  r.touched.load(types, "TouchedMessage", {"conversation_id", "message_id", "seq", "rev"});
  r.new_reaction.load(types, "NewReaction", {"reaction", "seq", "rev"});
  r.removed_reaction.load(types, "RemovedReaction",
                          {"conversation_id", "message_id", "seq", "reactor_type", "reactor_id"});
  r.change_row.load(types, "ChangeRow", {"conversation_id", "rev", "kind", "first_seq", "last_seq", "at"});
  r.effects.load(types, "Effects",
                 {"opened", "conversations", "marks", "messages", "touched", "removed_reactions", "reactions",
                  "changes", "removed_tokens", "tokens"});
  r.delete_token.load(types, "DeleteToken", {"digest"});
  r.sweep_tokens.load(types, "SweepTokens", {"now"});
  r.revoke_tokens.load(types, "RevokeTokens", {"org_id", "client_id", "trip_id"});
  r.removed_tokens.load(types, "RemovedTokens", {"count", "digests"});
  r.conversation_query.load(types, "ConversationQuery", {"org_id", "text", "client_ids"});
  r.message_query.load(types, "MessageQuery", {"conversation_id", "before_seq", "since_rev", "limit"});
  r.change.load(types, "Change", {"kind", "rev", "message", "message_id", "reactions", "at"});
  r.change_list.load(types, "ChangeList", {"current_rev", "too_many", "changes", "epoch"});
  r.revision_query.load(types, "RevisionQuery", {"conversation_ids", "org_ids"});
  r.revisions.load(types, "Revisions", {"conversations", "organizations", "epoch"});
  r.prune_changes.load(types, "PruneChanges",
                       {"after", "keep_revisions", "older_than", "max_conversations", "max_changes"});
  r.pruned.load(types, "Pruned", {"count", "next", "epoch"});
  r.notification.load(types, "PushNotification", {"org_id", "title", "body", "url"});
  r.advisor.load(types, "Advisor", {"org_id", "id", "name", "avatar_url", "expires_at", "by_cookie", "session_id"});
  r.trip.load(types, "SharedTrip",
              {"id", "org_id", "title", "share_enabled", "share_token", "client_id", "client_name", "advisor_name",
               "advisor_avatar_url"});
  r.client_card.load(types, "ClientCard", {"id", "name", "avatar_url", "active_trip"});
  r.active_trip.load(types, "ActiveTrip", {"id", "title"});
  for (const Role role : {Role::advisor, Role::client}) {
    r.roles.at(static_cast<std::size_t>(role)) = types.attr("Role")(to_python(travelchat::to_string(role)));
  }
  for (std::size_t i = 0; i < r.emoji.size(); ++i) {
    r.emoji.at(i) = types.attr("Emoji")(to_python(travelchat::to_string(static_cast<Emoji>(i))));
  }
  for (const auto& [kind, name] :
       {std::pair(Change::Kind::message, "message"), std::pair(Change::Kind::reaction, "reaction"),
        std::pair(Change::Kind::seen, "seen"), std::pair(Change::Kind::read, "read")}) {
    r.change_kinds.at(static_cast<std::size_t>(kind)) = types.attr("ChangeKind")(name);
  }
  r.utc = py::reinterpret_borrow<py::object>(PyDateTime_TimeZone_UTC);
  records = loaded.release();
}

py::object to_python(bool value) {
  return py::bool_(value);
}

py::object to_python(std::uint64_t value) {
  return py::int_(value);
}

py::object to_python(const std::string& text) {
  return to_python(std::string_view(text));
}

py::object to_python(const Uuid& id) {
  auto made = py::reinterpret_steal<py::object>(PyUnicode_New(36, 127));
  if (!made) throw py::error_already_set();
  write_uuid(id, reinterpret_cast<char*>(PyUnicode_1BYTE_DATA(made.ptr())));
  return made;
}

// A time that a datetime cannot hold becomes the nearest one that it can.
py::object to_python(TimePoint at) {
  using namespace std::chrono;
  constexpr TimePoint first{sys_days(year{1} / 1 / 1)};
  constexpr TimePoint last{sys_days(year{10000} / 1 / 1) - milliseconds{1}};
  at = std::clamp(at, first, last);
  const auto day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss time(at - day);
  auto made = py::reinterpret_steal<py::object>(PyDateTimeAPI->DateTime_FromDateAndTime(
      static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month())),
      static_cast<int>(static_cast<unsigned>(date.day())), static_cast<int>(time.hours().count()),
      static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
      static_cast<int>(time.subseconds().count()) * 1000, records->utc.ptr(), PyDateTimeAPI->DateTimeType));
  if (!made) throw py::error_already_set();
  return made;
}

py::object to_python(const Message& m) {
  return records->message.make(to_python(m.id), to_python(m.conversation_id), to_python(m.org_id),
                               to_python(m.sender_type), to_python(m.sender_id), to_python(m.sender_name),
                               to_python(m.content), to_python(m.is_read), to_python(m.seen_at),
                               to_python(m.created_at), to_python(m.attachment_url), to_python(m.attachment_type),
                               to_python(m.attachment_name), to_tuple(m.reactions), to_python(m.seq), to_python(m.rev),
                               to_python(m.client_message_id));
}

py::object to_python(const Conversation& c) {
  return records->conversation.make(to_python(c.id), to_python(c.org_id), to_python(c.client_id),
                                    to_python(c.created_at), to_python(c.last_message_at), to_python(c.last_seq),
                                    to_python(c.rev), to_python(c.unread_count));
}

py::object to_python(const ConversationSummary& summary) {
  return records->summary.make(to_python(summary.conversation), to_python(summary.last_message));
}

py::object to_python(const std::vector<ConversationSummary>& list) {
  return to_tuple(list);
}

py::object to_python(const std::vector<Reaction>& reactions) {
  return to_tuple(reactions);
}

py::object to_python(const MessagePage& page) {
  return records->page.make(to_tuple(page.messages), to_python(page.has_more), to_python(page.epoch));
}

py::object to_python(const PruneChanges& step) {
  const std::optional<Uuid> after = step.after == Uuid() ? std::nullopt : std::optional(step.after);
  return records->prune_changes.make(to_python(after), to_python(step.keep_revisions), to_python(step.older_than),
                                     to_python(std::uint64_t{step.max_conversations}),
                                     to_python(std::uint64_t{step.max_changes}));
}

py::object to_python(const Sent& sent) {
  return records->sent.make(to_python(sent.message), to_python(sent.created));
}

py::object to_python(const Marked& marked) {
  return records->marked.make(to_python(marked.at), to_python(marked.count), to_python(marked.rev));
}

py::object to_python(const IssuedToken& token) {
  return records->token.make(to_python(token.token), to_python(token.expires_at));
}

py::object to_python(const TokenClaims& claims) {
  return records->claims.make(to_python(claims.org_id), to_python(claims.client_id), to_python(claims.trip_id),
                              to_python(claims.conversation_id), to_python(claims.expires_at));
}

py::object to_python(const EngineStats& s) {
  return records->stats.make(to_python(s.messages), to_python(s.commits), to_python(s.writes),
                             to_python(s.failed_commits), to_python(s.deliveries), to_python(s.queued_writes),
                             to_python(s.subscribers), to_python(s.rooms), to_python(s.catch_ups));
}

py::object to_python(const Event& event) {
  struct Convert {
    py::object operator()(const TypingChanged& e) const {
      return records->typing.make(to_python(e.advisor_typing), to_python(e.client_typing));
    }
    py::object operator()(const MessageCreated& e) const {
      return records->created.make(to_python(e.message), to_python(e.rev));
    }
    py::object operator()(const ReactionsChanged& e) const {
      return records->reacted.make(to_python(e.message_id), to_tuple(e.reactions), to_python(e.rev));
    }
    py::object operator()(const MessagesSeen& e) const {
      return records->seen.make(to_python(e.seen_at), to_python(e.rev));
    }
    py::object operator()(const MessagesRead& e) const {
      return records->read.make(to_python(e.read_at), to_python(e.rev));
    }
    py::object operator()(const CaughtUp& e) const {
      return records->caught_up.make(to_python(e.rev), to_python(e.epoch));
    }
    py::object operator()(const Resync& e) const { return records->resync.make(to_python(e.rev), to_python(e.epoch)); }
    py::object operator()(const ConversationUpdated& e) const { return records->updated.make(to_python(e.summary)); }
  };
  return std::visit(Convert{}, event);
}

template <class Items, class Make>
static py::object to_tuple_of(const Items& items, Make make) {
  py::tuple made(items.size());
  std::size_t at = 0;
  for (const auto& item : items) made[at++] = make(item);
  return made;
}

py::object to_python(const Questions& q) {
  const auto opening = [](const OpenConversation* open) {
    return records->opening_question.make(to_python(open->org_id), to_python(open->client_id));
  };
  const auto repeat = [](const AppendMessage* write) {
    return records->repeat_question.make(to_python(write->conversation_id), to_python(write->client_message_id),
                                         to_python(write->sender.role), to_python(write->sender.id));
  };
  const auto token = [](const PutToken* put) {
    return records->token_question.make(to_python(put->claims.conversation_id), to_python(put->claims.trip_id));
  };
  return records->questions.make(to_tuple(q.conversations), to_tuple_of(q.openings, opening),
                                 to_tuple_of(q.repeatable, repeat), to_tuple(q.messages), to_tuple(q.newest_of),
                                 to_tuple_of(q.tokens, token));
}

py::object to_python(const Effects& effects) {
  const auto mark = [](const Effects::Mark& m) {
    return records->mark.make(to_python(m.conversation_id), to_python(m.viewer), to_python(m.after_seq),
                              to_python(m.up_to_seq), to_python(m.rev), to_python(m.at));
  };
  const auto message = [](const Effects::NewMessage& m) {
    return records->new_message.make(to_python(m.message), to_python(m.created_rev));
  };
  const auto touched = [](const Effects::Touched& t) {
    return records->touched.make(to_python(t.conversation_id), to_python(t.message_id), to_python(t.seq),
                                 to_python(t.rev));
  };
  const auto removed = [](const Effects::RemovedReaction& r) {
    return records->removed_reaction.make(to_python(r.conversation_id), to_python(r.message_id), to_python(r.seq),
                                          to_python(r.reactor_type), to_python(r.reactor_id));
  };
  const auto reaction = [](const Effects::NewReaction& r) {
    return records->new_reaction.make(to_python(r.reaction), to_python(r.seq), to_python(r.rev));
  };
  const auto change = [](const Effects::ChangeRow& c) {
    return records->change_row.make(to_python(c.conversation_id), to_python(c.rev),
                                    records->change_kinds.at(static_cast<std::size_t>(c.kind)), to_python(c.first_seq),
                                    to_python(c.last_seq), to_python(c.at));
  };
  return records->effects.make(to_tuple(effects.opened), to_tuple(effects.conversations),
                               to_tuple_of(effects.marks, mark), to_tuple_of(effects.messages, message),
                               to_tuple_of(effects.touched, touched), to_tuple_of(effects.removed_reactions, removed),
                               to_tuple_of(effects.reactions, reaction), to_tuple_of(effects.changes, change),
                               to_tuple(effects.removed_tokens), to_tuple(effects.tokens));
}

py::object to_python(const TokenRemoval& removal) {
  struct Convert {
    py::object operator()(const DeleteToken& w) const { return records->delete_token.make(to_python(w.digest)); }
    py::object operator()(const SweepTokens& w) const { return records->sweep_tokens.make(to_python(w.now)); }
    py::object operator()(const RevokeTokens& w) const {
      return records->revoke_tokens.make(to_python(w.org_id), to_python(w.client_id), to_python(w.trip_id));
    }
  };
  return std::visit(Convert{}, removal);
}

py::object to_python(const ConversationQuery& query) {
  return records->conversation_query.make(to_python(query.org_id), to_python(query.text), to_tuple(query.client_ids));
}

py::object to_python(const MessageQuery& query) {
  return records->message_query.make(to_python(query.conversation_id), to_python(query.before_seq),
                                     to_python(query.since_rev), to_python(std::uint64_t{query.limit}));
}

py::object to_python(const RevisionQuery& query) {
  return records->revision_query.make(to_tuple(query.conversation_ids), to_tuple(query.org_ids));
}

py::object to_python(const PushNotification& n) {
  return records->notification.make(to_python(n.org_id), to_python(n.title), to_python(n.body), to_python(n.url));
}

std::string to_text(py::handle value, const char* name) {
  if (!PyUnicode_Check(value.ptr())) wrong_type(name, "a str", value);
  Py_ssize_t size = 0;
  if (const char* utf8 = PyUnicode_AsUTF8AndSize(value.ptr(), &size)) return {utf8, static_cast<std::size_t>(size)};
  PyErr_Clear();
  const auto bytes =
      py::reinterpret_steal<py::object>(PyUnicode_AsEncodedString(value.ptr(), "utf-8", "surrogatepass"));
  if (!bytes) throw py::error_already_set();
  return bytes.cast<std::string>();
}

std::string to_well_formed(py::handle value, const char* name) {
  if (PyUnicode_Check(value.ptr()) && PyUnicode_AsUTF8AndSize(value.ptr(), nullptr) == nullptr) {
    PyErr_Clear();
    throw py::value_error(std::string(name) + " must be well-formed text, and holds half of a surrogate pair");
  }
  return to_text(value, name);
}

std::optional<std::string> to_optional_text(py::handle value, const char* name) {
  if (value.is_none()) return std::nullopt;
  return to_text(value, name);
}

// An int has as many digits as it likes, and Python writes no more than 4,300 of them.
static std::string in_digits(py::handle number) {
  const auto text = py::reinterpret_steal<py::object>(PyObject_Str(number.ptr()));
  if (text && py::len(text) <= 60) return text.cast<std::string>();
  PyErr_Clear();
  return "an int of more than 60 digits";
}

std::uint64_t to_count(py::handle value, const char* name) {
  if (!PyLong_Check(value.ptr())) wrong_type(name, "an int", value);
  const std::uint64_t count = PyLong_AsUnsignedLongLong(value.ptr());
  if (count == static_cast<std::uint64_t>(-1) && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    const bool is_negative = value < py::int_(0);
    throw py::value_error(std::string(name) + " must be at least 0" +
                          (is_negative ? "" : " and at most " + std::to_string(~std::uint64_t{0})) + ", not " +
                          in_digits(value));
  }
  return count;
}

std::optional<std::uint64_t> to_optional_count(py::handle value, const char* name) {
  if (value.is_none()) return std::nullopt;
  return to_count(value, name);
}

std::optional<Uuid> to_id(py::handle value, const char* name) {
  return parse_uuid(to_text(value, name));
}

Participant to_participant(py::handle value) {
  records->participant.require(value, "a participant");
  return {text(value, "org_id"), role(value, "role"), text(value, "id"), text(value, "name")};
}

std::optional<Conversation> to_optional_conversation(py::handle value) {
  if (value.is_none()) return std::nullopt;
  return to_conversation(value);
}

std::vector<ConversationSummary> to_summaries(py::handle value) {
  return to_vector(value, "conversations", [](py::handle item) {
    records->summary.require(item, "a row of the list");
    return ConversationSummary{to_conversation(field(item, "conversation")),
                               to_optional_message(field(item, "last_message"))};
  });
}

namespace {

// What a storage has answered.
std::optional<Uuid> stored_epoch(py::handle value, const char* name) {
  if (field(value, name).is_none()) return std::nullopt;
  return id(value, name);
}

}  // namespace

std::optional<Uuid> to_optional_epoch(py::handle value) {
  if (value.is_none()) return std::nullopt;
  const auto epoch = parse_uuid(to_text(value, "epoch"));
  if (!epoch) throw Failure{errc::invalid_argument, "epoch must be a UUID in lower case"};
  return epoch;
}

MessagePage to_message_page(py::handle value) {
  records->page.require(value, "a page");
  return {to_vector(field(value, "messages"), "messages", to_message), flag(value, "has_more"),
          stored_epoch(value, "epoch")};
}

ChangeList to_change_list(py::handle value) {
  records->change_list.require(value, "the changes");
  return {count(value, "current_rev"), flag(value, "too_many"), to_changes(field(value, "changes")),
          stored_epoch(value, "epoch")};
}

Revisions to_revisions(py::handle value) {
  records->revisions.require(value, "the revisions");
  const auto counts = [&](const char* name) {
    return to_vector(field(value, name), name, [name](py::handle item) { return to_count(item, name); });
  };
  return {counts("conversations"), counts("organizations"), stored_epoch(value, "epoch")};
}

Pruned to_pruned(py::handle value) {
  records->pruned.require(value, "what was pruned");
  return {count(value, "count"), stored_epoch(value, "next"), stored_epoch(value, "epoch")};
}

static TokenClaims to_claims(py::handle value) {
  records->claims.require(value, "the claims");
  return TokenClaims{text(value, "org_id"), text(value, "client_id"), text(value, "trip_id"),
                     id(value, "conversation_id"), time(value, "expires_at")};
}

std::optional<TokenClaims> to_optional_claims(py::handle value) {
  if (value.is_none()) return std::nullopt;
  return to_claims(value);
}

Facts to_facts(py::handle value) {
  records->facts.require(value, "the facts");
  Facts facts;
  facts.conversations = to_vector(field(value, "conversations"), "conversations", [](py::handle row) {
    records->conversation_row.require(row, "a conversation's row");
    return ConversationRow{to_conversation(field(row, "conversation")), count(row, "unseen_count"),
                           count(row, "read_seq"), count(row, "seen_seq")};
  });
  facts.messages = to_vector(field(value, "messages"), "messages", to_message);
  facts.tokens = to_vector(field(value, "tokens"), "tokens", [](py::handle row) {
    records->token_row.require(row, "a token's row");
    return TokenRow{to_digest(field(row, "digest")), to_claims(field(row, "claims")), time(row, "created_at")};
  });
  return facts;
}

RemovedTokens to_removed_tokens(py::handle value) {
  records->removed_tokens.require(value, "what was removed");
  return {count(value, "count"), to_vector(field(value, "digests"), "digests", to_digest)};
}

std::optional<Advisor> to_optional_advisor(py::handle value) {
  if (value.is_none()) return std::nullopt;
  records->advisor.require(value, "whoever has signed in");
  return Advisor{host_id(value, "org_id"),
                 host_id(value, "id"),
                 text(value, "name"),
                 optional_text(value, "avatar_url"),
                 optional_time(value, "expires_at"),
                 flag(value, "by_cookie"),
                 optional_text(value, "session_id").value_or(std::string())};
}

std::optional<SharedTrip> to_optional_trip(py::handle value) {
  if (value.is_none()) return std::nullopt;
  records->trip.require(value, "a trip");
  return SharedTrip{text(value, "id"),
                    text(value, "org_id"),
                    optional_text(value, "client_id"),
                    text(value, "title"),
                    flag(value, "share_enabled"),
                    text(value, "share_token"),
                    optional_text(value, "client_name"),
                    optional_text(value, "advisor_name"),
                    optional_text(value, "advisor_avatar_url")};
}

std::vector<ClientCard> to_client_cards(py::handle value) {
  return to_vector(value, "clients", to_client_card);
}

std::vector<Sha256Digest> to_digests(py::handle value) {
  return to_vector(value, "digests", to_digest);
}

std::vector<std::string> to_texts(py::handle value, const char* name) {
  return to_vector(value, name, [name](py::handle item) { return to_well_formed(item, name); });
}

// Later than the other look-ups: the exceptions are made from this module's table.
static py::object exceptions() {
  if (!records->errors) records->errors = py::module_::import("travelchat.errors");
  return records->errors;
}

py::object make_error(errc code, std::string_view message) {
  const std::string_view name = describe(code).name;
  const py::object kind = exceptions().attr("by_code")[py::str(name.data(), name.size())];
  // The kind's own sentence is for people, to whom a server restarts.
  if (message.empty() && code == errc::closed) message = "the engine is closed";
  return message.empty() ? kind() : kind(to_python(message));
}

std::optional<errc> to_errc(py::handle exception) {
  if (!py::isinstance(exception, exceptions().attr("TravelchatError"))) return std::nullopt;
  const std::string code = text(exception, "code");
  const auto table = error_table();
  const auto row = std::find_if(table.begin(), table.end(), [&](const ErrorInfo& info) { return info.name == code; });
  return row == table.end() ? errc::internal : row->code;
}

errc report(py::error_already_set& thrown, py::handle where, errc otherwise) {
  if (const auto known = to_errc(thrown.value())) return *known;
  thrown.restore();
  PyErr_WriteUnraisable(where.ptr());
  return otherwise;
}

}  // namespace travelchat::python
