// The reads of storage.hpp on one reading connection.
#pragma once

#include "storage/sqlite/rows.hpp"
#include "storage/sqlite/statement.hpp"

#include <travelchat/storage.hpp>
#include <travelchat/text_search.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace travelchat::sqlite {

// One thread at a time. Every read is one snapshot. Throws Failure.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path);

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

  Database& database() noexcept { return database_; }
  Statement& begin() noexcept { return begin_; }

 private:
  MessagePage list_newest(const KeyedConversation& conversation, const MessageQuery& query);
  std::optional<MessagePage> list_changed(const KeyedConversation& conversation, std::uint64_t since_rev,
                                          std::size_t limit);
  // Of the running snapshot.
  std::optional<Uuid> find_epoch();
  std::uint64_t find_pruned_rev(const KeyedConversation& conversation);
  std::uint64_t first_created_after(const KeyedConversation& conversation, std::uint64_t rev);

  Database database_;
  std::optional<TextSearch> search_;  // what `travelchat_finds` looks for
  Statement begin_;
  Rows rows_;
  Statement list_conversations_;
  Statement any_content_found_;
  Statement list_messages_;
  Statement list_messages_from_;
  Statement created_rev_;
  Statement list_changed_;
  Statement list_changed_by_rev_;
  Statement list_changes_;
  Statement find_changed_;
  Statement list_members_;
  Statement find_epoch_;
  Statement find_pruned_rev_;
  Statement find_rev_;
  Statement sum_revs_;
  Statement count_unread_;
  Statement find_token_;
  Statement is_live_token_;
  Statement ping_;
};

}  // namespace travelchat::sqlite
