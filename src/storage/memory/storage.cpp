#include <travelchat/memory_storage.hpp>
#include <travelchat/text_search.hpp>
#include <travelchat/transactional_storage.hpp>

#include "core/rules.hpp"
#include "storage/columns.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace travelchat {

namespace {

struct StoredMessage {
  Message message;  // with its reactions, in order
  std::uint64_t created_rev = 0;
  std::uint64_t content_rev = 0;
};

// What raised a revision without bringing a message: a change of the message with this seq, or a mark.
struct StoredChange {
  std::uint64_t rev = 0;
  std::uint64_t seq = 0;
  std::optional<Role> viewer;
  TimePoint at;
};

struct StoredConversation {
  ConversationRow kept;
  std::vector<StoredMessage> messages;  // messages[n] has seq n + 1
  std::vector<StoredChange> changes;    // by rev
  std::uint64_t pruned_rev = 0;         // the newest of the changes that were deleted
  std::vector<TokenRow> tokens;         // oldest first
  std::map<std::pair<Role, std::string>, Member> members;
  // (client message id, sender) to seq.
  std::map<std::tuple<std::string, Role, std::string>, std::uint64_t> repeats;

  Conversation& row() noexcept { return kept.value; }
  const Conversation& row() const noexcept { return kept.value; }
  Message& message(std::uint64_t seq) { return messages[seq - 1].message; }

  std::optional<Message> last_message() const {
    if (messages.empty()) return std::nullopt;
    Message last = messages.back().message;
    last.reactions.clear();
    return last;
  }
};

TimePoint last_activity(const Conversation& row) {
  return row.last_message_at.value_or(row.created_at);
}

// A transaction holds the lock from its facts to its last effect, so no read sees half of it. When memory runs out, its
// state is undefined.
class MemoryStorage final : public TransactionalStorage, public StorageUpkeep {
 public:
  result<std::optional<Conversation>> find_conversation(const Uuid& id) override {
    const std::shared_lock lock(mutex_);
    const StoredConversation* conversation = find(id);
    if (conversation == nullptr) return std::optional<Conversation>();
    return std::optional(conversation->row());
  }

