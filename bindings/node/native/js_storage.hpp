// A storage that is written in JavaScript.
//
// It is called on the engine's threads. Each call is passed to JavaScript's thread as a name and JSON text, and waits
// for the answer, which may come at once or from a promise. `decide` runs on JavaScript's thread, too, while the
// engine's thread waits. When the environment ends, waiting calls get `errc::storage_failed`.
#pragma once

#include "loop.hpp"

#include <travelchat/transactional_storage.hpp>

#include <napi.h>

#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace travelchat::node {

class JsStorage : public TransactionalStorage {
 public:
  // `call(method, json, answer, decide)`; `answer(errorName | null, value)`; `decide(facts)`, of `transact` only, gives
  // the effects as JSON text. JavaScript's thread.
  JsStorage(std::shared_ptr<Loop> loop, Napi::Function call);
  ~JsStorage() override;

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

  // `decide`: lives until this returns; nullptr: there is nothing to decide.
  template <class T, class Read>
  result<T> ask(const char* method, std::string json, Read read, const Decide* decide = nullptr);

 private:
  std::shared_ptr<Loop> loop_;
  std::uint64_t call_;
};

// One that has the two methods of StorageUpkeep.
class JsStorageWithUpkeep final : public JsStorage, public StorageUpkeep {
 public:
  using JsStorage::JsStorage;

  result<Pruned> prune_changes(const PruneChanges& step) override;
  error_code begin_epoch(const Uuid& epoch) override;
};

}  // namespace travelchat::node
