#include "core/room.hpp"

#include <algorithm>
#include <utility>

namespace travelchat::detail {

namespace {

std::vector<Event> events_of(const ChangeList& list) {
  std::vector<Event> events;
  events.reserve(list.changes.size() + 1);
  for (const Change& change : list.changes) {
    switch (change.kind) {
      case Change::Kind::message:
        events.emplace_back(MessageCreated{*change.message, change.rev});
        break;
      case Change::Kind::reaction:
        events.emplace_back(ReactionsChanged{change.message_id, change.reactions, change.rev});
        break;
      case Change::Kind::seen:
        events.emplace_back(MessagesSeen{change.at, change.rev});
        break;
      case Change::Kind::read:
        events.emplace_back(MessagesRead{change.at, change.rev});
        break;
    }
  }
  return events;
}

}  // namespace

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

void Room::finish_replay(std::uint64_t key, const ChangeList& changes) {
  Member* member = find(key);
  if (member == nullptr || !member->replay) return;
  const std::unique_ptr<Replay> replay = std::move(member->replay);
  const std::shared_ptr<Subscriber> subscriber = member->subscriber;  // what it does may move the members
  if (replay->overflown) {
    const std::uint64_t rev = std::max(replay->last_rev, changes.current_rev);
    member->delivered_rev = rev;
    deliver(*member, {Event(Resync{rev})});
    return;
  }
  member->delivered_rev = changes.current_rev;
  std::vector<Event> events;
  if (changes.too_many) {
    events.emplace_back(Resync{changes.current_rev});
  } else {
    events = events_of(changes);
    events.emplace_back(CaughtUp{changes.current_rev});
  }
  for (const SharedBatch& batch : replay->backlog) {
    for (const Event& event : batch->events()) {
      if (revision(event) > changes.current_rev) events.push_back(event);
    }
  }
  subscriber->deliver(std::make_shared<EventBatch>(std::move(events), encoder_));
}

void Room::fail_replay(std::uint64_t key, errc reason) {
  Member* member = find(key);
  if (member == nullptr || !member->replay) return;
  const std::shared_ptr<Subscriber> subscriber = member->subscriber;
  leave(key);
  subscriber->close(reason);
}

void Room::stop_typing(Member& member) noexcept {
  if (!member.is_typing) return;
  member.is_typing = false;
  --(member.role == Role::advisor ? typing_advisors_ : typing_clients_);
}

void Room::set_typing(std::uint64_t key, bool is_typing, SteadyTime expires) {
  Member* member = find(key);
  if (member == nullptr) return;
  const TypingChanged before = typing();
  if (is_typing) {
    if (!member->is_typing) ++(member->role == Role::advisor ? typing_advisors_ : typing_clients_);
    member->is_typing = true;
    member->typing_until = expires;
  } else {
    stop_typing(*member);
  }
  announce_typing(before, is_typing ? key : 0);
}

void Room::clear_typing(Role role, const std::string& participant_id) {
  if ((role == Role::advisor ? typing_advisors_ : typing_clients_) == 0) return;
  const TypingChanged before = typing();
  for (Member& member : members_) {
    if (member.role == role && member.participant_id == participant_id) stop_typing(member);
  }
  announce_typing(before, 0);
}

std::optional<SteadyTime> Room::expire_typing(SteadyTime now) {
  const TypingChanged before = typing();
  std::optional<SteadyTime> next;
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

// Everybody hears of a change but the one who began (`starter`), who need not be told of itself. Whoever was told of
// somebody else's typing is told of its end, also when its own typing was the last to stop: that is why each member
// remembers what it heard.
void Room::announce_typing(TypingChanged before, std::uint64_t starter) {
  const TypingChanged now = typing();
  if (now == before) return;
  const SharedBatch batch = std::make_shared<EventBatch>(std::vector<Event>{Event(now)}, encoder_);
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    if (member.key == starter || member.told == now) continue;
    member.told = now;
    if (member.is_typing) {
      bool& own = member.role == Role::advisor ? member.told.advisor_typing : member.told.client_typing;
      own = (member.role == Role::advisor ? typing_advisors_ : typing_clients_) > 1;
    }
    member.subscriber->deliver(batch);
  }
}

std::size_t Room::publish(const SharedBatch& batch) {
  const std::vector<Event>& events = batch->events();
  if (events.empty()) return 0;
  const std::uint64_t first = revision(events.front());
  const std::uint64_t last = revision(events.back());
  std::size_t delivered = 0;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    if (member.replay) {
      Replay& replay = *member.replay;
      replay.last_rev = std::max(replay.last_rev, last);
      replay.events += events.size();
      if (replay.events > max_backlog_) {
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
  return delivered;
}

void Room::close(errc reason) {
  std::vector<Member> members = std::move(members_);
  members_.clear();
  typing_advisors_ = typing_clients_ = 0;
  for (Member& member : members) member.subscriber->close(reason);
}

}  // namespace travelchat::detail
