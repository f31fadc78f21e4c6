// One I/O thread and the rooms that belong to it: who listens, in what order they are told, what they have missed.
//
// Everything but `context`, `on_own_thread` and the counts is for the shard's own thread, so the fan-out needs no lock.
#pragma once

#include "core/digest.hpp"
#include "core/hint.hpp"
#include "core/room.hpp"

#include <travelchat/backplane.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace travelchat::detail {

// Events of one conversation (or inbox) on their way to its room.
struct Publication {
  Uuid room;
  std::vector<Event> events;
  std::uint64_t rev = 0;  // what the conversation has reached; 0: not told
};

// What a shard reads: called on its thread, answered there later, once each.
class ShardReads {
 public:
  template <class T>
  using Done = std::function<void(result<T>)>;

  virtual ~ShardReads() = default;
  virtual void read_changes(const Uuid& conversation, std::uint64_t since, Done<ChangeList> done) = 0;
  virtual void read_inbox(const std::string& org_id, Done<std::vector<ConversationSummary>> done) = 0;
  virtual void read_revisions(RevisionQuery query, Done<Revisions> done) = 0;
  // Those of the chat tokens that are live.
  virtual void read_live_tokens(std::vector<Sha256Digest> digests, Done<std::vector<Sha256Digest>> done) = 0;
  // A conversation's row as a list shows it; `errc::not_found`.
  virtual void read_row(const Uuid& conversation, Done<ConversationSummary> done) = 0;
  // Tells this row to the inboxes of its organization, here and on other nodes.
  virtual void publish_row(ConversationSummary row) = 0;
};

class Shard {
 public:
  struct Options {
    std::size_t max_replay_backlog = 0;
    std::chrono::milliseconds typing_timeout{0};
    std::chrono::milliseconds credential_check_interval{0};
    // With a backplane: see EngineOptions.
    std::chrono::milliseconds poll_interval{0};
    std::chrono::milliseconds poll_interval_down{0};
    Uuid node;  // names this node to the others
  };

  struct Joining {
    Uuid room;
    std::string inbox_of;  // the organization; empty: a conversation's room
    // Whose conversation it is.
    std::string org_id;
    std::string client_id;
    Role role = Role::advisor;
    std::string participant_id;
    std::shared_ptr<Subscriber> subscriber;
    Credential credential;
    bool replaying = false;
    // Where other nodes write, and the room is new: what the conversation had reached before, or the inbox's list.
    std::uint64_t known_rev = 0;
    std::vector<ConversationSummary> known_list;
  };

  // `backplane` may be null: then nobody else writes.
  Shard(const EventEncoder* encoder, Options options, Backplane* backplane);
  ~Shard();

  // `reads` outlives `stop`.
  void start(std::unique_ptr<ShardReads> reads);
  // Closes every listener, after what was posted before, and waits until that is done. Then `stop`, once all shards
  // have come so far: what one of them still answers on another's thread must find it there.
  void end_listening();
  // Runs what was posted before, and joins.
  void stop();

  boost::asio::io_context& context() noexcept { return context_; }
  // Its thread: every listener is closed, and what is posted from here on may not run.
  bool is_stopping() const noexcept { return is_stopping_; }
  // The shard whose thread calls this, of any engine; null: none.
  static Shard* running_here() noexcept;
  bool on_own_thread() const noexcept { return std::this_thread::get_id() == thread_.get_id(); }

  // Whether a room tells its listeners already, so that joining it needs neither of the known.
  bool has_room(const Uuid& room) const { return rooms_.contains(room); }
  // The conversation of a room that is there, as far as its owner; nullopt: no such room.
  std::optional<Conversation> owner_of(const Uuid& room) const;
  // Returns the new member's key; nullopt: its credential has ended.
  std::optional<std::uint64_t> join(Joining joining);
  void leave(const Uuid& room, std::uint64_t key);
  void set_typing(const Uuid& room, std::uint64_t key, bool is_typing);
  void finish_replay(const Uuid& room, std::uint64_t key, result<ChangeList> changes);
  void publish(Publication publication);
  // For a conversation that may have changed: the outcome of a write is unknown, or somebody wrote past the engine.
  // Tells the listeners, here and on other nodes, as soon as the storage can be read.
  void doubt(const Uuid& conversation);
  // The storage is of another epoch than what the listeners were told: they get a Resync, and an inbox its whole list,
  // as soon as the storage can be asked.
  void begin_epoch();

  // Closes whoever listens by one of these credentials, now and a while later: somebody who was let in by it may still
  // be on the way here.
  void end_credentials(const std::vector<Sha256Digest>& digests);
  // Checks the credentials of listeners at once: a hint that one has ended may have been lost.
  void check_credentials();

  // What came over the backplane.
  void take_hint(const Uuid& room, Hint hint);
  void joined(const Uuid& room);
  void missed();

  // Any thread.
  std::uint64_t deliveries() const noexcept { return deliveries_.load(std::memory_order_relaxed); }
  std::uint64_t rooms() const noexcept { return room_count_.load(std::memory_order_relaxed); }
  std::uint64_t listeners() const noexcept { return listeners_.load(); }
  std::uint64_t inbox_listeners() const noexcept { return inbox_listeners_.load(); }
  std::uint64_t catch_ups() const noexcept { return catch_ups_.load(std::memory_order_relaxed); }

