#include "records.hpp"

#include <travelchat/arguments.hpp>
#include <travelchat/describe.hpp>

#include <datetime.h>

#include <algorithm>
#include <array>
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

// The members of a struct that its dataclass has.
template <class T>
struct FieldsOf {
  using type = detail::MembersOf<T>;
};
template <>
struct FieldsOf<Facts> {
  using type = detail::MembersWithout<Facts, &Facts::made>;
};
template <>
struct FieldsOf<MessageQuery> {
  using type = detail::MembersWithout<MessageQuery, &MessageQuery::epoch>;
};
template <class T>
using Fields = typename FieldsOf<T>::type;

// The member's name in the dataclass.
template <class Member>
constexpr const char* field_name = detail::is_one_of<Member, &ConversationRow::value> ? "conversation" : Member::name;

// One dataclass. Objects are filled through its slots: its own constructor would set every field through the
// interpreter, which costs more than all else that is done for an event.
class Record {
 public:
  Record() = default;
  // Throws std::logic_error unless it has these fields and no others. `what`: for messages, "a message".
  Record(const py::module_& types, const char* name, const std::vector<const char*>& fields, const char* what)
      : type_(types.attr(name)), what_(what) {
    const py::tuple known = type_.attr("__match_args__");
    if (known.size() != fields.size())
      throw std::logic_error(std::string(name) + " has other fields than the engine's");
    for (const char* field : fields) {
      if (!known.contains(field)) throw std::logic_error(std::string(name) + " lacks " + field);
      slots_.push_back(type_.attr(field));
    }
  }

  // The values in the order of the fields.
  template <class... Values>
  py::object make(const Values&... values) const {
    py::object made = allocate();
    std::size_t at = 0;
    (set(made, at++, values), ...);
    return made;
  }

  py::object allocate() const {
    auto* const type = reinterpret_cast<PyTypeObject*>(type_.ptr());
    auto made = py::reinterpret_steal<py::object>(type->tp_alloc(type, 0));
    if (!made) throw py::error_already_set();
    return made;
  }
  void set(const py::object& record, std::size_t field, const py::object& value) const {
    const py::object& slot = slots_[field];
    if (Py_TYPE(slot.ptr())->tp_descr_set(slot.ptr(), record.ptr(), value.ptr()) != 0) throw py::error_already_set();
  }

  bool is(py::handle value) const { return Py_TYPE(value.ptr()) == reinterpret_cast<PyTypeObject*>(type_.ptr()); }
  // TypeError unless `value` is one.
  void require(py::handle value) const {
    if (is(value) || py::isinstance(value, type_)) return;
    throw py::type_error(std::string(what_) + " must be a travelchat." + std::string(py::str(type_.attr("__name__"))) +
                         ", not " + Py_TYPE(value.ptr())->tp_name);
  }

 private:
  py::object type_;
  std::vector<py::object> slots_;
  const char* what_ = "";
};

// Of a struct's dataclass. Here and below: never destroyed, for the interpreter is gone by the time static objects are.
template <class T>
const Record* record_of = nullptr;

template <class T>
void load(const py::module_& types, const char* name, const char* what = "") {
  std::vector<const char*> fields;
  detail::for_each_of<Fields<T>>([&]<class Member>(Member) { fields.push_back(field_name<Member>); });
  record_of<T> = new Record(types, name, fields, what);
}

// Python types that are no records, and dataclasses without a C++ struct.
struct Records {
  Record opening_question, repeat_question, member_question, token_question, questions;
  std::array<py::object, 2> roles;
  std::array<py::object, 6> emoji;
  py::object utc;
  py::object errors;
};

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

static py::object to_python(Role role) {
  return records->roles.at(static_cast<std::size_t>(role));
}

static py::object to_python(Emoji emoji) {
  return records->emoji.at(static_cast<std::size_t>(emoji));
}

static py::object to_python(const Sha256Digest& digest) {
  return py::bytes(reinterpret_cast<const char*>(digest.data()), digest.size());
}

