#include <travelchat/memory_storage.hpp>

#include "storage/rules.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace travelchat {

namespace {

using storage::is_repeat_of;
using storage::make_message;
using storage::reaches;

struct StoredMessage {
  Message message;  // with its reactions, in order
  std::uint64_t created_rev = 0;
};

// What raised a revision without being a message.
struct StoredChange {
  Change::Kind kind = Change::Kind::reaction;
  std::uint64_t rev = 0;
  std::uint64_t seq = 0;  // reaction: of the message
  TimePoint at;
};

struct StoredToken {
  Sha256Digest digest{};
  std::string trip_id;
  TimePoint expires_at;
};

struct StoredConversation {
  Conversation row;
  std::vector<StoredMessage> messages;  // messages[n] has seq n + 1
  std::vector<StoredChange> changes;    // by rev
  std::vector<StoredToken> tokens;      // oldest first
  // (client message id, sender) to seq.
  std::map<std::tuple<std::string, Role, std::string>, std::uint64_t> repeats;

  Message& message(std::uint64_t seq) { return messages[seq - 1].message; }

  std::optional<Message> last_message() const {
    if (messages.empty()) return std::nullopt;
    Message last = messages.back().message;
    last.reactions.clear();
    return last;
  }
};

bool contains_ignoring_ascii_case(std::string_view text, std::string_view part) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  const auto equal = [lower](char a, char b) { return lower(a) == lower(b); };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), equal) != text.end() || part.empty();
}

TimePoint last_activity(const Conversation& row) {
  return row.last_message_at.value_or(row.created_at);
}

// A commit holds the lock from its first write to its last, so nobody reads half of it. No write fails after it has
// changed something; running out of memory is not survived.
class MemoryStorage final : public Storage {
 public:
  error_code commit(std::span<const Write> writes, std::vector<result<Written>>& results) override {
    results.clear();
    results.reserve(writes.size());
    const std::unique_lock lock(mutex_);
    for (const Write& write : writes) {
      results.push_back(std::visit([this](const auto& w) { return run(w); }, write));
    }
    return {};
  }

  result<std::optional<Conversation>> find_conversation(const Uuid& id) override {
    const std::shared_lock lock(mutex_);
    const StoredConversation* conversation = find(id);
    if (conversation == nullptr) return std::optional<Conversation>();
    return std::optional(conversation->row);
  }

  result<std::vector<ConversationSummary>> list_conversations(const ConversationQuery& query) override {
    const std::unordered_set<std::string_view> clients(query.client_ids.begin(), query.client_ids.end());
    const auto matches = [&](const StoredConversation& conversation) {
      if (!query.text || clients.contains(conversation.row.client_id)) return true;
      return std::any_of(conversation.messages.begin(), conversation.messages.end(), [&](const StoredMessage& m) {
        return contains_ignoring_ascii_case(m.message.content, *query.text);
      });
    };
    std::vector<ConversationSummary> list;
    const std::shared_lock lock(mutex_);
    for_each_of(query.org_id, [&](const StoredConversation& conversation) {
      if (matches(conversation)) list.push_back({conversation.row, conversation.last_message()});
    });
    std::sort(list.begin(), list.end(), [](const ConversationSummary& a, const ConversationSummary& b) {
      return std::pair(last_activity(a.conversation), a.conversation.id) >
             std::pair(last_activity(b.conversation), b.conversation.id);
    });
    return list;
  }

  result<MessagePage> list_messages(const MessageQuery& query) override {
    const std::shared_lock lock(mutex_);
    const StoredConversation* conversation = find(query.conversation_id);
    if (conversation == nullptr) return MessagePage{};
    return query.since_rev ? changed_since(*conversation, *query.since_rev, query.limit) : newest(*conversation, query);
  }