 private:
  // A room, and what the shard does for it.
  struct RoomEntry {
    RoomEntry(std::uint64_t own_number, const EventEncoder* encoder, std::size_t max_backlog, bool is_inbox,
              bool others_write)
        : number(own_number), room(encoder, max_backlog, is_inbox, others_write) {}

    // Tells the room from an earlier one of the same conversation, for which a read may still come back.
    const std::uint64_t number;
    Room room;
    std::string inbox_of;
    std::string org_id;  // of a conversation, as its client
    std::string client_id;
    std::uint64_t list_mark = 0;  // of an inbox: Revisions::organizations when its list was last compared
    TypingChanged told_typing;    // to the other nodes
    SteadyTime told_typing_at{};
    bool is_reading = false;   // a read of what it has missed is under way
    bool read_again = false;   // something came meanwhile that the read may lack
    bool is_queued = false;    // in lagging_
    bool is_awaited = false;   // in awaited_
    bool is_doubtful = false;  // what it has missed is not known: whatever the storage has beyond it becomes a Resync
    bool is_outdated = false;  // what it was told is of another epoch
    // The new epoch while `is_outdated`: a read that brings another one was begun before.
    std::optional<Uuid> epoch;
  };

  RoomEntry* find(const Uuid& room);
  void count_delivered(std::size_t events) noexcept { deliveries_.fetch_add(events, std::memory_order_relaxed); }
  // After members may have left: `before` is how many there were.
  void settle_departures(const Uuid& id, RoomEntry& entry, std::size_t before);

  void watch_typing(const Uuid& room, SteadyTime until);
  void expire_typing();
  // Tells the other nodes who types here, when that has changed or was told long ago.
  void tell_typing(const Uuid& id, RoomEntry& entry);

  // ---- Credentials ----

  struct Holders {
    Credential credential;
    std::vector<std::pair<Uuid, std::uint64_t>> members;  // rooms and keys
  };

  void hold(const Credential& credential, const Uuid& room, std::uint64_t key);
  void let_go(std::uint64_t key);
  void arm_credential_timer(std::chrono::milliseconds pause);
  void look_at_credentials();
  void check_tokens_left();

  // ---- What was missed ----

  // Reads it when it has not come by itself in a moment.
  void await_missing(const Uuid& id, RoomEntry& entry);
  void stop_awaiting();
  // Reads it, a bounded number of rooms at once.
  void catch_up(const Uuid& id, RoomEntry& entry);
  void read_lagging();
  void read_missed(const Uuid& id, RoomEntry& entry);
  template <class Take>
  void finish_reading(const Uuid& id, std::uint64_t number, Take take);

  // ---- Polling ----

  void arm_poll_timer(bool at_once);
  void await_poll(std::chrono::milliseconds pause);
  void begin_poll();
  void poll_next();
  void take_revisions(const std::vector<Uuid>& conversations, const std::vector<Uuid>& inboxes,
                      const Revisions& revisions);
  // Reads the rows of what was in doubt and tells them, a bounded number at once.
  void tell_of_doubtful();

  boost::asio::io_context context_{1};
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
  std::thread thread_;
  bool is_stopping_ = false;
  const EventEncoder* encoder_;
  Options options_;
  Backplane* backplane_;
  std::unique_ptr<ShardReads> reads_;
  std::unordered_map<Uuid, RoomEntry> rooms_;
  std::uint64_t next_key_ = 1;

  boost::asio::steady_timer typing_timer_;
  std::optional<SteadyTime> typing_timer_at_;
  std::unordered_set<Uuid> typing_rooms_;

  std::unordered_map<Sha256Digest, Holders, DigestHash> credentials_;  // that listeners here rest on
  std::unordered_map<std::uint64_t, Sha256Digest> credential_of_;      // by a member's key
  // Those that have ended lately, oldest first in the queue. Bounded: the oldest make room.
  std::unordered_set<Sha256Digest, DigestHash> ended_;
  std::deque<std::pair<SteadyTime, Sha256Digest>> ended_at_;
  boost::asio::steady_timer credential_timer_;
  bool credential_timer_armed_ = false;
  std::vector<Sha256Digest> tokens_to_check_;
  bool is_checking_ = false;
  bool check_again_ = false;

  boost::asio::steady_timer await_timer_;
  std::vector<Uuid> awaited_;
  std::deque<Uuid> lagging_;
  std::size_t reads_under_way_ = 0;

  boost::asio::steady_timer poll_timer_;
  SteadyTime poll_due_{};  // at the latest
  bool is_polling_ = false;
  bool poll_again_ = false;
  bool poll_failed_ = false;
  unsigned poll_round_ = 0;
  std::vector<Uuid> to_poll_;
  std::unordered_set<Uuid> doubtful_;
  std::deque<Uuid> to_tell_;  // was in doubt, and has changed or may have
  std::size_t rows_under_way_ = 0;

  std::atomic<std::uint64_t> deliveries_{0};
  std::atomic<std::uint64_t> room_count_{0};
  std::atomic<std::uint64_t> listeners_{0};  // inbox listeners included
  std::atomic<std::uint64_t> inbox_listeners_{0};
  std::atomic<std::uint64_t> catch_ups_{0};
};

}  // namespace travelchat::detail
