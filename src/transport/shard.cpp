#include "transport/shard.hpp"

#include "transport/server.hpp"

#include "core/clock.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <thread>

namespace travelchat::transport {
namespace {

constexpr std::size_t scratch_bytes = 64 * 1024;
// Outboxes flushed before the loop looks at its sockets again: what arrives meanwhile gathers in those still to come.
constexpr std::size_t flush_slice = 32;
constexpr std::size_t max_cards = 10'000;
constexpr auto slowest_tick = std::chrono::milliseconds{500};

// Often enough that no deadline is missed by more than a quarter, or by half a second.
std::chrono::milliseconds tick_interval(const BeastServerOptions& o) {
  const auto shortest = std::min({o.header_timeout, o.body_timeout, o.idle_timeout, o.write_timeout, o.ping_interval,
                                  o.silence_timeout, o.close_timeout});
  return std::clamp(shortest / 4, std::chrono::milliseconds{10}, slowest_tick);
}

std::string card_key(const std::string& org_id, const std::string& client_id) {
  std::string key;
  key.reserve(org_id.size() + 1 + client_id.size());
  key += org_id;
  key += '\0';
  key += client_id;
  return key;
}

template <class T>
void remove_at(std::vector<T*>& list, std::size_t index, std::size_t T::*member) noexcept {
  T* const last = list.back();
  list[index] = last;
  last->*member = index;
  list.pop_back();
}

}  // namespace

Connection::Connection(Shard& shard)
    : server_(shard.server().shared_from_this()), shard_(shard), index_(shard.connections_.size()) {
  shard_.connections_.push_back(this);
}

Connection::~Connection() {
  remove_at(shard_.connections_, index_, &Connection::index_);
}

Shard::Shard(Server& server, boost::asio::io_context& context)
    : server_(server),
      context_(context),
      timer_(context.get_executor()),
      tick_interval_(tick_interval(server.options())),
      scratch_(scratch_bytes) {}

std::string_view Shard::date() {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (now != date_of_) {
    // strftime would follow the process's locale.
    static constexpr std::array<const char*, 7> days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array<const char*, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t time = now.time_since_epoch().count();
    std::tm utc{};
    ::gmtime_r(&time, &utc);
    std::array<char, 64> text{};
    const int size = std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                                   days[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                                   months[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour,
                                   utc.tm_min, utc.tm_sec);
    date_.assign(text.data(), static_cast<std::size_t>(size));
    date_of_ = now;
  }
  return date_;
}

void Shard::start() {
  schedule_tick();
}

void Shard::drain() {
  draining_ = true;
  // A connection may end, and so leave its place, within the call.
  for (std::size_t i = connections_.size(); i-- > 0;) {
    if (i >= connections_.size()) continue;
    const auto connection = connections_[i]->shared_from_this();
    connection->drain();
  }
}

void Shard::cut() {
  cut_ = draining_ = true;
  timer_.cancel();
  while (!calls_.empty()) calls_.back()->abandon();
  for (std::size_t i = connections_.size(); i-- > 0;) {
    if (i >= connections_.size()) continue;
    const auto connection = connections_[i]->shared_from_this();
    connection->cut();
  }
}

void Shard::list(Outbox& outbox) {
  outbox.listed_ = true;
  to_flush_.push_back(&outbox);
  post_flush();
}

void Shard::post_flush() {
  if (flush_posted_) return;
  flush_posted_ = true;
  boost::asio::post(context_, [this, server = server_.shared_from_this()] { flush(); });
}

void Shard::unlist(Outbox& outbox) noexcept {
  std::replace(to_flush_.begin(), to_flush_.end(), &outbox, static_cast<Outbox*>(nullptr));
}

void Shard::flush() {
  flush_posted_ = false;
  for (std::size_t n = std::min<std::size_t>(to_flush_.size(), flush_slice); n > 0; --n) {
    Outbox* const outbox = to_flush_.front();
    to_flush_.pop_front();
    if (outbox == nullptr) continue;
    outbox->listed_ = false;
    outbox->flush_and_tell();
  }
  if (to_flush_.empty()) return;
  post_flush();
  // In a process with an HTTP server of its own, that one's event loop may share our processor; it would be kept
  // waiting for as long as a large room takes.
  if (!server_.options().listens) std::this_thread::yield();
}

void Shard::add(PendingCall& call) {
  call.index_ = calls_.size();
  calls_.push_back(&call);
}

void Shard::remove(PendingCall& call) noexcept {
  remove_at(calls_, call.index_, &PendingCall::index_);
}

bool Shard::admit_socket(const SocketOwner& owner) {
  const std::size_t limit = server_.options().rate_limits.sockets_per_participant;
  if (limit == 0) return true;
  std::size_t& count = sockets_[owner];
  if (count >= limit) return false;
  ++count;
  return true;
}

void Shard::release_socket(const SocketOwner& owner) noexcept {
  const auto it = sockets_.find(owner);
  if (it != sockets_.end() && --it->second == 0) sockets_.erase(it);
}

std::optional<const ClientCard*> Shard::find_card(const std::string& org_id, const std::string& client_id) {
  const auto it = cards_.find(card_key(org_id, client_id));
  if (it == cards_.end() || it->second.until < std::chrono::steady_clock::now()) return std::nullopt;
  return it->second.card ? &*it->second.card : nullptr;
}

void Shard::remember_card(const std::string& org_id, const std::string& client_id, std::optional<ClientCard> card,
                          std::chrono::seconds lifetime) {
  const auto now = std::chrono::steady_clock::now();
  if (cards_.size() >= max_cards) {
    std::erase_if(cards_, [&](const auto& entry) { return entry.second.until < now; });
    if (cards_.size() >= max_cards) cards_.clear();
  }
  cards_.insert_or_assign(card_key(org_id, client_id), RememberedCard{std::move(card), now + lifetime});
}

Buffer Shard::find_inbox_bytes(const EventBatch& batch) const noexcept {
  return inbox_batch_.get() == &batch ? inbox_bytes_ : nullptr;
}

void Shard::remember_inbox_bytes(std::shared_ptr<const EventBatch> batch, Buffer bytes) {
  inbox_batch_ = std::move(batch);
  inbox_bytes_ = std::move(bytes);
}

void Shard::schedule_tick() {
  timer_.expires_after(tick_interval_);
  timer_.async_wait([this, server = server_.shared_from_this()](const error_code& ec) {
    if (!ec && !cut_) tick();
  });
}

void Shard::tick() {
  const Now now{std::chrono::steady_clock::now(), utc_now()};
  inbox_batch_ = nullptr;
  inbox_bytes_ = nullptr;
  for (std::size_t i = connections_.size(); i-- > 0;) {
    if (i >= connections_.size()) continue;
    const auto connection = connections_[i]->shared_from_this();
    connection->tick(now);
  }
  schedule_tick();
}

}  // namespace travelchat::transport
