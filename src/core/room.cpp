#include "core/room.hpp"

#include <algorithm>
#include <utility>

namespace travelchat::detail {

Room::Member* Room::find(std::uint64_t key) noexcept {
  const auto at = std::lower_bound(members_.begin(), members_.end(), key,
                                   [](const Member& member, std::uint64_t wanted) { return member.key < wanted; });
  return at != members_.end() && at->key == key ? &*at : nullptr;
}

void Room::deliver(Member& member, std::vector<Event> events) const {
  member.subscriber->deliver(std::make_shared<EventBatch>(std::move(events), encoder_));
}

void Room::join(std::uint64_t key, Role role, std::string participant_id, std::shared_ptr<Subscriber> subscriber,
                bool replaying) {
  Member member;
  member.key = key;
  member.role = role;
  member.participant_id = std::move(participant_id);
  member.subscriber = std::move(subscriber);
  if (replaying) member.replay = std::make_unique<Replay>();
  members_.push_back(std::move(member));
}

void Room::greet(std::uint64_t key) {
  Member* member = find(key);
  if (member == nullptr) return;
  member->told = typing();
  deliver(*member, {Event(member->told)});
}

void Room::leave(std::uint64_t key) {
  Member* member = find(key);
  if (member == nullptr) return;
  const TypingChanged before = typing();
  stop_typing(*member);
  members_.erase(members_.begin() + (member - members_.data()));
  announce_typing(before, 0);
}

void Room::dismiss(std::uint64_t key, errc reason) {
  Member* member = find(key);
  if (member == nullptr) return;
  const std::shared_ptr<Subscriber> subscriber = member->subscriber;
  leave(key);
  subscriber->close(reason);
}

void Room::finish_replay(std::uint64_t key, ChangeList changes) {
  Member* member = find(key);
  if (member == nullptr || !member->replay) return;
  const std::unique_ptr<Replay> replay = std::move(member->replay);
  const std::shared_ptr<Subscriber> subscriber = member->subscriber;  // its calls may move the members
  if (replay->overflown) {
    const std::uint64_t rev = std::max(replay->last_rev, changes.current_rev);
    member->delivered_rev = rev;
    deliver(*member, {Event(Resync{rev, changes.epoch})});
    return;
  }
  const std::uint64_t current = changes.current_rev;
  member->delivered_rev = current;
  std::vector<Event> events;
  if (changes.too_many) {
    events.emplace_back(Resync{current, changes.epoch});
  } else {
    const std::optional<Uuid> epoch = changes.epoch;
    events = events_of(std::move(changes));
    events.emplace_back(CaughtUp{current, epoch});
  }
  for (const SharedBatch& batch : replay->backlog) {
    for (const Event& event : batch->events()) {
      if (revision(event) > current) events.push_back(event);
    }
  }
  subscriber->deliver(std::make_shared<EventBatch>(std::move(events), encoder_));
}

void Room::fail_replay(std::uint64_t key, errc reason) {
  const Member* member = find(key);
  if (member != nullptr && member->replay) dismiss(key, reason);
}

void Room::stop_typing(Member& member) noexcept {
  if (!member.is_typing) return;
  member.is_typing = false;
  --typing_count(member.role);
}

void Room::set_typing(std::uint64_t key, bool is_typing, SteadyTime expires) {
  Member* member = find(key);
  if (member == nullptr) return;
  const TypingChanged before = typing();
  if (is_typing) {
    if (!member->is_typing) ++typing_count(member->role);
    member->is_typing = true;
    member->typing_until = expires;
  } else {
    stop_typing(*member);
  }
  announce_typing(before, is_typing ? key : 0);
}

TypingChanged Room::elsewhere_typing() const noexcept {
  TypingChanged typing;
  for (const TypingNode& node : typing_nodes_) {
    typing.advisor_typing |= node.typing.advisor_typing;
    typing.client_typing |= node.typing.client_typing;
  }
  return typing;
}

TypingChanged Room::typing() const noexcept {
  const TypingChanged here = local_typing();
  const TypingChanged elsewhere = elsewhere_typing();
  return {here.advisor_typing || elsewhere.advisor_typing, here.client_typing || elsewhere.client_typing};
}

void Room::set_node_typing(const Uuid& node, TypingChanged typing, SteadyTime expires) {
  const TypingChanged before = this->typing();
  std::erase_if(typing_nodes_, [&](const TypingNode& known) { return known.id == node; });
  if (typing != TypingChanged{}) typing_nodes_.push_back({node, typing, expires});
  announce_typing(before, 0);
}

void Room::clear_typing(Role role, const std::string& participant_id) {
  if (typing_count(role) == 0) return;
  const TypingChanged before = typing();
  for (Member& member : members_) {
    if (member.role == role && member.participant_id == participant_id) stop_typing(member);
  }
  announce_typing(before, 0);
}

std::optional<SteadyTime> Room::expire_typing(SteadyTime now) {
  const TypingChanged before = typing();
  std::optional<SteadyTime> next;
  std::erase_if(typing_nodes_, [now](const TypingNode& node) { return node.until <= now; });
  for (const TypingNode& node : typing_nodes_) {
    if (!next || node.until < *next) next = node.until;
  }
  for (Member& member : members_) {
    if (!member.is_typing) continue;
    if (member.typing_until <= now) {
      stop_typing(member);
    } else if (!next || member.typing_until < *next) {
      next = member.typing_until;
    }
  }
  announce_typing(before, 0);
  return next;
}

// Tells everybody of a change, except the one whose own typing began (`starter`). A member that was told of somebody
// else's typing is told of its end, also when its own typing was the last to stop: so each member's `told` is
// remembered.
void Room::announce_typing(TypingChanged before, std::uint64_t starter) {
  const TypingChanged now = typing();
  if (now == before) return;
  const SharedBatch batch = std::make_shared<EventBatch>(std::vector<Event>{Event(now)}, encoder_);
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    if (member.key == starter || member.told == now) continue;
    member.told = now;
    if (member.is_typing) {
      const TypingChanged elsewhere = elsewhere_typing();
      const bool is_advisor = member.role == Role::advisor;
      bool& own = is_advisor ? member.told.advisor_typing : member.told.client_typing;
      own = typing_count(member.role) > 1 || (is_advisor ? elsewhere.advisor_typing : elsewhere.client_typing);
    }
    member.subscriber->deliver(batch);
  }
}