  result<ChangeList> list_changes(const Uuid& conversation_id, std::uint64_t since_rev, std::size_t limit) override {
    const std::shared_lock lock(mutex_);
    const StoredConversation* conversation = find(conversation_id);
    if (conversation == nullptr) return errc::not_found;
    ChangeList list;
    list.current_rev = conversation->row.rev;
    if (since_rev > list.current_rev || list.current_rev - since_rev > limit) {
      list.too_many = true;
      return list;
    }
    for (const StoredMessage& stored : conversation->messages) {
      if (stored.created_rev <= since_rev) continue;
      Change& change = list.changes.emplace_back();
      change.kind = Change::Kind::message;
      change.rev = stored.created_rev;
      change.message = stored.message;
    }
    for (const StoredChange& stored : conversation->changes) {
      if (stored.rev <= since_rev) continue;
      Change& change = list.changes.emplace_back();
      change.kind = stored.kind;
      change.rev = stored.rev;
      if (stored.kind == Change::Kind::reaction) {
        const Message& message = conversation->messages[stored.seq - 1].message;
        change.message_id = message.id;
        change.reactions = message.reactions;
      } else {
        change.at = stored.at;
      }
    }
    std::sort(list.changes.begin(), list.changes.end(), [](const Change& a, const Change& b) { return a.rev < b.rev; });
    return list;
  }

  result<Revisions> list_revisions(const RevisionQuery& query) override {
    const std::shared_lock lock(mutex_);
    Revisions revisions;
    for (const Uuid& id : query.conversation_ids) {
      const auto found = conversations_.find(id);
      revisions.conversations.push_back(found == conversations_.end() ? 0 : found->second.row.rev);
    }
    for (const std::string& org_id : query.org_ids) {
      std::uint64_t& sum = revisions.organizations.emplace_back(0);
      for_each_of(org_id, [&](const StoredConversation& conversation) { sum += conversation.row.rev + 1; });
    }
    return revisions;
  }

  result<std::uint64_t> count_unread(const std::string& org_id) override {
    const std::shared_lock lock(mutex_);
    std::uint64_t count = 0;
    for_each_of(org_id, [&](const StoredConversation& conversation) { count += conversation.row.unread_count; });
    return count;
  }

  result<std::optional<TokenClaims>> find_token(const Sha256Digest& digest, TimePoint now) override {
    const std::shared_lock lock(mutex_);
    const auto owner = token_owners_.find(digest);
    if (owner == token_owners_.end()) return std::optional<TokenClaims>();
    const StoredConversation& conversation = *owner->second;
    const auto token = std::find_if(conversation.tokens.begin(), conversation.tokens.end(),
                                    [&](const StoredToken& t) { return t.digest == digest; });
    if (token->expires_at <= now) return std::optional<TokenClaims>();
    return std::optional(TokenClaims{conversation.row.org_id, conversation.row.client_id, token->trip_id,
                                     conversation.row.id, token->expires_at});
  }

  error_code ping() override { return {}; }

 private:
  const StoredConversation* find(const Uuid& id) const {
    const auto found = conversations_.find(id);
    return found == conversations_.end() ? nullptr : &found->second;
  }
  StoredConversation* find(const Uuid& id) { return const_cast<StoredConversation*>(std::as_const(*this).find(id)); }
  StoredConversation* find_for(const Uuid& id, const Participant& who) {
    StoredConversation* conversation = find(id);
    return conversation != nullptr && reaches(who, conversation->row) ? conversation : nullptr;
  }

  template <class Visit>
  void for_each_of(const std::string& org_id, Visit visit) const {
    for (auto entry = by_client_.lower_bound({org_id, std::string()});
         entry != by_client_.end() && entry->first.first == org_id; ++entry) {
      visit(*entry->second);
    }
  }

  static MessagePage newest(const StoredConversation& conversation, const MessageQuery& query) {
    const std::size_t size = conversation.messages.size();
    const std::size_t end = query.before_seq && *query.before_seq <= size
                                ? static_cast<std::size_t>(std::max<std::uint64_t>(*query.before_seq, 1) - 1)
                                : size;
    const std::size_t begin = end - std::min(end, query.limit);
    MessagePage page;
    for (std::size_t i = begin; i < end; ++i) page.messages.push_back(conversation.messages[i].message);
    page.has_more = begin > 0 && !page.messages.empty();
    return page;
  }

