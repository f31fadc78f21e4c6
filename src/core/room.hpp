// The listeners of one conversation (or of one organization's inbox), their typing states and their replays, and the
// order in which they are told.
//
// Sans-io: no thread, no clock, no storage; `now` is passed. Owned by a shard and touched by its thread alone.
#pragma once

#include "core/event_order.hpp"
#include "core/inbox_order.hpp"

#include <travelchat/event.hpp>
#include <travelchat/storage.hpp>
#include <travelchat/subscriber.hpp>
#include <travelchat/types.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace travelchat::detail {

using SteadyTime = std::chrono::steady_clock::time_point;
using SharedBatch = std::shared_ptr<const EventBatch>;

class Room {
 public:
  // `encoder` outlives the room. `max_backlog`: live events kept for one listener during its replay, and for all of
  // them while an earlier one is missing. `others_write`: other nodes do, too; then a conversation's room tells nothing
  // before `order().start_at`.
  Room(const EventEncoder* encoder, std::size_t max_backlog, bool is_inbox, bool others_write = false)
      : encoder_(encoder), max_backlog_(max_backlog), is_inbox_(is_inbox), order_(max_backlog, others_write) {
    if (is_inbox && others_write) inbox_order_ = std::make_unique<InboxOrder>();
  }

  // Keys rise with every join. While `replaying`, live events wait until `finish_replay`.
  void join(std::uint64_t key, Role role, std::string participant_id, std::shared_ptr<Subscriber> subscriber,
            bool replaying);
  // Tells one listener the typing state; the first thing that a conversation's listener hears.
  void greet(std::uint64_t key);
  // Ends a listener and its typing.
  void leave(std::uint64_t key);
  // The same, and tells it why.
  void dismiss(std::uint64_t key, errc reason);

  // Hands over what the listener missed after `since`, then what waited. `changes` with `too_many` becomes a Resync.
  void finish_replay(std::uint64_t key, ChangeList changes);
  // The history could not be read: closes the listener.
  void fail_replay(std::uint64_t key, errc reason);

  // A listener's typing state, to be forgotten at `expires`.
  void set_typing(std::uint64_t key, bool is_typing, SteadyTime expires);
  // What another node says of those who type there, to be forgotten at `expires`.
  void set_node_typing(const Uuid& node, TypingChanged typing, SteadyTime expires);
  // Forgets what was not refreshed. Returns when to call again; nullopt: nobody types.
  std::optional<SteadyTime> expire_typing(SteadyTime now);
  bool anybody_typing() const noexcept { return typing() != TypingChanged{}; }
  // Who types on this node.
  TypingChanged local_typing() const noexcept { return {typing_advisors_ > 0, typing_clients_ > 0}; }

  // Events in ascending order, to every listener, each in its turn. A message ends its sender's typing on all of its
  // sockets. Returns how many events were handed over.
  std::size_t publish(std::vector<Event> events);
  // What the storage has beyond `order().begin_fill()`. The same.
  std::size_t fill(ChangeList changes);
  // Tells that events up to `rev` were lost. The same.
  std::size_t resync(std::uint64_t rev, const std::optional<Uuid>& epoch = std::nullopt);
  // The storage is of another epoch, in which the conversation has reached `rev`. The same.
  std::size_t begin_epoch(std::uint64_t rev, const std::optional<Uuid>& epoch);
  EventOrder& order() noexcept { return order_; }

  // For an inbox: the whole list, after rows may have been missed. Returns how many events were handed over.
  std::size_t compare(std::vector<ConversationSummary> list);
  // The whole list of another epoch: all of it is told. The same.
  std::size_t begin_epoch(std::vector<ConversationSummary> list);

  void close(errc reason);
  bool is_inbox() const noexcept { return is_inbox_; }
  bool empty() const noexcept { return members_.empty(); }
  std::size_t size() const noexcept { return members_.size(); }

 private:
  struct Replay {
    std::vector<SharedBatch> backlog;
    std::size_t events = 0;
    std::uint64_t last_rev = 0;  // of the newest live event that came
    bool overflown = false;
  };

  struct Member {
    std::uint64_t key = 0;
    std::shared_ptr<Subscriber> subscriber;
    std::string participant_id;
    std::unique_ptr<Replay> replay;   // only while its history is read
    std::uint64_t delivered_rev = 0;  // events up to it came with the replay
    SteadyTime typing_until{};
    Role role = Role::advisor;
    bool is_typing = false;
    TypingChanged told;  // what it was last told, its own typing left out
  };

  // Another node on which somebody types.
  struct TypingNode {
    Uuid id;
    TypingChanged typing;
    SteadyTime until{};
  };

  Member* find(std::uint64_t key) noexcept;
  std::size_t& typing_count(Role role) noexcept { return role == Role::advisor ? typing_advisors_ : typing_clients_; }
  void stop_typing(Member& member) noexcept;
  TypingChanged elsewhere_typing() const noexcept;
  TypingChanged typing() const noexcept;
  void clear_typing(Role role, const std::string& participant_id);
  void announce_typing(TypingChanged before, std::uint64_t starter);
  void deliver(Member& member, std::vector<Event> events) const;
  std::size_t hand_out(std::vector<Event> events);

  const EventEncoder* encoder_;
  std::size_t max_backlog_;
  bool is_inbox_;
  EventOrder order_;
  std::unique_ptr<InboxOrder> inbox_order_;  // where other nodes write, too
  std::vector<Member> members_;              // by key, ascending
  std::size_t typing_advisors_ = 0;
  std::size_t typing_clients_ = 0;
  std::vector<TypingNode> typing_nodes_;
};

}  // namespace travelchat::detail