template <class T>
static py::object to_python(const std::optional<T>& value) {
  return value ? to_python(*value) : none();
}

template <class T>
py::object to_python(const std::vector<T>& values) {
  py::tuple made(values.size());
  std::size_t at = 0;
  for (const T& value : values) made[at++] = to_python(value);
  return made;
}

template <detail::Described T>
py::object to_python(const T& value) {
  const Record& record = *record_of<T>;
  py::object made = record.allocate();
  std::size_t field = 0;
  detail::for_each_of<Fields<T>>([&](auto member) { record.set(made, field++, to_python(value.*member.pointer)); });
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
  // Not every value with a truth value: None or a coroutine would be a mistake. A database's 0 and 1 are accepted.
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
  // Checked, because a subclass may return anything, and the following macros read its memory.
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

std::optional<Uuid> stored_epoch(py::handle record, const char* name) {
  if (field(record, name).is_none()) return std::nullopt;
  return id(record, name);
}

// ---- Records, member by member: `read` has an overload for each type of one ----

void read(py::handle record, const char* name, bool& value) {
  value = flag(record, name);
}
void read(py::handle record, const char* name, std::uint64_t& value) {
  value = count(record, name);
}
void read(py::handle record, const char* name, std::string& value) {
  value = text(record, name);
}
void read(py::handle record, const char* name, std::optional<std::string>& value) {
  value = optional_text(record, name);
}
void read(py::handle record, const char* name, TimePoint& value) {
  value = time(record, name);
}
void read(py::handle record, const char* name, std::optional<TimePoint>& value) {
  value = optional_time(record, name);
}
void read(py::handle record, const char* name, Uuid& value) {
  value = id(record, name);
}
void read(py::handle record, const char* name, std::optional<Uuid>& value) {
  value = stored_epoch(record, name);
}
void read(py::handle record, const char* name, Role& value) {
  value = role(record, name);
}
void read(py::handle record, const char* name, Emoji& value) {
  const auto emoji = parse_emoji(text(record, name));
  if (!emoji) throw py::value_error(std::string(name) + " is not one of the reactions");
  value = *emoji;
}
void read(py::handle record, const char* name, Sha256Digest& value) {
  value = to_digest(field(record, name));
}
void read(py::handle record, const char* name, std::vector<Sha256Digest>& value) {
  value = to_vector(field(record, name), name, to_digest);
}
void read(py::handle record, const char* name, std::vector<std::uint64_t>& value) {
  value = to_vector(field(record, name), name, [name](py::handle item) { return to_count(item, name); });
}

template <class T>
T to_record(py::handle value);

template <class T>
std::optional<T> to_optional(py::handle value) {
  if (value.is_none()) return std::nullopt;
  return to_record<T>(value);
}

template <detail::Described T>
void read(py::handle record, const char* name, T& value) {
  value = to_record<T>(field(record, name));
}
template <detail::Described T>
void read(py::handle record, const char* name, std::optional<T>& value) {
  value = to_optional<T>(field(record, name));
}
template <detail::Described T>
void read(py::handle record, const char* name, std::vector<T>& value) {
  value = to_vector(field(record, name), name, to_record<T>);
}

template <class T>
T to_record(py::handle value) {
  record_of<T>->require(value);
  T made;
  detail::for_each_of<Fields<T>>([&]<class Member>(Member) { read(value, field_name<Member>, made.*Member::pointer); });
  return made;
}

}  // namespace