  static MessagePage changed_since(const StoredConversation& conversation, std::uint64_t since_rev, std::size_t limit) {
    MessagePage page;
    for (const StoredMessage& stored : conversation.messages) {
      if (stored.message.rev > since_rev) page.messages.push_back(stored.message);
    }
    if (page.messages.size() <= limit) return page;
    std::sort(page.messages.begin(), page.messages.end(),
              [](const Message& a, const Message& b) { return std::pair(a.rev, a.seq) < std::pair(b.rev, b.seq); });
    // Messages that were marked together have one rev, and a page that ended among them would lose the others.
    const std::uint64_t last_rev = limit > 0 ? page.messages[limit - 1].rev : since_rev;
    const auto end = std::find_if(page.messages.begin(), page.messages.end(),
                                  [&](const Message& message) { return message.rev > last_rev; });
    page.has_more = end != page.messages.end();
    page.messages.erase(end, page.messages.end());
    std::sort(page.messages.begin(), page.messages.end(),
              [](const Message& a, const Message& b) { return a.seq < b.seq; });
    return page;
  }

  result<Written> run(const OpenConversation& write) {
    Written written;
    const std::pair key(write.org_id, write.client_id);
    if (const auto found = by_client_.find(key); found != by_client_.end()) {
      written.conversation = found->second->row;
      written.last_message = found->second->last_message();
      return written;
    }
    const auto [entry, inserted] = conversations_.try_emplace(write.conversation_id);
    if (!inserted) return errc::internal;  // the id is taken
    Conversation& row = entry->second.row;
    row.id = write.conversation_id;
    row.org_id = write.org_id;
    row.client_id = write.client_id;
    row.created_at = write.now;
    by_client_.emplace(key, &entry->second);
    written.changed = true;
    written.conversation = row;
    return written;
  }

  result<Written> run(const AppendMessage& write) {
    StoredConversation* conversation = find_for(write.conversation_id, write.sender);
    if (conversation == nullptr) return errc::not_found;
    Written written;
    if (write.client_message_id) {
      const auto first = conversation->repeats.find({*write.client_message_id, write.sender.role, write.sender.id});
      if (first != conversation->repeats.end()) {
        const Message& message = conversation->message(first->second);
        if (!is_repeat_of(write, message)) return errc::idempotency_conflict;
        written.conversation = conversation->row;
        written.message = message;
        return written;
      }
    }
    Conversation& row = conversation->row;
    const std::uint64_t seq = row.last_seq + 1;
    if (!message_places_.try_emplace(write.message_id, conversation, seq).second) return errc::internal;  // id taken
    if (write.client_message_id) {
      conversation->repeats.emplace(std::tuple(*write.client_message_id, write.sender.role, write.sender.id), seq);
    }
    row.last_seq = seq;
    ++row.rev;
    row.last_message_at = write.now;
    if (write.sender.role == Role::client) ++row.unread_count;
    conversation->messages.push_back({make_message(write, row, seq, row.rev), row.rev});
    written.changed = true;
    written.conversation = row;
    written.message = conversation->messages.back().message;
    return written;
  }

  result<Written> run(const PutReaction& write) {
    StoredConversation* conversation = find_for(write.conversation_id, write.reactor);
    if (conversation == nullptr) return errc::not_found;
    const auto place = message_places_.find(write.message_id);
    if (place == message_places_.end() || place->second.first != conversation) return errc::not_found;
    Message& message = conversation->message(place->second.second);

    auto& reactions = message.reactions;
    const auto present = std::find_if(reactions.begin(), reactions.end(), [&](const Reaction& reaction) {
      return reaction.reactor_type == write.reactor.role && reaction.reactor_id == write.reactor.id;
    });
    const auto emoji = present != reactions.end() ? std::optional(present->emoji) : std::nullopt;
    Written written;
    written.changed = emoji != write.emoji;
    if (written.changed) {
      Reaction reaction;
      if (present != reactions.end()) {
        reaction = std::move(*present);
        reactions.erase(present);
      } else {
        reaction.id = write.reaction_id;
        reaction.message_id = message.id;
        reaction.conversation_id = message.conversation_id;
        reaction.org_id = message.org_id;
        reaction.reactor_type = write.reactor.role;
        reaction.reactor_id = write.reactor.id;
      }
      if (write.emoji) {
        reaction.emoji = *write.emoji;
        reaction.reactor_name = write.reactor.name;
        reaction.created_at = write.now;
        reactions.push_back(std::move(reaction));
      }
      message.rev = ++conversation->row.rev;
      conversation->changes.push_back({Change::Kind::reaction, message.rev, message.seq, write.now});
    }
    written.reactions = reactions;
    written.conversation = conversation->row;
    return written;
  }

