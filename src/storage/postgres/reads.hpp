// The reads of storage.hpp on one reading connection.
#pragma once

#include "storage/postgres/connection.hpp"

#include <travelchat/storage.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace travelchat::postgres {

// One thread at a time. Every read is one snapshot and one round trip. Throws Failure.
class Reader {
 public:
  Reader(const Target& target, Clock::time_point deadline) : connection_(target, Use::engine, deadline) {}

  std::optional<Conversation> find_conversation(const Uuid& id);
  std::vector<ConversationSummary> list_conversations(const ConversationQuery& query);
  // nullopt: more messages than a page may have (`max_changed_messages`).
  std::optional<MessagePage> list_messages(const MessageQuery& query);
  std::vector<Member> list_members(const Uuid& conversation_id);
  // nullopt: no such conversation.
  std::optional<ChangeList> list_changes(const Uuid& conversation_id, std::uint64_t since_rev, std::size_t limit);
  Revisions list_revisions(const RevisionQuery& query);
  std::uint64_t count_unread(const std::string& org_id);
  std::optional<TokenClaims> find_token(const Sha256Digest& digest, TimePoint now);
  std::vector<Sha256Digest> list_live_tokens(std::span<const Sha256Digest> digests, TimePoint now);
  void ping();

  // StorageUpkeep, on the same connection: what deletes changes must not wait behind commits, nor they behind it.
  Pruned prune_changes(const PruneChanges& step);
  void begin_epoch(const Uuid& epoch);

  Connection& connection() noexcept { return connection_; }

 private:
  Result read(const Query& query, const Parameters& parameters);
  void begin_snapshot();
  // The answers to what was sent since `begin_snapshot`.
  std::vector<Result> end_snapshot();

  Connection connection_;
};

}  // namespace travelchat::postgres
