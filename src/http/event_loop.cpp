#include "http/event_loop.hpp"

#include "http/server.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <memory>
#include <thread>

namespace travelchat::http {
namespace {

constexpr std::size_t scratch_bytes = 64 * 1024;
// Outboxes that are flushed in one round of the loop. The others gather what is appended until the next round.
constexpr std::size_t flush_slice = 32;

}  // namespace

Connection::Connection(EventLoop& loop)
    : server_(loop.server().shared_from_this()), loop_(loop), index_(loop.connections_.size()) {
  loop_.connections_.push_back(this);
}

Connection::~Connection() {
  Connection* const last = loop_.connections_.back();
  loop_.connections_[index_] = last;
  last->index_ = index_;
  loop_.connections_.pop_back();
}

EventLoop::EventLoop(Server& server, boost::asio::io_context& context)
    : server_(server), context_(context), timer_(context.get_executor()), scratch_(scratch_bytes) {}

EventLoop::~EventLoop() = default;

std::string_view EventLoop::date() {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (now != date_of_) {
    // strftime would use the process's locale.
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

void EventLoop::start() {
  schedule_tick();
}

void EventLoop::drain() {
  draining_ = true;
  on_drain();
  // A connection may end within the call, and so leave the list.
  for (std::size_t i = connections_.size(); i-- > 0;) {
    if (i >= connections_.size()) continue;
    const auto connection = connections_[i]->shared_from_this();
    connection->drain();
  }
}

void EventLoop::abort() {
  aborted_ = draining_ = true;
  timer_.cancel();
  on_abort();
  for (std::size_t i = connections_.size(); i-- > 0;) {
    if (i >= connections_.size()) continue;
    const auto connection = connections_[i]->shared_from_this();
    connection->abort();
  }
}

void EventLoop::list(Outbox& outbox) {
  outbox.listed_ = true;
  to_flush_.push_back(&outbox);
  post_flush();
}

void EventLoop::post_flush() {
  if (flush_posted_) return;
  flush_posted_ = true;
  boost::asio::post(context_, [this, server = server_.shared_from_this()] { flush(); });
}

void EventLoop::unlist(Outbox& outbox) noexcept {
  std::replace(to_flush_.begin(), to_flush_.end(), &outbox, static_cast<Outbox*>(nullptr));
}

void EventLoop::flush() {
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
  // In an application with its own HTTP server, whose event loop may share the processor: it would have to wait until a
  // large room is served.
  if (!server_.options().listens) std::this_thread::yield();
}

void EventLoop::add(IdleConnection& connection) {
  idle_.push_back(connection);
  if (!server_.is_slot_wanted()) return;
  boost::asio::post(context_, [this, server = server_.shared_from_this()] {
    if (server_.is_slot_wanted()) end_longest_idle();
  });
}

bool EventLoop::end_longest_idle() {
  for (auto it = idle_.begin(); it != idle_.end();) {
    if ((it++)->try_end()) return true;
  }
  return false;
}

void EventLoop::schedule_tick() {
  timer_.expires_after(server_.options().tick_interval);
  timer_.async_wait([this, server = server_.shared_from_this()](const error_code& ec) {
    if (!ec && !aborted_) tick();
  });
}

void EventLoop::tick() {
  const Now now{std::chrono::steady_clock::now(),
                std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now())};
  for (std::size_t i = connections_.size(); i-- > 0;) {
    if (i >= connections_.size()) continue;
    const auto connection = connections_[i]->shared_from_this();
    connection->tick(now);
  }
  on_tick(now);
  // A connection that was still sending an answer when a slot was wanted may be idle now.
  if (server_.is_slot_wanted()) end_longest_idle();
  schedule_tick();
}

}  // namespace travelchat::http