  result<std::vector<ConversationSummary>> list_conversations(const ConversationQuery& query) override {
    const std::unordered_set<std::string_view> clients(query.client_ids.begin(), query.client_ids.end());
    const TextSearch search(query.text.value_or(""));
    const auto matches = [&](const StoredConversation& conversation) {
      if (!query.text || clients.contains(conversation.row().client_id)) return true;
      return std::any_of(conversation.messages.begin(), conversation.messages.end(),
                         [&](const StoredMessage& m) { return search.finds_in(m.message.content); });
    };
    std::vector<ConversationSummary> list;
    const std::shared_lock lock(mutex_);
    for_each_of(query.org_id, [&](const StoredConversation& conversation) {
      if (matches(conversation)) list.push_back({conversation.row(), conversation.last_message()});
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
    result<MessagePage> page = MessagePage();
    if (conversation != nullptr) {
      page =
          query.since_rev ? changed_since(*conversation, *query.since_rev, query.limit) : newest(*conversation, query);
    }
    if (page) page->epoch = epoch_;
    return page;
  }

  result<ChangeList> list_changes(const Uuid& conversation_id, std::uint64_t since_rev, std::size_t limit) override {
    const std::shared_lock lock(mutex_);
    const StoredConversation* conversation = find(conversation_id);
    if (conversation == nullptr) return errc::not_found;
    ChangeList list;
    list.current_rev = conversation->row().rev;
    list.epoch = epoch_;
    if (since_rev > list.current_rev || list.current_rev - since_rev > limit || since_rev < conversation->pruned_rev) {
      list.too_many = true;
      return list;
    }
    for (const StoredMessage& stored : conversation->messages) {
      if (stored.created_rev <= since_rev) continue;
      Change& change = list.changes.emplace_back();
      change.rev = change.created_rev = stored.created_rev;
      change.content_rev = stored.content_rev;
      change.message = stored.message;
    }
    for (const StoredChange& stored : conversation->changes) {
      if (stored.rev <= since_rev) continue;
      Change& change = list.changes.emplace_back();
      change.rev = stored.rev;
      if (stored.viewer) {
        change.mark = Change::Mark{*stored.viewer, stored.at};
      } else {
        const StoredMessage& changed = conversation->messages[stored.seq - 1];
        change.created_rev = changed.created_rev;
        change.content_rev = changed.content_rev;
        change.message = changed.message;
      }
    }
    std::sort(list.changes.begin(), list.changes.end(), [](const Change& a, const Change& b) { return a.rev < b.rev; });
    return list;
  }

  result<std::vector<Member>> list_members(const Uuid& conversation_id) override {
    const std::shared_lock lock(mutex_);
    std::vector<Member> members;
    const StoredConversation* conversation = find(conversation_id);
    if (conversation == nullptr) return members;
    for (const Role type : {Role::client, Role::advisor}) {
      for (const auto& [key, member] : conversation->members) {
        if (member.type == type) members.push_back(member);
      }
    }
    storage::put_client_first(conversation->kept, members);
    return members;
  }

  result<Revisions> list_revisions(const RevisionQuery& query) override {
    const std::shared_lock lock(mutex_);
    Revisions revisions;
    revisions.epoch = epoch_;
    for (const Uuid& id : query.conversation_ids) {
      const auto found = conversations_.find(id);
      revisions.conversations.push_back(found == conversations_.end() ? 0 : found->second.row().rev);
    }
    for (const std::string& org_id : query.org_ids) {
      std::uint64_t& sum = revisions.organizations.emplace_back(0);
      for_each_of(org_id, [&](const StoredConversation& conversation) { sum += conversation.row().rev + 1; });
    }
    return revisions;
  }

  result<std::uint64_t> count_unread(const std::string& org_id) override {
    const std::shared_lock lock(mutex_);
    std::uint64_t count = 0;
    for_each_of(org_id, [&](const StoredConversation& conversation) { count += conversation.row().unread_count; });
    return count;
  }

  result<std::optional<TokenClaims>> find_token(const Sha256Digest& digest, TimePoint now) override {
    const std::shared_lock lock(mutex_);
    const auto owner = token_owners_.find(digest);
    if (owner == token_owners_.end()) return std::optional<TokenClaims>();
    const StoredConversation& conversation = *owner->second;
    const auto token = std::find_if(conversation.tokens.begin(), conversation.tokens.end(),
                                    [&](const TokenRow& row) { return row.digest == digest; });
    if (token->claims.expires_at <= now) return std::optional<TokenClaims>();
    return std::optional(token->claims);
  }

  error_code ping() override { return {}; }

  result<Pruned> prune_changes(const PruneChanges& step) override {
    const std::unique_lock lock(mutex_);
    Pruned pruned;
    pruned.epoch = epoch_;
    const std::size_t max_changes = std::max<std::size_t>(step.max_changes, 1);
    std::size_t left = std::max<std::size_t>(step.max_conversations, 1);
    Uuid done = step.after;
    for (auto at = ids_.upper_bound(step.after); at != ids_.end(); ++at) {
      if (left-- == 0 || pruned.count >= max_changes) {
        pruned.next = done;
        break;
      }
      StoredConversation& conversation = *find(*at);
      auto& changes = conversation.changes;
      const std::size_t budget = max_changes - static_cast<std::size_t>(pruned.count);
      std::size_t gone = 0;
      while (gone < changes.size() && gone < budget &&
             detail::is_prunable(step, conversation.row().rev, changes[gone].rev, changes[gone].at)) {
        conversation.pruned_rev = changes[gone++].rev;
      }
      changes.erase(changes.begin(), changes.begin() + static_cast<std::ptrdiff_t>(gone));
      pruned.count += gone;
      // This conversation may have more to delete.
      if (gone == budget) {
        pruned.next = done;
        break;
      }
      done = *at;
    }
    return pruned;
  }

  error_code begin_epoch(const Uuid& epoch) override {
    const std::unique_lock lock(mutex_);
    epoch_ = epoch;
    return {};
  }

 private:
  const StoredConversation* find(const Uuid& id) const {
    const auto found = conversations_.find(id);
    return found == conversations_.end() ? nullptr : &found->second;
  }
  StoredConversation* find(const Uuid& id) { return const_cast<StoredConversation*>(std::as_const(*this).find(id)); }
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

  static result<MessagePage> changed_since(const StoredConversation& conversation, std::uint64_t since_rev,
                                           std::size_t limit) {
    std::vector<const Message*> changed;
    for (const StoredMessage& stored : conversation.messages) {
      if (stored.message.rev > since_rev) changed.push_back(&stored.message);
    }
    // One more than a page may have, to see whether there are more.
    const std::size_t size = std::min(changed.size(), max_changed_messages + 1);
    std::partial_sort(
        changed.begin(), changed.begin() + static_cast<std::ptrdiff_t>(size), changed.end(),
        [](const Message* a, const Message* b) { return std::pair(a->rev, a->seq) < std::pair(b->rev, b->seq); });
    std::size_t end = std::min(limit, size);
    // Messages that were marked together have one rev, and a page that ended among them would lose the others.
    while (end > 0 && end < size && changed[end]->rev == changed[end - 1]->rev) ++end;
    if (end > max_changed_messages) return errc::too_many_changes;
    MessagePage page;
    page.has_more = end < size;
    changed.resize(end);
    std::sort(changed.begin(), changed.end(), [](const Message* a, const Message* b) { return a->seq < b->seq; });
    page.messages.reserve(end);
    for (const Message* message : changed) page.messages.push_back(*message);
    return page;
  }

  error_code transact(const Questions& questions, const Decide& decide) override {
    const std::unique_lock lock(mutex_);
    Effects effects = decide(load(questions));
    if (has_taken_key(effects)) return errc::internal;
    store(std::move(effects));
    return {};
  }

  Facts load(const Questions& questions) const {
    Facts facts;
    const auto add = [&](const StoredConversation& conversation, std::uint64_t seq) {
      if (seq > 0) facts.messages.push_back(conversation.messages[seq - 1].message);
    };
    for (const Uuid& id : questions.conversations) {
      if (const StoredConversation* conversation = find(id)) facts.conversations.push_back(conversation->kept);
    }
    for (const OpenConversation* open : questions.openings) {
      const auto found = by_client_.find({open->org_id, open->client_id});
      if (found == by_client_.end()) continue;
      facts.conversations.push_back(found->second->kept);
      add(*found->second, found->second->row().last_seq);
    }
    for (const AppendMessage* write : questions.repeatable) {
      const StoredConversation* conversation = find(write->conversation_id);
      if (conversation == nullptr) continue;
      const auto first = conversation->repeats.find({*write->client_message_id, write->sender.role, write->sender.id});
      if (first != conversation->repeats.end()) add(*conversation, first->second);
    }
    for (const Uuid& id : questions.messages) {
      const auto place = message_places_.find(id);
      if (place != message_places_.end()) add(*place->second.first, place->second.second);
    }
    for (const Uuid& id : questions.newest_of) {
      if (const StoredConversation* conversation = find(id)) add(*conversation, conversation->row().last_seq);
    }
    const auto add_member = [&](const Questions::MemberKey& key) {
      const StoredConversation* conversation = find(key.conversation_id);
      if (conversation == nullptr) return;
      const auto member = conversation->members.find({key.who->role, key.who->id});
      if (member != conversation->members.end()) facts.members.push_back({key.conversation_id, member->second});
    };
    for (const Questions::MemberKey& key : questions.viewers) add_member(key);
    for (const Questions::MemberKey& key : questions.clients) add_member(key);
    for (const PutToken* put : questions.tokens) {
      const StoredConversation* conversation = find(put->claims.conversation_id);
      if (conversation == nullptr) continue;
      for (const TokenRow& token : conversation->tokens) {
        if (token.claims.trip_id == put->claims.trip_id) facts.tokens.push_back(token);
      }
    }
    return facts;
  }

  bool has_taken_key(const Effects& effects) const {
    std::set<Uuid> messages;
    std::set<Sha256Digest> digests;
    return std::any_of(effects.opened.begin(), effects.opened.end(),
                       [&](const ConversationRow& row) { return conversations_.contains(row.value.id); }) ||
           std::any_of(effects.messages.begin(), effects.messages.end(),
                       [&](const Effects::NewMessage& created) {
                         const Uuid& id = created.message.id;
                         return message_places_.contains(id) || !messages.insert(id).second;
                       }) ||
           std::any_of(effects.tokens.begin(), effects.tokens.end(), [&](const TokenRow& token) {
             return token_owners_.contains(token.digest) || !digests.insert(token.digest).second;
           });
  }

  void store(Effects effects) {
    for (ConversationRow& row : effects.opened) {
      StoredConversation& conversation = conversations_[row.value.id];
      by_client_.emplace(std::pair(row.value.org_id, row.value.client_id), &conversation);
      ids_.insert(row.value.id);
      conversation.kept = std::move(row);
    }
    for (ConversationRow& row : effects.conversations) find(row.value.id)->kept = std::move(row);
    for (const Effects::Mark& mark : effects.marks) {
      StoredConversation& conversation = *find(mark.conversation_id);
      const std::uint64_t last = std::min<std::uint64_t>(mark.up_to_seq, conversation.messages.size());
      for (std::uint64_t seq = mark.after_seq + 1; seq <= last; ++seq) {
        Message& message = conversation.message(seq);
        const bool by_client = mark.viewer == Role::client;
        if (message.sender_type == mark.viewer || (by_client ? message.seen_at.has_value() : message.is_read)) continue;
        if (by_client) {
          message.seen_at = mark.at;
        } else {
          message.is_read = true;
        }
        message.rev = mark.rev;
      }
    }
    for (auto& [message, created_rev] : effects.messages) {
      StoredConversation& conversation = *find(message.conversation_id);
      message_places_.emplace(message.id, std::pair(&conversation, message.seq));
      if (message.client_message_id) {
        conversation.repeats.emplace(std::tuple(*message.client_message_id, message.sender_type, message.sender_id),
                                     message.seq);
      }
      message.reactions.clear();
      conversation.messages.push_back({std::move(message), created_rev, 0});
    }
    for (const Effects::Touched& touched : effects.touched) {
      Message& message = find(touched.conversation_id)->message(touched.seq);
      message.rev = std::max(message.rev, touched.rev);
    }
    for (auto& [message, content_rev] : effects.rewritten) {
      StoredMessage& stored = find(message.conversation_id)->messages[message.seq - 1];
      message.reactions = std::move(stored.message.reactions);
      stored.message = std::move(message);
      stored.content_rev = content_rev;
    }
    for (const Effects::RemovedReaction& removed : effects.removed_reactions) {
      remove_reaction(find(removed.conversation_id)->message(removed.seq), removed.reactor_type, removed.reactor_id);
    }
    std::sort(effects.reactions.begin(), effects.reactions.end(),
              [](const auto& a, const auto& b) { return a.rev < b.rev; });
    for (auto& [reaction, seq, rev] : effects.reactions) {
      Message& message = find(reaction.conversation_id)->message(seq);
      remove_reaction(message, reaction.reactor_type, reaction.reactor_id);
      message.reactions.push_back(std::move(reaction));
    }
    // Their revisions are newer than all changes that their conversations have.
    std::vector<std::pair<Uuid, StoredChange>> log;
    log.reserve(effects.changes.size() + effects.marks.size());
    for (const auto& [conversation_id, rev, seq, at] : effects.changes)
      log.push_back({conversation_id, {rev, seq, {}, at}});
    for (const Effects::Mark& mark : effects.marks) {
      log.push_back({mark.conversation_id, {mark.rev, mark.up_to_seq, mark.viewer, mark.at}});
    }
    std::sort(log.begin(), log.end(), [](const auto& a, const auto& b) { return a.second.rev < b.second.rev; });
    for (const auto& [conversation_id, change] : log) find(conversation_id)->changes.push_back(change);
    for (const auto& [conversation_id, member] : effects.members) {
      find(conversation_id)->members[{member.type, member.id}] = member;
    }
    for (const Sha256Digest& digest : effects.removed_tokens) remove_token(digest);
    for (TokenRow& token : effects.tokens) {
      StoredConversation& conversation = *find(token.claims.conversation_id);
      token_owners_.emplace(token.digest, &conversation);
      conversation.tokens.push_back(std::move(token));
    }
  }

  static void remove_reaction(Message& message, Role reactor_type, const std::string& reactor_id) {
    std::erase_if(message.reactions, [&](const Reaction& reaction) {
      return reaction.reactor_type == reactor_type && reaction.reactor_id == reactor_id;
    });
  }

  std::uint64_t remove_token(const Sha256Digest& digest) {
    const auto owner = token_owners_.find(digest);
    if (owner == token_owners_.end()) return 0;
    return remove_tokens_of(*owner->second, [&](const TokenRow& token) { return token.digest == digest; });
  }

  result<RemovedTokens> remove_tokens(const TokenRemoval& removal) override {
    const std::unique_lock lock(mutex_);
    RemovedTokens removed;
    if (const auto* one = std::get_if<DeleteToken>(&removal)) {
      removed.count = remove_token(one->digest);
    } else if (const auto* expired = std::get_if<SweepTokens>(&removal)) {
      for (auto& [id, conversation] : conversations_) {
        removed.count += remove_tokens_of(
            conversation, [&](const TokenRow& token) { return token.claims.expires_at <= expired->now; });
      }
    } else {
      const auto& some = std::get<RevokeTokens>(removal);
      for (auto entry = by_client_.lower_bound({some.org_id, some.client_id.value_or(std::string())});
           entry != by_client_.end() && entry->first.first == some.org_id &&
           (!some.client_id || entry->first.second == *some.client_id);
           ++entry) {
        removed.count += remove_tokens_of(*entry->second, [&](const TokenRow& token) {
          if (some.trip_id && token.claims.trip_id != *some.trip_id) return false;
          removed.digests.push_back(token.digest);
          return true;
        });
      }
    }
    return removed;
  }

  // Deletes the tokens for which `remove` returns true; it is called once for each, oldest first. Returns how many were
  // deleted.
  template <class Remove>
  std::uint64_t remove_tokens_of(StoredConversation& conversation, Remove remove) {
    std::vector<TokenRow> kept;
    std::uint64_t removed = 0;
    for (TokenRow& token : conversation.tokens) {
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
  Uuid epoch_ = make_uuid(std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()));
  // A map whose entries do not move: the other maps point into it.
  std::unordered_map<Uuid, StoredConversation> conversations_;
  std::map<std::pair<std::string, std::string>, StoredConversation*> by_client_;  // (org_id, client_id)
  std::set<Uuid> ids_;
  std::unordered_map<Uuid, std::pair<StoredConversation*, std::uint64_t>> message_places_;
  std::map<Sha256Digest, StoredConversation*> token_owners_;
};

}  // namespace

std::unique_ptr<Storage> make_memory_storage() {
  return std::make_unique<MemoryStorage>();
}

}  // namespace travelchat
