#include "python_storage.hpp"

#include "records.hpp"

#include <exception>
#include <string>
#include <utility>
#include <variant>

namespace travelchat::python {

namespace {

// Runs `call` under the GIL; what Python raises becomes the error.
template <class T, class Call>
result<T> call_python(const py::object& storage, Call call) {
  const GilGuard gil;
  try {
    return result<T>(boost::system::in_place_value, call());
  } catch (py::error_already_set& thrown) {
    return result<T>(boost::system::in_place_error, report(thrown, storage, errc::storage_failed));
  } catch (const py::builtin_exception& thrown) {
    // A value of the wrong type or range, found by records.cpp.
    thrown.set_error();
    py::error_already_set raised;
    return result<T>(boost::system::in_place_error, report(raised, storage, errc::storage_failed));
  }
}

// What the engine relies on being there.
void require_complete(const Write& write, const Written& written, const py::object& given) {
  const bool is_of_a_token = std::holds_alternative<PutToken>(write) || std::holds_alternative<DeleteToken>(write) ||
                             std::holds_alternative<SweepTokens>(write);
  if (!is_of_a_token && given.attr("conversation").is_none()) {
    throw py::value_error("what was written lacks its conversation");
  }
  if (std::holds_alternative<AppendMessage>(write) && !written.message) {
    throw py::value_error("what AppendMessage wrote lacks its message");
  }
}

}  // namespace

PythonStorage::~PythonStorage() {
  try {
    const GilGuard gil;
    storage_ = py::object();
  } catch (const std::exception&) {
    // The interpreter is ending, and its objects with it.
    storage_.release();
  }
}

error_code PythonStorage::commit(std::span<const Write> writes, std::vector<result<Written>>& results) {
  results.clear();
  const result<bool> done = call_python<bool>(storage_, [&] {
    py::list commands(writes.size());
    std::size_t at = 0;
    for (const Write& write : writes) commands[at++] = to_python(write);
    const py::object entries = storage_.attr("commit")(commands);
    if (!py::isinstance<py::sequence>(entries) || py::len(entries) != writes.size()) {
      throw py::value_error("commit must return a list with one entry for each write");
    }
    at = 0;
    for (const py::handle entry : entries) {
      if (const auto failed = to_errc(entry)) {
        results.emplace_back(*failed);
      } else {
        Written written = to_written(entry);
        require_complete(writes[at], written, py::reinterpret_borrow<py::object>(entry));
        results.emplace_back(std::move(written));
      }
      ++at;
    }
    return true;
  });
  return done ? error_code() : done.error();
}

result<std::optional<Conversation>> PythonStorage::find_conversation(const Uuid& id) {
  return call_python<std::optional<Conversation>>(
      storage_, [&] { return to_optional_conversation(storage_.attr("find_conversation")(to_python(id))); });
}

result<std::vector<ConversationSummary>> PythonStorage::list_conversations(const ConversationQuery& query) {
  return call_python<std::vector<ConversationSummary>>(
      storage_, [&] { return to_summaries(storage_.attr("list_conversations")(to_python(query))); });
}

result<MessagePage> PythonStorage::list_messages(const MessageQuery& query) {
  return call_python<MessagePage>(storage_,
                                  [&] { return to_message_page(storage_.attr("list_messages")(to_python(query))); });
}

result<ChangeList> PythonStorage::list_changes(const Uuid& conversation_id, std::uint64_t since_rev,
                                               std::size_t limit) {
  return call_python<ChangeList>(storage_, [&] {
    return to_change_list(storage_.attr("list_changes")(to_python(conversation_id), since_rev, limit));
  });
}

result<Revisions> PythonStorage::list_revisions(const RevisionQuery& query) {
  return call_python<Revisions>(storage_,
                                [&] { return to_revisions(storage_.attr("list_revisions")(to_python(query))); });
}

result<std::uint64_t> PythonStorage::count_unread(const std::string& org_id) {
  return call_python<std::uint64_t>(storage_, [&] {
    return to_count(storage_.attr("count_unread")(to_python(org_id)), "the count of unread messages");
  });
}

result<std::optional<TokenClaims>> PythonStorage::find_token(const Sha256Digest& digest, TimePoint now) {
  return call_python<std::optional<TokenClaims>>(storage_, [&] {
    const py::bytes key(reinterpret_cast<const char*>(digest.data()), digest.size());
    return to_optional_claims(storage_.attr("find_token")(key, to_python(now)));
  });
}

error_code PythonStorage::ping() {
  const result<bool> done = call_python<bool>(storage_, [&] {
    storage_.attr("ping")();
    return true;
  });
  return done ? error_code() : done.error();
}

}  // namespace travelchat::python
