// A storage that is written in JavaScript.
//
// Its calls come on the engine's threads; each is put to JavaScript's thread as a name and JSON text, and waits for the
// answer, which may come at once or from a promise. An environment that ends answers what waits with
// `errc::storage_failed`.
#pragma once

#include "loop.hpp"

#include <travelchat/storage.hpp>

#include <napi.h>

#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace travelchat::node {

class JsStorage final : public Storage {
 public:
  // `call(method, json, answer)`; `answer(errorName | null, value)`. JavaScript's thread.
  JsStorage(std::shared_ptr<Loop> loop, Napi::Function call);
  ~JsStorage() override;

  error_code commit(std::span<const Write> writes, std::vector<result<Written>>& results) override;
  result<std::optional<Conversation>> find_conversation(const Uuid& id) override;
  result<std::vector<ConversationSummary>> list_conversations(const ConversationQuery& query) override;
  result<MessagePage> list_messages(const MessageQuery& query) override;
  result<ChangeList> list_changes(const Uuid& conversation_id, std::uint64_t since_rev, std::size_t limit) override;
  result<Revisions> list_revisions(const RevisionQuery& query) override;
  result<std::uint64_t> count_unread(const std::string& org_id) override;
  result<std::optional<TokenClaims>> find_token(const Sha256Digest& digest, TimePoint now) override;
  error_code ping() override;

 private:
  template <class T, class Read>
  result<T> ask(const char* method, std::string json, Read read);

  std::shared_ptr<Loop> loop_;
  std::uint64_t call_;
};

}  // namespace travelchat::node
