// Puts a conversation's events into the order of their revisions, each once, wherever they come from: commits of this
// node, hints of other nodes, the storage.
//
// Sans-io: no thread, no clock, no storage. Owned by a room.
#pragma once

#include <travelchat/event.hpp>
#include <travelchat/storage.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace travelchat::detail {

// The events of a history, in order.
std::vector<Event> events_of(ChangeList list);

class EventOrder {
 public:
  // `max_waiting`: events kept while an earlier one is missing; beyond it they are dropped, to be read again. Where
  // nobody else writes, the first event that comes begins the order; where others do, `start_at` does.
  EventOrder(std::size_t max_waiting, bool others_write) noexcept
      : max_waiting_(max_waiting), others_write_(others_write) {}

  // Everything up to `rev` counts as told. No effect once there is an order.
  void start_at(std::uint64_t rev) noexcept;
  bool has_started() const noexcept { return started_; }
  // The revision up to which everything was returned.
  std::uint64_t told() const noexcept { return told_; }

  // Takes events in ascending order and returns those whose turn it is.
  std::vector<Event> take(std::vector<Event> events);
  // Notes that the conversation has reached `rev`.
  void expect(std::uint64_t rev) noexcept;
  // Whether there is more than was told.
  bool is_behind() const noexcept { return started_ && reached_ > told_; }

  // To be followed by `fill` with the changes since the revision that it returns, read after this call.
  std::uint64_t begin_fill() noexcept;
  // Too many changes become one Resync, alone or first in what is returned.
  std::vector<Event> fill(ChangeList changes);
  // Starts over at `rev` with a Resync, because events before it were lost.
  std::vector<Event> resync(std::uint64_t rev, const std::optional<Uuid>& epoch = std::nullopt);
  // The same for a new epoch: everything from before is forgotten. To be followed by a fill.
  std::vector<Event> begin_epoch(std::uint64_t rev, const std::optional<Uuid>& epoch);

 private:
  // Appends what waited for its turn.
  void drain(std::vector<Event>& out);

  std::size_t max_waiting_;
  bool others_write_;
  bool started_ = false;
  std::uint64_t told_ = 0;
  std::uint64_t reached_ = 0;  // the highest revision heard of
  // The same two when the last `begin_fill` was called.
  std::uint64_t asked_told_ = 0;
  std::uint64_t asked_reached_ = 0;
  std::map<std::uint64_t, Event> waiting_;
};

}  // namespace travelchat::detail
