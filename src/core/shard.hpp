// One I/O thread and the rooms that belong to it.
//
// Everything but `post` and `context` is for the shard's own thread. That is the whole locking of the fan-out.
#pragma once

#include "core/room.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace travelchat::detail {

// Events of one conversation on their way from the committer to its room.
struct Publication {
  Uuid room;
  std::vector<Event> events;
  std::vector<std::pair<Role, std::string>> senders;  // their typing ends
};

class Shard {
 public:
  struct Limits {
    std::size_t max_replay_backlog = 0;
    std::chrono::milliseconds typing_timeout{0};
  };

  Shard(const EventEncoder* encoder, Limits limits);
  ~Shard();

  void start();
  // Closes every listener, runs what was posted before, and joins.
  void stop();

  boost::asio::io_context& context() noexcept { return context_; }
  bool on_own_thread() const noexcept { return std::this_thread::get_id() == thread_.get_id(); }

  // Returns the new member's key.
  std::uint64_t join(const Uuid& room, Role role, std::string participant_id, std::shared_ptr<Subscriber> subscriber,
                     bool is_inbox, bool replaying);
  void leave(const Uuid& room, std::uint64_t key);
  void set_typing(const Uuid& room, std::uint64_t key, bool is_typing);
  void finish_replay(const Uuid& room, std::uint64_t key, const result<ChangeList>& changes);
  void publish(Publication publication);

  // Any thread.
  std::uint64_t deliveries() const noexcept { return deliveries_.load(std::memory_order_relaxed); }
  std::uint64_t rooms() const noexcept { return room_count_.load(std::memory_order_relaxed); }
  std::uint64_t listeners() const noexcept { return listeners_.load(); }
  std::uint64_t inbox_listeners() const noexcept { return inbox_listeners_.load(); }

 private:
  Room* find(const Uuid& room);
  void watch_typing(const Uuid& room);
  void arm_typing_timer(SteadyTime at);
  void expire_typing();
  // After members may have left: `before` is how many there were.
  void settle_departures(const Uuid& id, Room& room, std::size_t before);

  boost::asio::io_context context_{1};
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
  boost::asio::steady_timer typing_timer_;
  bool typing_timer_armed_ = false;
  std::thread thread_;
  const EventEncoder* encoder_;
  Limits limits_;
  std::unordered_map<Uuid, Room> rooms_;
  std::unordered_set<Uuid> typing_rooms_;
  std::uint64_t next_key_ = 1;
  std::atomic<std::uint64_t> deliveries_{0};
  std::atomic<std::uint64_t> room_count_{0};
  std::atomic<std::uint64_t> listeners_{0};  // inbox listeners included
  std::atomic<std::uint64_t> inbox_listeners_{0};
};

}  // namespace travelchat::detail