  result<Written> run(const MarkConversation& write) {
    StoredConversation* conversation = find_for(write.conversation_id, write.viewer);
    if (conversation == nullptr) return errc::not_found;
    Conversation& row = conversation->row;
    const bool by_client = write.viewer.role == Role::client;
    const std::uint64_t rev = row.rev + 1;
    Written written;
    for (StoredMessage& stored : conversation->messages) {
      Message& message = stored.message;
      if (message.sender_type == write.viewer.role || (by_client ? message.seen_at.has_value() : message.is_read)) {
        continue;
      }
      if (by_client) {
        message.seen_at = write.now;
      } else {
        message.is_read = true;
      }
      message.rev = rev;
      ++written.count;
    }
    written.changed = written.count > 0;
    if (written.changed) {
      row.rev = rev;
      if (!by_client) row.unread_count = 0;
      const auto kind = by_client ? Change::Kind::seen : Change::Kind::read;
      conversation->changes.push_back({kind, rev, 0, write.now});
    }
    written.conversation = row;
    if (!by_client) written.last_message = conversation->last_message();
    return written;
  }

  result<Written> run(const PutToken& write) {
    StoredConversation* conversation = find(write.claims.conversation_id);
    if (conversation == nullptr || conversation->row.org_id != write.claims.org_id ||
        conversation->row.client_id != write.claims.client_id) {
      return errc::not_found;
    }
    if (!token_owners_.try_emplace(write.digest, conversation).second) return errc::internal;  // the digest is taken
    auto& tokens = conversation->tokens;
    tokens.push_back({write.digest, write.claims.trip_id, write.claims.expires_at});
    const auto is_live_rival = [&](const StoredToken& token) {
      return token.trip_id == write.claims.trip_id && token.expires_at > write.now;
    };
    auto live = static_cast<std::size_t>(std::count_if(tokens.begin(), tokens.end(), is_live_rival));
    Written written;
    written.changed = true;
    remove_tokens(*conversation, [&](const StoredToken& token) {
      if (live <= write.max_live || !is_live_rival(token)) return false;
      --live;
      written.evicted.push_back(token.digest);
      return true;
    });
    return written;
  }

  result<Written> run(const DeleteToken& write) {
    Written written;
    if (const auto owner = token_owners_.find(write.digest); owner != token_owners_.end()) {
      StoredConversation& conversation = *owner->second;
      written.count =
          remove_tokens(conversation, [&](const StoredToken& token) { return token.digest == write.digest; });
    }
    written.changed = written.count > 0;
    return written;
  }

  result<Written> run(const SweepTokens& write) {
    Written written;
    for (auto& [id, conversation] : conversations_) {
      written.count +=
          remove_tokens(conversation, [&](const StoredToken& token) { return token.expires_at <= write.now; });
    }
    written.changed = written.count > 0;
    return written;
  }

  // `remove` is asked about each token once, oldest first. Returns how many went.
  template <class Remove>
  std::uint64_t remove_tokens(StoredConversation& conversation, Remove remove) {
    std::vector<StoredToken> kept;
    std::uint64_t removed = 0;
    for (StoredToken& token : conversation.tokens) {
      if (remove(std::as_const(token))) {
        token_owners_.erase(token.digest);
        ++removed;
      } else {
        kept.push_back(std::move(token));
      }
    }
    conversation.tokens = std::move(kept);
    return removed;
  }

  mutable std::shared_mutex mutex_;
  // Nodes stay where they are: the other maps point into this one.
  std::unordered_map<Uuid, StoredConversation> conversations_;
  std::map<std::pair<std::string, std::string>, StoredConversation*> by_client_;  // (org_id, client_id)
  std::unordered_map<Uuid, std::pair<StoredConversation*, std::uint64_t>> message_places_;
  std::map<Sha256Digest, StoredConversation*> token_owners_;
};

}  // namespace

std::unique_ptr<Storage> make_memory_storage() {
  return std::make_unique<MemoryStorage>();
}

}  // namespace travelchat
