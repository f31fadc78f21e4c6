// The listeners of one conversation (or of one organization's inbox), their typing states and their replays.
//
// Sans-io: no thread, no clock, no storage; `now` is passed. Owned by a shard and touched by its thread alone.
#pragma once

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
  // `encoder` outlives the room; `max_backlog`: live events kept for one listener during its replay.
  Room(const EventEncoder* encoder, std::size_t max_backlog, bool is_inbox) noexcept
      : encoder_(encoder), max_backlog_(max_backlog), is_inbox_(is_inbox) {}

  // Keys rise with every join. While `replaying`, live events wait until `finish_replay`.
  void join(std::uint64_t key, Role role, std::string participant_id, std::shared_ptr<Subscriber> subscriber,
            bool replaying);
  // Tells one listener the typing state; the first thing that a conversation's listener hears.
  void greet(std::uint64_t key);
  // Ends a listener and its typing.
  void leave(std::uint64_t key);

  // Hands over what the listener missed after `since`, then what waited. `changes` with `too_many` becomes a Resync.
  void finish_replay(std::uint64_t key, const ChangeList& changes);
  // The history could not be read: closes the listener.
  void fail_replay(std::uint64_t key, errc reason);

  // A listener's typing state, to be forgotten at `expires`.
  void set_typing(std::uint64_t key, bool is_typing, SteadyTime expires);
  // What a participant sent ends its typing on all of its sockets.
  void clear_typing(Role role, const std::string& participant_id);
  // Forgets what was not refreshed. Returns when to call again; nullopt: nobody types.
  std::optional<SteadyTime> expire_typing(SteadyTime now);
  bool anybody_typing() const noexcept { return typing_advisors_ + typing_clients_ > 0; }

  // Events in the order of their revisions, to every listener. Returns how many events were handed over.
  std::size_t publish(const SharedBatch& batch);

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

  Member* find(std::uint64_t key) noexcept;
  void stop_typing(Member& member) noexcept;
  TypingChanged typing() const noexcept { return {typing_advisors_ > 0, typing_clients_ > 0}; }
  void announce_typing(TypingChanged before, std::uint64_t starter);
  void deliver(Member& member, std::vector<Event> events) const;

  const EventEncoder* encoder_;
  std::size_t max_backlog_;
  bool is_inbox_;
  std::vector<Member> members_;  // by key, ascending
  std::size_t typing_advisors_ = 0;
  std::size_t typing_clients_ = 0;
};

}  // namespace travelchat::detail