std::size_t Room::publish(std::vector<Event> events) {
  if (!is_inbox()) return hand_out(order_.take(std::move(events)));
  if (inbox_order_) {
    std::erase_if(events, [this](const Event& event) {
      const auto* updated = std::get_if<ConversationUpdated>(&event);
      return updated != nullptr && !inbox_order_->take(updated->summary);
    });
  }
  return hand_out(std::move(events));
}

std::size_t Room::fill(ChangeList changes) {
  return hand_out(order_.fill(std::move(changes)));
}

std::size_t Room::resync(std::uint64_t rev, const std::optional<Uuid>& epoch) {
  return hand_out(order_.resync(rev, epoch));
}

std::size_t Room::begin_epoch(std::uint64_t rev, const std::optional<Uuid>& epoch) {
  // Revisions of the old epoch do not compare with the new ones.
  for (Member& member : members_) member.delivered_rev = 0;
  return hand_out(order_.begin_epoch(rev, epoch));
}

std::size_t Room::begin_epoch(std::vector<ConversationSummary> list) {
  if (inbox_order_) {
    *inbox_order_ = InboxOrder();
    inbox_order_->compare(list);
  }
  std::vector<Event> events;
  events.reserve(list.size());
  for (ConversationSummary& row : list) events.emplace_back(ConversationUpdated{std::move(row)});
  return hand_out(std::move(events));
}

std::size_t Room::compare(std::vector<ConversationSummary> list) {
  return inbox_order_ ? hand_out(inbox_order_->compare(std::move(list))) : 0;
}

std::size_t Room::hand_out(std::vector<Event> list) {
  if (list.empty()) return 0;
  const SharedBatch batch = std::make_shared<EventBatch>(std::move(list), encoder_);
  const std::vector<Event>& events = batch->events();
  const auto* resync = std::get_if<Resync>(&events.front());
  const std::uint64_t first = resync != nullptr ? resync->rev : revision(events.front());
  const std::uint64_t last = std::max(first, revision(events.back()));
  std::size_t delivered = 0;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    if (member.replay) {
      Replay& replay = *member.replay;
      replay.last_rev = std::max(replay.last_rev, last);
      replay.events += events.size();
      // With a Resync, the history that is being read may end before the gap.
      if (replay.events > max_backlog_ || resync != nullptr) {
        replay.overflown = true;
        replay.backlog.clear();
      } else if (!replay.overflown) {
        replay.backlog.push_back(batch);
      }
      continue;
    }
    if (first > member.delivered_rev || last == 0) {
      delivered += events.size();
      member.subscriber->deliver(batch);
      continue;
    }
    // The replay ended inside this batch, or behind it.
    std::vector<Event> rest;
    for (const Event& event : events) {
      if (revision(event) > member.delivered_rev) rest.push_back(event);
    }
    delivered += rest.size();
    if (!rest.empty()) deliver(member, std::move(rest));
  }
  for (const Event& event : events) {
    if (const auto* created = std::get_if<MessageCreated>(&event)) {
      clear_typing(created->message.sender_type, created->message.sender_id);
    }
  }
  return delivered;
}

void Room::close(errc reason) {
  std::vector<Member> members = std::move(members_);
  members_.clear();
  typing_advisors_ = typing_clients_ = 0;
  typing_nodes_.clear();
  for (Member& member : members) member.subscriber->close(reason);
}

}  // namespace travelchat::detail
