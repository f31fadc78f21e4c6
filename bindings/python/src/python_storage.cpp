#include "python_storage.hpp"

#include "records.hpp"

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

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

error_code PythonStorage::transact(const Questions& questions, const Decide& decide) {
  const result<bool> done = call_python<bool>(storage_, [&] {
    // Python may keep the function for longer than `transact` runs.
    const auto deciding = std::make_shared<const Decide*>(&decide);
    struct End {
      const std::shared_ptr<const Decide*>& deciding;
      ~End() { *deciding = nullptr; }
    } const end{deciding};
    const py::cpp_function function([deciding](const py::object& given) {
      // Reading them may run Python code, and so other threads; deciding does not.
      Facts facts = to_facts(given);
      if (*deciding == nullptr) throw std::runtime_error("transact has returned");
      return to_python((**deciding)(std::move(facts)));
    });
    storage_.attr("transact")(to_python(questions), function);
    return true;
  });
  return done ? error_code() : done.error();
}

result<RemovedTokens> PythonStorage::remove_tokens(const TokenRemoval& removal) {
  return call_python<RemovedTokens>(
      storage_, [&] { return to_removed_tokens(storage_.attr("remove_tokens")(to_python(removal))); });
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

result<std::vector<Member>> PythonStorage::list_members(const Uuid& conversation_id) {
  return call_python<std::vector<Member>>(
      storage_, [&] { return to_members(storage_.attr("list_members")(to_python(conversation_id))); });
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

result<std::vector<Sha256Digest>> PythonStorage::list_live_tokens(std::span<const Sha256Digest> digests,
                                                                  TimePoint now) {
  return call_python<std::vector<Sha256Digest>>(storage_, [&] {
    py::list keys;
    for (const Sha256Digest& digest : digests) {
      keys.append(py::bytes(reinterpret_cast<const char*>(digest.data()), digest.size()));
    }
    return to_digests(storage_.attr("list_live_tokens")(keys, to_python(now)));
  });
}

error_code PythonStorage::ping() {
  const result<bool> done = call_python<bool>(storage_, [&] {
    storage_.attr("ping")();
    return true;
  });
  return done ? error_code() : done.error();
}

result<Pruned> PythonStorageWithUpkeep::prune_changes(const PruneChanges& step) {
  return call_python<Pruned>(storage_, [&] { return to_pruned(storage_.attr("prune_changes")(to_python(step))); });
}

error_code PythonStorageWithUpkeep::begin_epoch(const Uuid& epoch) {
  const result<bool> done = call_python<bool>(storage_, [&] {
    storage_.attr("begin_epoch")(to_python(epoch));
    return true;
  });
  return done ? error_code() : done.error();
}

std::unique_ptr<PythonStorage> make_python_storage(py::object storage) {
  const py::object upkeep = py::module_::import("travelchat.storage").attr("StorageUpkeep");
  if (py::isinstance(storage, upkeep)) return std::make_unique<PythonStorageWithUpkeep>(std::move(storage));
  return std::make_unique<PythonStorage>(std::move(storage));
}

}  // namespace travelchat::python
