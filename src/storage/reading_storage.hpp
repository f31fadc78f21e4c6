// The reads of storage.hpp as calls of a `Reader`, for a database that keeps several reading connections.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/storage.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace travelchat::storage {

// `Interface`: SqliteStorage or PostgresStorage. `Derived` has `reading(function)`, which calls the function with a
// reader of its own for that long and gives what it returns, or the error; and `looking_up(function)`, which does the
// same with a reader that `reading` never uses, so that it does not wait for long reads.
template <class Interface, class Derived>
class ReadingStorage : public Interface {
 public:
  result<std::optional<Conversation>> find_conversation(const Uuid& id) final {
    return self().reading([&](auto& reader) { return reader.find_conversation(id); });
  }
  result<std::vector<ConversationSummary>> list_conversations(const ConversationQuery& query) final {
    return self().reading([&](auto& reader) { return reader.list_conversations(query); });
  }
  result<MessagePage> list_messages(const MessageQuery& query) final {
    auto page = self().reading([&](auto& reader) { return reader.list_messages(query); });
    if (!page) return page.error();
    if (!*page) return errc::too_many_changes;
    return std::move(**page);
  }
  result<ChangeList> list_changes(const Uuid& conversation_id, std::uint64_t since_rev, std::size_t limit) final {
    auto list = self().reading([&](auto& reader) { return reader.list_changes(conversation_id, since_rev, limit); });
    if (!list) return list.error();
    if (!*list) return errc::not_found;
    return std::move(**list);
  }
  result<std::vector<Member>> list_members(const Uuid& conversation_id) final {
    return self().reading([&](auto& reader) { return reader.list_members(conversation_id); });
  }
  result<Revisions> list_revisions(const RevisionQuery& query) final {
    return self().reading([&](auto& reader) { return reader.list_revisions(query); });
  }
  result<std::uint64_t> count_unread(const std::string& org_id) final {
    return self().reading([&](auto& reader) { return reader.count_unread(org_id); });
  }
  result<std::optional<TokenClaims>> find_token(const Sha256Digest& digest, TimePoint now) final {
    return self().looking_up([&](auto& reader) { return reader.find_token(digest, now); });
  }
  result<std::vector<Sha256Digest>> list_live_tokens(std::span<const Sha256Digest> digests, TimePoint now) final {
    return self().reading([&](auto& reader) { return reader.list_live_tokens(digests, now); });
  }

 private:
  Derived& self() noexcept { return static_cast<Derived&>(*this); }
};

}  // namespace travelchat::storage
