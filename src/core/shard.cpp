#include "core/shard.hpp"

#include <boost/asio/post.hpp>

#include <future>
#include <utility>

namespace travelchat::detail {

namespace asio = boost::asio;

Shard::Shard(const EventEncoder* encoder, Limits limits)
    : work_(asio::make_work_guard(context_)), typing_timer_(context_), encoder_(encoder), limits_(limits) {}

Shard::~Shard() {
  stop();
}

void Shard::start() {
  // The thread waits until its handle is in place: `on_own_thread` reads it.
  std::promise<void> ready;
  thread_ = std::thread([this, go = ready.get_future()]() mutable {
    go.wait();
    context_.run();
  });
  ready.set_value();
}

void Shard::stop() {
  if (!thread_.joinable()) return;
  asio::post(context_, [this] {
    typing_timer_.cancel();
    auto rooms = std::exchange(rooms_, {});
    typing_rooms_.clear();
    room_count_ = 0;
    listeners_ = 0;
    inbox_listeners_ = 0;
    for (auto& [id, room] : rooms) room.close(errc::closed);
    // Completions that are already queued run first.
    asio::post(context_, [this] { context_.stop(); });
  });
  thread_.join();
  work_.reset();
}

Room* Shard::find(const Uuid& room) {
  const auto at = rooms_.find(room);
  return at == rooms_.end() ? nullptr : &at->second;
}

std::uint64_t Shard::join(const Uuid& id, Role role, std::string participant_id, std::shared_ptr<Subscriber> subscriber,
                          bool is_inbox, bool replaying) {
  const std::uint64_t key = next_key_++;
  Room& room = rooms_.try_emplace(id, encoder_, limits_.max_replay_backlog, is_inbox).first->second;
  room.join(key, role, std::move(participant_id), std::move(subscriber), replaying);
  room_count_ = rooms_.size();
  // Sequentially consistent: a commit that finds no listener here was durable before this listener's history is read.
  ++listeners_;
  if (is_inbox) {
    ++inbox_listeners_;
  } else {
    room.greet(key);
  }
  return key;
}

void Shard::leave(const Uuid& id, std::uint64_t key) {
  Room* room = find(id);
  if (room == nullptr) return;
  const std::size_t before = room->size();
  room->leave(key);
  settle_departures(id, *room, before);
}

void Shard::settle_departures(const Uuid& id, Room& room, std::size_t before) {
  const std::size_t gone = before - room.size();
  listeners_ -= gone;
  if (room.is_inbox()) inbox_listeners_ -= gone;
  if (!room.empty()) return;
  rooms_.erase(id);
  typing_rooms_.erase(id);
  room_count_ = rooms_.size();
}

void Shard::set_typing(const Uuid& id, std::uint64_t key, bool is_typing) {
  Room* room = find(id);
  if (room == nullptr) return;
  room->set_typing(key, is_typing, std::chrono::steady_clock::now() + limits_.typing_timeout);
  if (room->anybody_typing()) {
    watch_typing(id);
  } else {
    typing_rooms_.erase(id);
  }
}

void Shard::watch_typing(const Uuid& id) {
  typing_rooms_.insert(id);
  if (typing_timer_armed_) return;
  // All deadlines lie one and the same time-out ahead of their frame, so the first that is armed is the earliest.
  arm_typing_timer(std::chrono::steady_clock::now() + limits_.typing_timeout);
}

void Shard::arm_typing_timer(SteadyTime at) {
  typing_timer_armed_ = true;
  typing_timer_.expires_at(at);
  typing_timer_.async_wait([this](const error_code& error) {
    if (!error) expire_typing();
  });
}

void Shard::expire_typing() {
  typing_timer_armed_ = false;
  const SteadyTime now = std::chrono::steady_clock::now();
  std::optional<SteadyTime> earliest;
  for (auto at = typing_rooms_.begin(); at != typing_rooms_.end();) {
    Room* room = find(*at);
    const std::optional<SteadyTime> next = room != nullptr ? room->expire_typing(now) : std::nullopt;
    if (!next) {
      at = typing_rooms_.erase(at);
      continue;
    }
    if (!earliest || *next < *earliest) earliest = next;
    ++at;
  }
  if (earliest) arm_typing_timer(*earliest);
}

void Shard::finish_replay(const Uuid& id, std::uint64_t key, const result<ChangeList>& changes) {
  Room* room = find(id);
  if (room == nullptr) return;
  if (changes) {
    room->finish_replay(key, *changes);
    return;
  }
  const std::size_t before = room->size();
  room->fail_replay(key, describe(changes.error()).code);
  settle_departures(id, *room, before);
}

void Shard::publish(Publication publication) {
  Room* room = find(publication.room);
  if (room == nullptr) return;
  const auto batch = std::make_shared<const EventBatch>(std::move(publication.events), encoder_);
  deliveries_.fetch_add(room->publish(batch), std::memory_order_relaxed);
  for (const auto& [role, id] : publication.senders) room->clear_typing(role, id);
  if (!room->anybody_typing()) typing_rooms_.erase(publication.room);
}

}  // namespace travelchat::detail
