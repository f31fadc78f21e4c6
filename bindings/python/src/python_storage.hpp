// A storage written in Python: travelchat.Storage as the engine sees it.
#pragma once

#include "gil.hpp"

#include <travelchat/transactional_storage.hpp>

#include <pybind11/pybind11.h>

#include <memory>

namespace travelchat::python {

// Calls the object's methods on the engine's committer and reader threads, each under the GIL: so the object runs one
// call at a time until it gives the GIL away itself. A TravelchatError that a method raises is the call's error;
// anything else is a defect of the storage, goes to sys.unraisablehook and counts as `errc::storage_failed`.
class PythonStorage : public TransactionalStorage {
 public:
  // Needs the GIL.
  explicit PythonStorage(py::object storage) : storage_(std::move(storage)) {}
  PythonStorage(const PythonStorage&) = delete;
  PythonStorage& operator=(const PythonStorage&) = delete;
  ~PythonStorage() override;

  result<std::optional<Conversation>> find_conversation(const Uuid& id) override;
  result<std::vector<ConversationSummary>> list_conversations(const ConversationQuery& query) override;
  result<MessagePage> list_messages(const MessageQuery& query) override;
  result<ChangeList> list_changes(const Uuid& conversation_id, std::uint64_t since_rev, std::size_t limit) override;
  result<std::vector<Member>> list_members(const Uuid& conversation_id) override;
  result<Revisions> list_revisions(const RevisionQuery& query) override;
  result<std::uint64_t> count_unread(const std::string& org_id) override;
  result<std::optional<TokenClaims>> find_token(const Sha256Digest& digest, TimePoint now) override;
  result<std::vector<Sha256Digest>> list_live_tokens(std::span<const Sha256Digest> digests, TimePoint now) override;
  error_code ping() override;
  bool has_other_writers() const noexcept override { return true; }

 protected:
  error_code transact(const Questions& questions, const Decide& decide) override;
  result<RemovedTokens> remove_tokens(const TokenRemoval& removal) override;

  py::object storage_;
};

// One that is a travelchat.StorageUpkeep as well.
class PythonStorageWithUpkeep final : public PythonStorage, public StorageUpkeep {
 public:
  using PythonStorage::PythonStorage;

  result<Pruned> prune_changes(const PruneChanges& step) override;
  error_code begin_epoch(const Uuid& epoch) override;
};

// Whichever of the two the object is. Needs the GIL.
std::unique_ptr<PythonStorage> make_python_storage(py::object storage);

}  // namespace travelchat::python
