#include "storage/postgres_batch.hpp"

#include "storage/rules.hpp"

#include <algorithm>
#include <variant>

namespace travelchat::postgres {

using storage::is_repeat_of;
using storage::make_message;
using storage::reaches;

namespace {

void sort_each_once(std::vector<Uuid>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

bool is_of(const Message& message, const Participant& sender) {
  return message.sender_type == sender.role && message.sender_id == sender.id;
}

}  // namespace

Questions questions_of(std::span<const Write* const> writes, bool after_trouble) {
  Questions questions;
  std::map<std::pair<std::string_view, std::string_view>, const OpenConversation*> openings;
  for (const Write* write : writes) {
    if (const auto* open = std::get_if<OpenConversation>(write)) {
      openings.try_emplace({open->org_id, open->client_id}, open);
    } else if (const auto* append = std::get_if<AppendMessage>(write)) {
      questions.conversations.push_back(append->conversation_id);
      if (append->client_message_id) questions.repeatable.push_back(append);
      if (after_trouble) questions.messages.push_back(append->message_id);
    } else if (const auto* reaction = std::get_if<PutReaction>(write)) {
      questions.conversations.push_back(reaction->conversation_id);
      questions.messages.push_back(reaction->message_id);
    } else if (const auto* mark = std::get_if<MarkConversation>(write)) {
      questions.conversations.push_back(mark->conversation_id);
      if (mark->viewer.role == Role::advisor) questions.newest_of.push_back(mark->conversation_id);
    } else if (const auto* token = std::get_if<PutToken>(write)) {
      questions.conversations.push_back(token->claims.conversation_id);
      questions.tokens.push_back(token);
    }
  }
  for (const auto& [key, open] : openings) questions.openings.push_back(open);
  sort_each_once(questions.conversations);
  sort_each_once(questions.messages);
  sort_each_once(questions.newest_of);
  return questions;
}

Batch::Batch(Facts facts) : made_(std::move(facts.made)) {
  for (ConversationRow& row : facts.conversations) {
    by_client_.emplace(std::pair(row.value.org_id, row.value.client_id), row.value.id);
    KnownConversation known;
    known.stored_last_seq = row.value.last_seq;
    known.has_stored_unread = row.value.unread_count > 0;
    known.has_stored_unseen = row.unseen_count > 0;
    known.row = std::move(row);
    conversations_.emplace(known.row.value.id, std::move(known));
  }
  for (Message& message : facts.messages) {
    KnownMessage known;
    known.message = std::move(message);
    learn(std::move(known));
  }
  for (TokenRow& token : facts.tokens) {
    tokens_[{token.claims.conversation_id, token.claims.trip_id}].push_back({std::move(token), false, false});
  }
}

result<Written> Batch::apply(const Write& write) {
  return std::visit([this](const auto& w) { return run(w); }, write);
}

Batch::KnownConversation* Batch::find(const Uuid& id) {
  const auto found = conversations_.find(id);
  return found == conversations_.end() || made_.contains(id) ? nullptr : &found->second;
}

Batch::KnownConversation* Batch::find(const Uuid& id, const Participant& who) {
  KnownConversation* conversation = find(id);
  return conversation != nullptr && reaches(who, conversation->row.value) ? conversation : nullptr;
}

void Batch::learn(KnownMessage known) {
  const Message& message = known.message;
  if (const auto conversation = conversations_.find(message.conversation_id); conversation != conversations_.end()) {
    conversation->second.messages.emplace(message.seq, message.id);
  }
  if (message.client_message_id) {
    repeats_.emplace(
        RepeatKey(message.conversation_id, message.sender_type, message.sender_id, *message.client_message_id),
        message.id);
  }
  const Uuid id = message.id;
  messages_.emplace(id, std::move(known));
}

std::optional<Message> Batch::newest(const KnownConversation& conversation) const {
  if (conversation.messages.empty()) return std::nullopt;
  Message message = messages_.at(conversation.messages.rbegin()->second).message;
  message.reactions.clear();
  return message;
}

result<Written> Batch::run(const OpenConversation& write) {
  const auto found = by_client_.find({write.org_id, write.client_id});
  // It was there when the transaction wanted to insert it and is not any more: somebody has deleted it.
  if (found == by_client_.end()) return errc::storage_failed;
  Written written;
  written.changed = made_.erase(found->second) > 0;
  const KnownConversation& conversation = conversations_.at(found->second);
  written.conversation = conversation.row.value;
  written.last_message = newest(conversation);
  return written;
}

result<Written> Batch::run(const AppendMessage& write) {
  KnownConversation* conversation = find(write.conversation_id, write.sender);
  if (conversation == nullptr) return errc::not_found;
  Conversation& row = conversation->row.value;
  Written written;
  const Message* first = nullptr;
  if (write.client_message_id) {
    const auto repeat =
        repeats_.find({write.conversation_id, write.sender.role, write.sender.id, *write.client_message_id});
    if (repeat != repeats_.end()) {
      first = &messages_.at(repeat->second).message;
      if (!is_repeat_of(write, *first)) return errc::idempotency_conflict;
    }
  }
  if (const auto same_id = messages_.find(write.message_id); first == nullptr && same_id != messages_.end()) {
    first = &same_id->second.message;
    if (first->conversation_id != write.conversation_id || !is_of(*first, write.sender) ||
        first->client_message_id != write.client_message_id || !is_repeat_of(write, *first)) {
      return errc::internal;  // the id is taken
    }
  }
  if (first != nullptr) {
    // With this very id it is what an earlier attempt of the same write has left, and nobody has heard of it.
    written.changed = first->id == write.message_id;
    written.conversation = row;
    written.message = *first;
    return written;
  }

  KnownMessage known;
  known.message = make_message(write, row, row.last_seq + 1, row.rev + 1);
  known.created_rev = known.message.rev;
  known.is_new = true;
  row.last_seq = known.message.seq;
  row.rev = known.message.rev;
  row.last_message_at = known.message.created_at;
  ++(write.sender.role == Role::client ? row.unread_count : conversation->row.unseen_count);
  conversation->changed = true;
  new_messages_.push_back(write.message_id);
  written.changed = true;
  written.conversation = row;
  written.message = known.message;
  learn(std::move(known));
  return written;
}

result<Written> Batch::run(const PutReaction& write) {
  KnownConversation* conversation = find(write.conversation_id, write.reactor);
  if (conversation == nullptr) return errc::not_found;
  const auto found = messages_.find(write.message_id);
  if (found == messages_.end() || found->second.message.conversation_id != write.conversation_id) {
    return errc::not_found;
  }
  Message& message = found->second.message;
  auto& reactions = message.reactions;
  const auto present = std::find_if(reactions.begin(), reactions.end(), [&](const Reaction& reaction) {
    return reaction.reactor_type == write.reactor.role && reaction.reactor_id == write.reactor.id;
  });
  const auto emoji = present != reactions.end() ? std::optional(present->emoji) : std::nullopt;
  Written written;
  written.changed = emoji != write.emoji;
  if (written.changed) {
    const Uuid id = present != reactions.end() ? present->id : write.reaction_id;
    if (present != reactions.end()) reactions.erase(present);
    message.rev = ++conversation->row.value.rev;
    conversation->changed = true;
    found->second.touched = true;
    auto& row = reactions_[{message.id, write.reactor.role, write.reactor.id}];
    if (write.emoji) {
      Reaction reaction;
      reaction.id = id;
      reaction.message_id = message.id;
      reaction.conversation_id = message.conversation_id;
      reaction.org_id = message.org_id;
      reaction.reactor_type = write.reactor.role;
      reaction.reactor_id = write.reactor.id;
      reaction.reactor_name = write.reactor.name;
      reaction.emoji = *write.emoji;
      reaction.created_at = write.now;
      row.emplace(reaction, message.rev);
      reactions.push_back(std::move(reaction));
    } else {
      row.reset();
    }
    changes_.push_back(
        {message.conversation_id, message.rev, Change::Kind::reaction, message.seq, message.seq, write.now});
  }
  written.reactions = reactions;
  written.conversation = conversation->row.value;
  return written;
}

result<Written> Batch::run(const MarkConversation& write) {
  KnownConversation* conversation = find(write.conversation_id, write.viewer);
  if (conversation == nullptr) return errc::not_found;
  ConversationRow& row = conversation->row;
  const bool by_client = write.viewer.role == Role::client;
  std::uint64_t& unmarked = by_client ? row.unseen_count : row.value.unread_count;
  std::uint64_t& marked_seq = by_client ? row.seen_seq : row.read_seq;
  bool& has_stored = by_client ? conversation->has_stored_unseen : conversation->has_stored_unread;
  Written written;
  written.changed = unmarked > 0;
  if (written.changed) {
    written.count = unmarked;
    const std::uint64_t rev = ++row.value.rev;
    for (const auto& [seq, id] : conversation->messages) {
      Message& message = messages_.at(id).message;
      if (message.sender_type == write.viewer.role) continue;
      if (by_client ? message.seen_at.has_value() : message.is_read) continue;
      if (by_client) {
        message.seen_at = write.now;
      } else {
        message.is_read = true;
      }
      message.rev = rev;
    }
    if (has_stored) {
      marks_.push_back({row.value.id, write.viewer.role, marked_seq, conversation->stored_last_seq, rev, write.now});
    }
    changes_.push_back({row.value.id, rev, by_client ? Change::Kind::seen : Change::Kind::read, marked_seq + 1,
                        row.value.last_seq, write.now});
    unmarked = 0;
    marked_seq = row.value.last_seq;
    has_stored = false;
    conversation->changed = true;
  }
  if (!by_client) written.last_message = newest(*conversation);
  written.conversation = row.value;
  return written;
}

result<Written> Batch::run(const PutToken& write) {
  const KnownConversation* conversation = find(write.claims.conversation_id);
  if (conversation == nullptr || conversation->row.value.org_id != write.claims.org_id ||
      conversation->row.value.client_id != write.claims.client_id) {
    return errc::not_found;
  }
  auto& tokens = tokens_[{write.claims.conversation_id, write.claims.trip_id}];
  tokens.push_back({{write.digest, write.claims, write.now}, true, false});
  const auto is_live = [&](const KnownToken& token) {
    return !token.removed && token.row.claims.expires_at > write.now;
  };
  auto live = static_cast<std::size_t>(std::count_if(tokens.begin(), tokens.end(), is_live));
  Written written;
  written.changed = true;
  for (auto token = tokens.begin(); token != tokens.end() && live > write.max_live; ++token) {
    if (!is_live(*token)) continue;
    token->removed = true;
    written.evicted.push_back(token->row.digest);
    --live;
  }
  return written;
}

Effects Batch::effects() const {
  Effects effects;
  for (const auto& [id, conversation] : conversations_) {
    if (conversation.changed) effects.conversations.push_back(conversation.row);
  }
  for (const Uuid& id : new_messages_) {
    const KnownMessage& known = messages_.at(id);
    effects.messages.push_back({known.message, known.created_rev});
  }
  for (const auto& [id, known] : messages_) {
    if (known.touched && !known.is_new) effects.touched.emplace_back(id, known.message.rev);
  }
  effects.marks = marks_;
  effects.changes = changes_;
  for (const auto& [key, reaction] : reactions_) {
    const auto& [message_id, reactor_type, reactor_id] = key;
    if (reaction) {
      effects.reactions.push_back(*reaction);
    } else {
      effects.removed_reactions.push_back({message_id, reactor_type, reactor_id});
    }
  }
  for (const auto& [trip, tokens] : tokens_) {
    for (const KnownToken& token : tokens) {
      if (token.is_new && !token.removed) effects.tokens.push_back(token.row);
      if (!token.is_new && token.removed) effects.removed_tokens.push_back(token.row.digest);
    }
  }
  return effects;
}

}  // namespace travelchat::postgres
