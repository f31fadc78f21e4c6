#include "core/event_order.hpp"

#include <algorithm>
#include <utility>

namespace travelchat::detail {

std::vector<Event> events_of(ChangeList list) {
  std::vector<Event> events;
  events.reserve(list.changes.size() + 1);
  for (Change& change : list.changes) {
    if (change.message) {
      Message& message = *change.message;
      if (change.rev == change.created_rev)
        events.emplace_back(MessageCreated{std::move(message), change.rev});
      else if (change.rev == change.content_rev)
        events.emplace_back(MessageChanged{std::move(message), change.rev});
      else
        events.emplace_back(ReactionsChanged{message.id, std::move(message.reactions), change.rev});
    } else if (change.mark && change.mark->viewer == Role::client) {
      events.emplace_back(MessagesSeen{change.mark->at, change.rev});
    } else if (change.mark) {
      events.emplace_back(MessagesRead{change.mark->at, change.rev});
    }
  }
  return events;
}

void EventOrder::start_at(std::uint64_t rev) noexcept {
  if (started_) return;
  started_ = true;
  told_ = rev;
  reached_ = std::max(reached_, rev);
}

std::vector<Event> EventOrder::take(std::vector<Event> events) {
  if (events.empty()) return events;
  const std::uint64_t first = revision(events.front());
  const std::uint64_t last = revision(events.back());
  if (!started_ && !others_write_) start_at(first - 1);
  const bool is_dense = last - first + 1 == events.size();
  if (started_ && waiting_.empty() && first == told_ + 1 && is_dense) {
    told_ = last;
    reached_ = std::max(reached_, last);
    return events;
  }
  for (Event& event : events) {
    const std::uint64_t rev = revision(event);
    if (!started_ || rev > told_) waiting_.try_emplace(rev, std::move(event));
  }
  reached_ = std::max(reached_, last);
  std::vector<Event> out;
  drain(out);
  return out;
}

void EventOrder::drain(std::vector<Event>& out) {
  if (!started_) return;
  auto next = waiting_.begin();
  for (; next != waiting_.end() && next->first <= told_ + 1; ++next) {
    if (next->first <= told_) continue;
    told_ = next->first;
    out.push_back(std::move(next->second));
  }
  waiting_.erase(waiting_.begin(), next);
  if (waiting_.size() > max_waiting_) waiting_.clear();
}

void EventOrder::expect(std::uint64_t rev) noexcept {
  reached_ = std::max(reached_, rev);
}

std::uint64_t EventOrder::begin_fill() noexcept {
  asked_told_ = told_;
  asked_reached_ = reached_;
  return told_;
}

std::vector<Event> EventOrder::fill(ChangeList changes) {
  const std::uint64_t current = changes.current_rev;
  // A revision that was announced before this read, and is not in it, will never come: the storage went back to an
  // older state, or the hint was wrong.
  if (current < asked_reached_) {
    waiting_.erase(waiting_.upper_bound(current), waiting_.upper_bound(asked_reached_));
    reached_ = waiting_.empty() ? current : std::max(current, waiting_.rbegin()->first);
  }
  if (current < asked_told_ || (changes.too_many && current > told_)) return resync(current, changes.epoch);
  std::vector<Event> events = events_of(std::move(changes));
  std::erase_if(events, [this](const Event& event) { return revision(event) <= told_; });
  if (!events.empty()) told_ = revision(events.back());
  told_ = std::max(told_, current);
  reached_ = std::max(reached_, current);
  drain(events);
  return events;
}

std::vector<Event> EventOrder::begin_epoch(std::uint64_t rev, const std::optional<Uuid>& epoch) {
  waiting_.clear();
  reached_ = 0;
  return resync(rev, epoch);
}

std::vector<Event> EventOrder::resync(std::uint64_t rev, const std::optional<Uuid>& epoch) {
  started_ = true;
  told_ = rev;
  reached_ = std::max(reached_, rev);
  std::vector<Event> events{Event(Resync{rev, epoch})};
  drain(events);
  return events;
}

}  // namespace travelchat::detail