void load_records() {
  PyDateTime_IMPORT;
  if (PyDateTimeAPI == nullptr) throw py::error_already_set();
  auto loaded = std::make_unique<Records>();
  Records& r = *loaded;
  const auto types = py::module_::import("travelchat.types");
  load<Participant>(types, "Participant", "a participant");
  load<Reaction>(types, "Reaction", "a reaction");
  load<Message>(types, "Message", "a message");
  load<Conversation>(types, "Conversation", "a conversation");
  load<ConversationSummary>(types, "ConversationSummary", "a row of the list");
  load<Member>(types, "Member", "a member");
  load<TokenClaims>(types, "TokenClaims", "the claims");
  load<Sent>(types, "Sent");
  load<Marked>(types, "Marked");
  load<MessagePage>(types, "MessagePage", "a page");
  load<IssuedToken>(types, "IssuedToken");
  load<EngineStats>(types, "EngineStats");
  load<TypingChanged>(types, "TypingChanged");
  load<MessageCreated>(types, "MessageCreated");
  load<MessageChanged>(types, "MessageChanged");
  load<ReactionsChanged>(types, "ReactionsChanged");
  load<MessagesSeen>(types, "MessagesSeen");
  load<MessagesRead>(types, "MessagesRead");
  load<CaughtUp>(types, "CaughtUp");
  load<Resync>(types, "Resync");
  load<ConversationUpdated>(types, "ConversationUpdated");
  load<ConversationRow>(types, "ConversationRow", "a conversation's row");
  load<MemberRow>(types, "MemberRow", "a member's row");
  load<TokenRow>(types, "TokenRow", "a token's row");
  r.opening_question = Record(types, "OpeningQuestion", {"org_id", "client_id"}, "");
  r.repeat_question =
      Record(types, "RepeatQuestion", {"conversation_id", "client_message_id", "sender_type", "sender_id"}, "");
  r.token_question = Record(types, "TokenQuestion", {"conversation_id", "trip_id"}, "");
  r.member_question = Record(types, "MemberQuestion", {"conversation_id", "type", "id"}, "");
  r.questions =
      Record(types, "Questions",
             {"conversations", "openings", "repeatable", "messages", "newest_of", "viewers", "clients", "tokens"}, "");
  load<Facts>(types, "Facts", "the facts");
  load<Effects::NewMessage>(types, "NewMessage");
  load<Effects::Mark>(types, "MarkRow");
  load<Effects::Touched>(types, "TouchedMessage");
  load<Effects::Rewritten>(types, "RewrittenMessage");
  load<Effects::NewReaction>(types, "NewReaction");
  load<Effects::RemovedReaction>(types, "RemovedReaction");
  load<Effects::ChangedMessage>(types, "ChangedMessage");
  load<Effects>(types, "Effects");
  load<DeleteToken>(types, "DeleteToken");
  load<SweepTokens>(types, "SweepTokens");
  load<RevokeTokens>(types, "RevokeTokens");
  load<RemovedTokens>(types, "RemovedTokens", "what was removed");
  load<ConversationQuery>(types, "ConversationQuery");
  load<MessageQuery>(types, "MessageQuery");
  load<Change::Mark>(types, "Mark", "a mark");
  load<Change>(types, "Change", "a change");
  load<ChangeList>(types, "ChangeList", "the changes");
  load<RevisionQuery>(types, "RevisionQuery");
  load<Revisions>(types, "Revisions", "the revisions");
  load<PruneChanges>(types, "PruneChanges");
  load<Pruned>(types, "Pruned", "what was pruned");
  load<PushNotification>(types, "PushNotification");
  load<Advisor>(types, "Advisor", "whoever has signed in");
  load<SharedTrip>(types, "SharedTrip", "a trip");
  load<ClientCard>(types, "ClientCard", "a client");
  load<ActiveTrip>(types, "ActiveTrip", "active_trip");
  for (const Role role : {Role::advisor, Role::client}) {
    r.roles.at(static_cast<std::size_t>(role)) = types.attr("Role")(to_python(travelchat::to_string(role)));
  }
  for (std::size_t i = 0; i < r.emoji.size(); ++i) {
    r.emoji.at(i) = types.attr("Emoji")(to_python(travelchat::to_string(static_cast<Emoji>(i))));
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

py::object to_python(const PruneChanges& step) {
  const std::optional<Uuid> after = step.after == Uuid() ? std::nullopt : std::optional(step.after);
  return record_of<PruneChanges>->make(to_python(after), to_python(step.keep_revisions), to_python(step.older_than),
                                       to_python(std::uint64_t{step.max_conversations}),
                                       to_python(std::uint64_t{step.max_changes}));
}

py::object to_python(const Event& event) {
  return std::visit([](const auto& e) { return to_python(e); }, event);
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
  const auto member = [](const Questions::MemberKey& key) {
    return records->member_question.make(to_python(key.conversation_id), to_python(key.who->role),
                                         to_python(key.who->id));
  };
  const auto token = [](const PutToken* put) {
    return records->token_question.make(to_python(put->claims.conversation_id), to_python(put->claims.trip_id));
  };
  return records->questions.make(to_python(q.conversations), to_tuple_of(q.openings, opening),
                                 to_tuple_of(q.repeatable, repeat), to_python(q.messages), to_python(q.newest_of),
                                 to_tuple_of(q.viewers, member), to_tuple_of(q.clients, member),
                                 to_tuple_of(q.tokens, token));
}

py::object to_python(const TokenRemoval& removal) {
  return std::visit([](const auto& write) { return to_python(write); }, removal);
}

// Instantiations for the other sources.
template py::object to_python(const std::vector<ConversationSummary>& value);
template py::object to_python(const std::vector<Reaction>& value);
template py::object to_python(const Conversation& value);
template py::object to_python(const MessagePage& value);
template py::object to_python(const Sent& value);
template py::object to_python(const Marked& value);
template py::object to_python(const IssuedToken& value);
template py::object to_python(const TokenClaims& value);
template py::object to_python(const EngineStats& value);
template py::object to_python(const Effects& value);
template py::object to_python(const ConversationQuery& value);
template py::object to_python(const MessageQuery& value);
template py::object to_python(const RevisionQuery& value);
template py::object to_python(const PushNotification& value);

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

// Python refuses to write an int with more than 4,300 digits.
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
  return to_record<Participant>(value);
}

std::optional<Conversation> to_optional_conversation(py::handle value) {
  return to_optional<Conversation>(value);
}

std::vector<ConversationSummary> to_summaries(py::handle value) {
  return to_vector(value, "conversations", to_record<ConversationSummary>);
}

std::vector<Member> to_members(py::handle value) {
  return to_vector(value, "members", to_record<Member>);
}

std::optional<Uuid> to_optional_epoch(py::handle value) {
  if (value.is_none()) return std::nullopt;
  const auto epoch = parse_uuid(to_text(value, "epoch"));
  if (!epoch) throw Failure{errc::invalid_argument, "epoch must be a UUID in lower case"};
  return epoch;
}

MessagePage to_message_page(py::handle value) {
  return to_record<MessagePage>(value);
}

ChangeList to_change_list(py::handle value) {
  return to_record<ChangeList>(value);
}

Revisions to_revisions(py::handle value) {
  return to_record<Revisions>(value);
}

Pruned to_pruned(py::handle value) {
  return to_record<Pruned>(value);
}

std::optional<TokenClaims> to_optional_claims(py::handle value) {
  return to_optional<TokenClaims>(value);
}

Facts to_facts(py::handle value) {
  return to_record<Facts>(value);
}

RemovedTokens to_removed_tokens(py::handle value) {
  return to_record<RemovedTokens>(value);
}

std::optional<Advisor> to_optional_advisor(py::handle value) {
  if (value.is_none()) return std::nullopt;
  record_of<Advisor>->require(value);
  return Advisor{host_id(value, "org_id"),
                 host_id(value, "id"),
                 text(value, "name"),
                 optional_text(value, "avatar_url"),
                 optional_time(value, "expires_at"),
                 flag(value, "by_cookie"),
                 optional_text(value, "session_id").value_or(std::string())};
}

std::optional<SharedTrip> to_optional_trip(py::handle value) {
  return to_optional<SharedTrip>(value);
}

std::vector<ClientCard> to_client_cards(py::handle value) {
  return to_vector(value, "clients", to_record<ClientCard>);
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
  // The sentence of the error table is for people: that the server is restarting.
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
