#include "server/shard.hpp"

#include "server/server.hpp"
#include "websocket/frame_reader.hpp"
#include "websocket/web_socket.hpp"

#include "core/clock.hpp"

#include "wire/socket_text.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <thread>

namespace travelchat::transport {
namespace {

constexpr std::size_t scratch_bytes = 64 * 1024;
// Outboxes flushed before the loop looks at its sockets again: what arrives meanwhile gathers in those still to come.
constexpr std::size_t flush_slice = 32;
constexpr std::size_t max_cards = 10'000;
constexpr auto slowest_tick = std::chrono::milliseconds{500};
// For a socket to show that its peer is still there, when another of its owner's wants its place.
constexpr auto answer_timeout = std::chrono::seconds{3};

// Often enough that no deadline is missed by more than a quarter, or by half a second.
std::chrono::milliseconds tick_interval(const BeastServerOptions& o) {
  auto shortest = std::min({o.handshake_timeout, o.header_timeout, o.body_timeout, o.idle_timeout, o.write_timeout,
                            o.ping_interval, o.silence_timeout, o.close_timeout});
  if (o.host_timeout.count() > 0) shortest = std::min(shortest, o.host_timeout);
  return std::clamp(shortest / 4, std::chrono::milliseconds{10}, slowest_tick);
}

Buffer make_alive(const BeastServerOptions& options) {
  std::string event;
  wire::append_alive_event(options.ping_interval, event);
  return make_text_frame(event);
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
      scratch_(scratch_bytes),
      alive_(make_alive(server.options())),
      heartbeat_(std::make_shared<const std::string>(std::string(ping_frame) + *alive_)) {}

Shard::~Shard() = default;

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
  // They hear that the server stops, as the open ones do.
  for (const SocketOwner& owner : std::exchange(undecided_, {})) {
    const auto it = sockets_.find(owner);
    if (it == sockets_.end()) continue;
    for (auto& [socket, upgrade] : std::exchange(it->second.newcomers, {})) {
      socket->open(*upgrade, &describe(errc::closed));
    }
  }
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
  credentials_.clear();
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

void Shard::add(IdleConnection& connection) {
  idle_.push_back(connection);
  if (!server_.wants_room()) return;
  boost::asio::post(context_, [this, server = server_.shared_from_this()] {
    if (server_.wants_room()) end_longest_idle();
  });
}

bool Shard::end_longest_idle() {
  for (auto it = idle_.begin(); it != idle_.end();) {
    if ((it++)->give_way()) return true;
  }
  return false;
}

void Shard::add(PendingCall& call) {
  call.index_ = calls_.size();
  calls_.push_back(&call);
}

void Shard::remove(PendingCall& call) noexcept {
  remove_at(calls_, call.index_, &PendingCall::index_);
}

void Shard::admit(std::shared_ptr<WebSocket> socket, Upgrade upgrade) {
  const auto owner = socket->owner();
  const std::size_t limit = server_.options().rate_limits.sockets_per_participant;
  const auto found = !owner || limit == 0 ? sockets_.end() : sockets_.find(*owner);
  if (found == sockets_.end() || (found->second.open.size() < limit && found->second.newcomers.empty())) {
    socket->open(upgrade, nullptr);
    return;
  }
  OwnedSockets& owned = found->second;
  if (draining_ || owned.newcomers.size() >= limit) {
    socket->open(upgrade, &describe(draining_ ? errc::closed : errc::rate_limited));
    return;
  }
  if (owned.newcomers.empty()) undecided_.push_back(*owner);
  owned.newcomers.emplace_back(std::move(socket), std::make_unique<Upgrade>(std::move(upgrade)));
  owned.asked_at = std::chrono::steady_clock::now();
  // Asking may find that one is too slow, and close it.
  const std::vector<WebSocket*> open = owned.open;
  for (WebSocket* const other : open) other->ask();
}

void Shard::decide(const SocketOwner& owner, SteadyTime now) {
  const auto found = sockets_.find(owner);
  if (found == sockets_.end()) return;
  const std::size_t limit = server_.options().rate_limits.sockets_per_participant;
  const SteadyTime asked_at = found->second.asked_at;
  auto newcomers = std::exchange(found->second.newcomers, {});
  std::vector<WebSocket*> silent;
  std::ranges::copy_if(found->second.open, std::back_inserter(silent),
                       [&](const WebSocket* socket) { return socket->heard() < asked_at; });
  const bool is_over = silent.empty() || now - asked_at >= answer_timeout;
  if (is_over) {
    std::ranges::sort(silent, {}, &WebSocket::heard);
    const std::size_t all = newcomers.size() + found->second.open.size();
    const std::size_t too_many = all - std::min(all, limit);
    for (std::size_t i = 0; i < std::min(silent.size(), too_many); ++i) silent[i]->close(errc::rate_limited);
  }
  // A socket may end within `open`, and its owner's last one takes the entry along.
  const auto has_room = [&] {
    const auto it = sockets_.find(owner);
    return it == sockets_.end() || it->second.open.size() < limit;
  };
  // The last is the likeliest to be alive.
  for (; !newcomers.empty() && has_room(); newcomers.pop_back()) {
    newcomers.back().first->open(*newcomers.back().second, nullptr);
  }
  if (!is_over && !newcomers.empty()) {
    OwnedSockets& owned = sockets_[owner];
    owned.newcomers = std::move(newcomers);
    owned.asked_at = asked_at;
    undecided_.push_back(owner);
    return;
  }
  for (auto& [socket, upgrade] : newcomers) socket->open(*upgrade, &describe(errc::rate_limited));
}

void Shard::add(const SocketOwner& owner, WebSocket& socket) {
  sockets_[owner].open.push_back(&socket);
}

void Shard::remove(const SocketOwner& owner, WebSocket& socket) noexcept {
  const auto found = sockets_.find(owner);
  if (found == sockets_.end()) return;
  OwnedSockets& owned = found->second;
  std::erase(owned.open, &socket);
  if (owned.open.empty() && owned.newcomers.empty()) sockets_.erase(found);
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
  for (std::size_t i = calls_.size(); i-- > 0;) {
    if (i < calls_.size()) calls_[i]->tick(now.steady);
  }
  for (const SocketOwner& owner : std::exchange(undecided_, {})) decide(owner, now.steady);
  // Whoever was still sending an answer when it was asked.
  if (server_.wants_room()) end_longest_idle();
  credentials_.tick(now);
  schedule_tick();
}

}  // namespace travelchat::transport
