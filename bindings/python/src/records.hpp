// The engine's values as the frozen dataclasses of travelchat/types.py, both ways.
//
// All of it needs the GIL.
#pragma once

#include "gil.hpp"

#include <travelchat/describe.hpp>
#include <travelchat/engine.hpp>
#include <travelchat/event.hpp>
#include <travelchat/host.hpp>
#include <travelchat/transactional_storage.hpp>

#include <pybind11/pybind11.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::python {

// Looks up the dataclasses. Once, when the module is loaded.
void load_records();

// ---- To Python ----

py::object to_python(bool value);
py::object to_python(std::uint64_t value);
py::object to_python(const std::string& text);
py::object to_python(const Uuid& id);
py::object to_python(TimePoint at);
py::object to_python(const PruneChanges& step);
py::object to_python(const Event& event);
py::object to_python(const Questions& questions);
py::object to_python(const TokenRemoval& removal);
// A described struct, and several as a tuple. records.cpp makes them for the types that are asked for.
template <detail::Described T>
py::object to_python(const T& record);
template <class T>
py::object to_python(const std::vector<T>& records);

// ---- From Python. TypeError and ValueError name the field that is wrong. ----

// For text that the engine checks itself: half of a surrogate pair becomes bytes that are not UTF-8, which it refuses.
std::string to_text(py::handle value, const char* name);
// For other text: half of a surrogate pair is a ValueError.
std::string to_well_formed(py::handle value, const char* name);
std::optional<std::string> to_optional_text(py::handle value, const char* name);
std::uint64_t to_count(py::handle value, const char* name);
std::optional<std::uint64_t> to_optional_count(py::handle value, const char* name);
// nullopt: a string that is no id. Nothing has it, so whoever asks for it gets `errc::not_found`.
std::optional<Uuid> to_id(py::handle value, const char* name);
Participant to_participant(py::handle value);

std::optional<Conversation> to_optional_conversation(py::handle value);
std::vector<ConversationSummary> to_summaries(py::handle value);
std::vector<Member> to_members(py::handle value);
MessagePage to_message_page(py::handle value);
Pruned to_pruned(py::handle value);
// `errc::invalid_argument` for what is no UUID.
std::optional<Uuid> to_optional_epoch(py::handle value);
ChangeList to_change_list(py::handle value);
Revisions to_revisions(py::handle value);
std::optional<TokenClaims> to_optional_claims(py::handle value);
Facts to_facts(py::handle value);
RemovedTokens to_removed_tokens(py::handle value);

std::optional<Advisor> to_optional_advisor(py::handle value);
std::optional<SharedTrip> to_optional_trip(py::handle value);
std::vector<ClientCard> to_client_cards(py::handle value);
std::vector<Sha256Digest> to_digests(py::handle value);
std::vector<std::string> to_texts(py::handle value, const char* name);

// ---- Errors ----

// Thrown by what is called from Python; becomes the exception of its kind.
struct Failure {
  errc code;
  std::string message{};  // in place of the kind's own; UTF-8 as far as it goes
};

// A new exception of that kind. `message`: in place of the kind's own, unless it is empty.
py::object make_error(errc code, std::string_view message = {});
// The error of a TravelchatError; nullopt for any other object.
std::optional<errc> to_errc(py::handle exception);
// Turns a Python exception into the error for the engine. One that is no TravelchatError is a defect of the code that
// raised it: it goes to sys.unraisablehook, with `where` as its place, and counts as `otherwise`.
errc report(py::error_already_set& thrown, py::handle where, errc otherwise);

}  // namespace travelchat::python
