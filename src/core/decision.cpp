#include "core/decision.hpp"

#include "core/rules.hpp"

#include <travelchat/describe.hpp>

#include <algorithm>
#include <tuple>
#include <variant>

namespace travelchat::detail {

namespace {

void sort_each_once(std::vector<Uuid>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

bool is_of(const Message& message, const Participant& sender) {
  return message.sender_type == sender.role && message.sender_id == sender.id;
}

// What the sender says of a message.
using Said = MembersWithout<Draft, &Draft::conversation_id>;

// Whether a write that repeats a client message id says the same as the first one did.
bool is_repeat_of(const AppendMessage& write, const Message& first) {
  bool is_same = true;
  for_each_of<Said>([&]<class Member>(Member) {
    is_same = is_same && write.*Member::pointer == first.*Namesake<Message, Member>::pointer;
  });
  return is_same;
}

// The row that the write makes in a conversation at (`seq`, `rev`).
void fill(Message& message, const AppendMessage& write, const Conversation& conversation, std::uint64_t seq,
          std::uint64_t rev) {
  for_each_of<Said>(
      [&]<class Member>(Member) { message.*Namesake<Message, Member>::pointer = write.*Member::pointer; });
  message.id = write.message_id;
  message.conversation_id = conversation.id;
  message.org_id = conversation.org_id;
  message.sender_type = write.sender.role;
  message.sender_id = write.sender.id;
  message.sender_name = write.sender.name;
  message.created_at = write.now;
  message.seq = seq;
  message.rev = rev;
}

}  // namespace

TokenRemoval to_token_removal(const Write& write) {
  if (const auto* one = std::get_if<DeleteToken>(&write)) return *one;
  if (const auto* expired = std::get_if<SweepTokens>(&write)) return *expired;
  return std::get<RevokeTokens>(write);
}

Written to_written(RemovedTokens removed) {
  Written written;
  written.changed = removed.count > 0;
  written.count = removed.count;
  written.evicted = std::move(removed.digests);
  return written;
}

Questions questions_of(std::span<const Write* const> writes, bool after_trouble) {
  Questions questions;
  std::map<std::pair<std::string_view, std::string_view>, const OpenConversation*> openings;
  const auto ask_for_access = [&](const Uuid& conversation_id, const Participant& who) {
    if (who.role == Role::client) questions.clients.push_back({conversation_id, &who});
  };
  for (const Write* write : writes) {
    if (const auto* open = std::get_if<OpenConversation>(write)) {
      openings.try_emplace({open->org_id, open->client_id}, open);
    } else if (const auto* append = std::get_if<AppendMessage>(write)) {
      questions.conversations.push_back(append->conversation_id);
      ask_for_access(append->conversation_id, append->sender);
      if (append->client_message_id) questions.repeatable.push_back(append);
      if (after_trouble) questions.messages.push_back(append->message_id);
    } else if (const auto* reaction = std::get_if<PutReaction>(write)) {
      questions.conversations.push_back(reaction->conversation_id);
      ask_for_access(reaction->conversation_id, reaction->reactor);
      questions.messages.push_back(reaction->message_id);
    } else if (const auto* mark = std::get_if<MarkConversation>(write)) {
      questions.conversations.push_back(mark->conversation_id);
      questions.viewers.push_back({mark->conversation_id, &mark->viewer});
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

Decision::Decision(Facts facts, std::size_t writes) : makes_conversations_(!facts.made) {
  conversations_.reserve(facts.conversations.size());
  messages_.reserve(facts.messages.size() + writes);
  repeats_.reserve(facts.messages.size() + writes);
  for (ConversationRow& row : facts.conversations) {
    const auto [entry, is_new] = conversations_.try_emplace(row.value.id);
    if (!is_new) continue;
    KnownConversation& known = entry->second;
    if (facts.made && facts.made->contains(row.value.id)) known.state = KnownConversation::State::made;
    known.row = std::move(row);
  }
  for (Message& message : facts.messages) {
    if (messages_.contains(message.id)) continue;
    KnownMessage& known = known_messages_.emplace_back();
    known.message = std::move(message);
    learn(known);
  }
  for (auto& [conversation_id, member] : facts.members) {
    MemberKey key(conversation_id, member.type, member.id);
    members_.try_emplace(std::move(key), KnownMember{std::move(member), false});
  }
  for (TokenRow& token : facts.tokens) {
    auto& tokens = tokens_[{token.claims.conversation_id, token.claims.trip_id}];
    const auto is_same = [&](const KnownToken& other) { return other.row.digest == token.digest; };
    if (std::none_of(tokens.begin(), tokens.end(), is_same)) tokens.push_back({std::move(token), false, false});
  }
}

result<Written> Decision::apply(const Write& write) {
  return std::visit([this](const auto& w) { return run(w); }, write);
}

Decision::KnownConversation* Decision::find(const Uuid& id) {
  const auto found = conversations_.find(id);
  const bool is_there = found != conversations_.end() && found->second.state != KnownConversation::State::made;
  return is_there ? &found->second : nullptr;
}

Decision::KnownConversation* Decision::find(const Uuid& id, const Participant& who) {
  KnownConversation* conversation = find(id);
  if (conversation == nullptr) return nullptr;
  const Conversation& value = conversation->row.value;
  const bool is_named = is_named_by(value, who);
  return may_access(who, value, !is_named && is_member(id, who)) ? conversation : nullptr;
}

bool Decision::is_member(const Uuid& conversation_id, const Participant& who) const {
  return !members_.empty() && members_.contains({conversation_id, who.role, who.id});
}

void Decision::raise_watermarks(const Conversation& conversation, const Participant& viewer) {
  KnownMember& member = members_[{conversation.id, viewer.role, viewer.id}];
  if (member.value.seen_seq >= conversation.last_seq) return;
  member.value.type = viewer.role;
  member.value.id = viewer.id;
  if (!viewer.name.empty()) member.value.name = viewer.name;
  member.value.seen_seq = conversation.last_seq;
  member.value.delivered_seq = std::max(member.value.delivered_seq, member.value.seen_seq);
  member.changed = true;
}

Decision::KnownConversation* Decision::find_of_client(const OpenConversation& write) {
  if (!by_client_) {
    by_client_.emplace();
    for (auto& [id, known] : conversations_) {
      by_client_->try_emplace({known.row.value.org_id, known.row.value.client_id}, &known);
    }
  }
  const auto found = by_client_->find({write.org_id, write.client_id});
  return found == by_client_->end() ? nullptr : found->second;
}

void Decision::learn(KnownMessage& known) {
  const Message& value = known.message;
  messages_.emplace(value.id, &known);
  if (const auto conversation = conversations_.find(value.conversation_id); conversation != conversations_.end()) {
    conversation->second.messages.push_back(&known);
  }
  if (value.client_message_id) {
    repeats_.try_emplace({value.conversation_id, value.sender_type, value.sender_id, *value.client_message_id}, &known);
  }
}

std::optional<Message> Decision::newest(const KnownConversation& conversation) {
  const auto& known = conversation.messages;
  const auto last = std::max_element(known.begin(), known.end(), [](const KnownMessage* a, const KnownMessage* b) {
    return a->message.seq < b->message.seq;
  });
  if (last == known.end()) return std::nullopt;
  Message message = (*last)->message;
  message.reactions.clear();
  return message;
}

result<Written> Decision::run(const OpenConversation& write) {
  KnownConversation* conversation = find_of_client(write);
  Written written;
  if (conversation != nullptr) {
    written.changed = conversation->state == KnownConversation::State::made;
    if (written.changed) conversation->state = KnownConversation::State::stored;
  } else {
    // It was there when the transaction wanted to insert it and is not any more: somebody has deleted it.
    if (!makes_conversations_) return errc::storage_failed;
    KnownConversation known;
    known.state = KnownConversation::State::opened;
    Conversation& row = known.row.value;
    row.id = write.conversation_id;
    row.org_id = write.org_id;
    row.client_id = write.client_id;
    row.created_at = write.now;
    const auto [entry, is_new] = conversations_.try_emplace(write.conversation_id, std::move(known));
    if (!is_new) return errc::internal;  // the id is taken
    conversation = &entry->second;
    by_client_->try_emplace({conversation->row.value.org_id, conversation->row.value.client_id}, conversation);
    written.changed = true;
  }
  written.conversation = conversation->row.value;
  written.last_message = newest(*conversation);
  return written;
}

result<Written> Decision::run(const AppendMessage& write) {
  KnownConversation* conversation = find(write.conversation_id, write.sender);
  if (conversation == nullptr) return errc::not_found;
  Conversation& row = conversation->row.value;
  Written written;
  const Message* first = nullptr;
  if (write.client_message_id) {
    const auto repeat =
        repeats_.find({write.conversation_id, write.sender.role, write.sender.id, *write.client_message_id});
    if (repeat != repeats_.end()) {
      first = &repeat->second->message;
      if (!is_repeat_of(write, *first)) return errc::idempotency_conflict;
    }
  }
  if (const auto same_id = messages_.find(write.message_id); first == nullptr && same_id != messages_.end()) {
    first = &same_id->second->message;
    if (first->conversation_id != write.conversation_id || !is_of(*first, write.sender) ||
        !is_repeat_of(write, *first)) {
      return errc::internal;  // the id is taken
    }
  }
  if (first != nullptr) {
    // The same id: an earlier attempt of this very write stored it, but its outcome was unknown and nothing was
    // broadcast.
    written.changed = first->id == write.message_id;
    written.conversation = row;
    written.message = *first;
    return written;
  }

  KnownMessage& known = known_messages_.emplace_back();
  fill(known.message, write, row, row.last_seq + 1, row.rev + 1);
  known.created_rev = known.message.rev;
  known.is_new = true;
  row.last_seq = known.message.seq;
  row.rev = known.message.rev;
  row.last_message_at = known.message.created_at;
  ++(write.sender.role == Role::client ? row.unread_count : conversation->row.unseen_count);
  conversation->changed = true;
  written.changed = true;
  written.conversation = row;
  written.message = known.message;
  learn(known);
  return written;
}

result<Written> Decision::run(const PutReaction& write) {
  KnownConversation* conversation = find(write.conversation_id, write.reactor);
  if (conversation == nullptr) return errc::not_found;
  const auto found = messages_.find(write.message_id);
  if (found == messages_.end() || found->second->message.conversation_id != write.conversation_id) {
    return errc::not_found;
  }
  Message& message = found->second->message;
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
    found->second->touched = true;
    LeftReaction& left = reactions_[{message.conversation_id, message.seq, write.reactor.role, write.reactor.id}];
    left.message_id = message.id;
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
      left.reaction = Effects::NewReaction{reaction, message.seq, message.rev};
      reactions.push_back(std::move(reaction));
    } else {
      left.reaction.reset();
    }
    changes_.push_back({message.conversation_id, message.rev, message.seq, write.now});
  }
  written.reactions = reactions;
  written.conversation = conversation->row.value;
  return written;
}

result<Written> Decision::run(const MarkConversation& write) {
  KnownConversation* conversation = find(write.conversation_id, write.viewer);
  if (conversation == nullptr) return errc::not_found;
  ConversationRow& row = conversation->row;
  const bool by_client = write.viewer.role == Role::client;
  std::uint64_t& unmarked = by_client ? row.unseen_count : row.value.unread_count;
  std::uint64_t& marked_seq = by_client ? row.seen_seq : row.read_seq;
  Written written;
  written.changed = unmarked > 0;
  if (written.changed) {
    written.count = unmarked;
    const std::uint64_t rev = ++row.value.rev;
    for (KnownMessage* known : conversation->messages) {
      Message& message = known->message;
      if (message.sender_type == write.viewer.role) continue;
      if (by_client ? message.seen_at.has_value() : message.is_read) continue;
      if (by_client) {
        message.seen_at = write.now;
      } else {
        message.is_read = true;
      }
      message.rev = rev;
    }
    marks_.push_back({row.value.id, write.viewer.role, marked_seq, row.value.last_seq, rev, write.now});
    unmarked = 0;
    marked_seq = row.value.last_seq;
    conversation->changed = true;
  }
  raise_watermarks(row.value, write.viewer);
  if (!by_client) written.last_message = newest(*conversation);
  written.conversation = row.value;
  return written;
}

result<Written> Decision::run(const PutToken& write) {
  const KnownConversation* conversation = find(write.claims.conversation_id);
  if (conversation == nullptr || conversation->row.value.org_id != write.claims.org_id ||
      conversation->row.value.client_id != write.claims.client_id) {
    return errc::not_found;
  }
  auto& tokens = tokens_[{write.claims.conversation_id, write.claims.trip_id}];
  const auto is_same = [&](const KnownToken& token) { return !token.removed && token.row.digest == write.digest; };
  if (std::any_of(tokens.begin(), tokens.end(), is_same)) return errc::internal;  // the digest is taken
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

Effects Decision::take_effects() {
  Effects effects;
  std::vector<std::pair<Uuid, KnownConversation*>> changed;
  for (auto& [id, known] : conversations_) {
    if (known.changed || known.state == KnownConversation::State::opened) changed.emplace_back(id, &known);
  }
  std::sort(changed.begin(), changed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  effects.messages.reserve(known_messages_.size());
  for (auto& [id, known] : changed) {
    std::vector<const KnownMessage*> touched;
    for (KnownMessage* message : known->messages) {
      if (message->content_rev != 0) effects.rewritten.push_back({message->message, message->content_rev});
      if (message->is_new) {
        effects.messages.push_back({std::move(message->message), message->created_rev});
      } else if (message->touched) {
        touched.push_back(message);
      }
    }
    std::sort(touched.begin(), touched.end(),
              [](const auto* a, const auto* b) { return a->message.seq < b->message.seq; });
    for (const KnownMessage* message : touched) {
      effects.touched.push_back({id, message->message.id, message->message.seq, message->message.rev});
    }
    const bool is_new = known->state == KnownConversation::State::opened;
    (is_new ? effects.opened : effects.conversations).push_back(std::move(known->row));
  }
  const auto by_rev = [](const auto& a, const auto& b) {
    return std::tie(a.conversation_id, a.rev) < std::tie(b.conversation_id, b.rev);
  };
  std::sort(effects.rewritten.begin(), effects.rewritten.end(), [](const auto& a, const auto& b) {
    return std::tie(a.message.conversation_id, a.message.seq) < std::tie(b.message.conversation_id, b.message.seq);
  });
  effects.marks = std::move(marks_);
  std::sort(effects.marks.begin(), effects.marks.end(), by_rev);
  effects.changes = std::move(changes_);
  std::sort(effects.changes.begin(), effects.changes.end(), by_rev);
  for (auto& [key, member] : members_) {
    if (member.changed) effects.members.push_back({std::get<0>(key), std::move(member.value)});
  }
  for (auto& [key, left] : reactions_) {
    const auto& [conversation_id, seq, reactor_type, reactor_id] = key;
    if (left.reaction) {
      effects.reactions.push_back(std::move(*left.reaction));
    } else {
      effects.removed_reactions.push_back({conversation_id, left.message_id, seq, reactor_type, reactor_id});
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

}  // namespace travelchat::detail
