#include "http/server.hpp"

#include "http/external_request.hpp"
#include "http/listener.hpp"
#include "http/session.hpp"

#include <boost/asio/post.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

namespace travelchat::http {
namespace {

// Whether text can stand in a request line or a header field without ending it early.
bool is_one_word(std::string_view text) noexcept {
  return !text.empty() && std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) <= ' '; });
}

bool is_one_line(std::string_view text) noexcept {
  return std::ranges::none_of(text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

bool can_be_written(const HttpRequest& request) noexcept {
  return is_one_word(request.method) && is_one_word(request.target) &&
         std::ranges::all_of(request.headers, [](const auto& field) {
           return is_one_word(field.first) && field.first.find(':') == field.first.npos && is_one_line(field.second);
         });
}

// How long `stop` waits, beyond its grace, for threads that may be gone.
constexpr auto extra_stop_wait = std::chrono::seconds{1};

}  // namespace

Server::Server(Options options, std::shared_ptr<const Logger> logger)
    : options_(std::move(options)), logger_(std::move(logger)) {
  for (const std::string& proxy : options_.trusted_proxies) trusted_proxies_.push_back(*AddressRange::parse(proxy));
  if (options_.tls) {
    tls_ = make_tls_context(*options_.tls);
    if (const auto age = options_.tls->hsts_max_age; age.count() > 0) {
      hsts_ = "Strict-Transport-Security: max-age=" + std::to_string(age.count()) + "\r\n";
    }
  }
}

Server::~Server() = default;

void Server::add_loop(std::unique_ptr<EventLoop> loop) {
  loops_.push_back(std::move(loop));
  if (!listener_) listener_ = std::make_shared<Listener>(*loops_.front());
}

bool Server::has_started() const {
  const std::scoped_lock lock(mutex_);
  return stage_ != Stage::made;
}

error_code Server::start() {
  const std::scoped_lock lock(mutex_);
  if (stage_ != Stage::made) return make_error_code(errc::closed);
  if (options_.listens) {
    if (const error_code ec = listener_->open(options_.address, options_.port)) return ec;
    port_ = listener_->port();
  }
  stage_ = Stage::started;
  run_state_->begin();
  for (const auto& loop : loops_) {
    boost::asio::post(loop->context(), [&loop = *loop, self = shared_from_this()] { loop.start(); });
  }
  boost::asio::post(loops_.front()->context(), [self = shared_from_this()] { self->listener_->run(); });
  return {};
}

void Server::stop(std::chrono::milliseconds grace) {
  std::unique_lock lock(mutex_);
  if (stage_ == Stage::made) stage_ = Stage::stopped;
  if (stage_ == Stage::stopping) changed_.wait(lock, [&] { return stage_ == Stage::stopped; });
  if (stage_ == Stage::stopped) return;
  stage_ = Stage::stopping;
  boost::asio::post(loops_.front()->context(), [self = shared_from_this()] { self->listener_->close(); });
  for (const auto& loop : loops_) {
    boost::asio::post(loop->context(), [&loop = *loop, self = shared_from_this()] { loop.drain(); });
  }
  changed_.wait_for(lock, grace, [&] { return connections_ == 0; });
  for (const auto& loop : loops_) {
    boost::asio::post(loop->context(), [&loop = *loop, self = shared_from_this()] {
      loop.abort();
      const std::scoped_lock locked(self->mutex_);
      ++self->loops_aborted_;
      self->changed_.notify_all();
    });
  }
  changed_.wait_for(lock, extra_stop_wait, [&] { return loops_aborted_ == loops_.size(); });
  // Closed sockets are destroyed in the next round of their loop.
  changed_.wait_for(lock, extra_stop_wait, [&] { return connections_ == 0; });
  lock.unlock();
  run_state_->end();
  lock.lock();
  stage_ = Stage::stopped;
  changed_.notify_all();
}

bool Server::try_take_slot() noexcept {
  if (connections_.fetch_add(1) < options_.max_connections) return true;
  // Set before the slot is given back, so that a connection that ends meanwhile sees it.
  listener_waits_ = true;
  leave_slot(std::nullopt);
  return false;
}

bool Server::count_address(const Address& remote, std::optional<Address>& counted) {
  const std::size_t limit = options_.connections_per_address;
  // A proxy's connections come from many clients.
  if (limit == 0 || is_in(remote, trusted_proxies_)) return true;
  const Address network = remote.network();
  const std::scoped_lock lock(addresses_mutex_);
  std::size_t& connections = addresses_[network];
  if (connections >= limit) {
    turned_away_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  ++connections;
  counted = network;
  return true;
}

void Server::free_slot() {
  is_slot_wanted_ = true;
  end_longest_idle(next_to_free_++ % loops_.size(), loops_.size());
}

void Server::end_longest_idle(std::size_t loop, std::size_t tries) {
  boost::asio::post(loops_[loop]->context(), [self = shared_from_this(), loop, tries] {
    if (self->loops_[loop]->end_longest_idle() || tries == 1) return;
    self->run_state_->if_running([&] { self->end_longest_idle((loop + 1) % self->loops_.size(), tries - 1); });
  });
}

void Server::leave_slot(const std::optional<Address>& counted) {
  if (counted) {
    const std::scoped_lock lock(addresses_mutex_);
    const auto it = addresses_.find(*counted);
    if (--it->second == 0) addresses_.erase(it);
  }
  const std::size_t before = connections_.fetch_sub(1);
  if (before <= options_.max_connections && listener_waits_.exchange(false)) {
    run_state_->if_running([this] {
      boost::asio::post(loops_.front()->context(), [self = shared_from_this()] { self->listener_->resume(); });
    });
  }
  if (before == 1) {
    const std::scoped_lock lock(mutex_);
    changed_.notify_all();
  }
}

void Server::record(const AccessRecord& record) const noexcept {
  if (!access_log) return;
  try {
    access_log(record);
  } catch (...) {
    logger_->caught("access_log_threw", record.path);
  }
}

void Server::handle(HttpRequest request, HttpRespond respond) {
  Responder responder(std::move(respond), logger_, options_.error_body);
  if (!try_take_slot()) {
    responder.fail(describe(errc::overloaded));
    return;
  }
  EventLoop& loop = next_loop();
  auto begin = [&loop, slot = ConnectionSlot(shared_from_this()), asked = std::move(request),
                answering = std::move(responder)]() mutable {
    if (!loop.was_aborted()) answer_external_request(loop, std::move(slot), std::move(asked), std::move(answering));
  };
  run_state_->if_running([&] { boost::asio::post(loop.context(), std::move(begin)); });
}

error_code Server::adopt(RawSocket socket, HttpRequest upgrade, std::string head) {
  if (!can_be_written(upgrade)) return errc::invalid_argument;
  if (!try_take_slot()) return errc::overloaded;
  const int on = 1;
  // Fails, without harm, on a socket that is not TCP.
  ::setsockopt(socket.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  EventLoop& loop = next_loop();
  auto begin = [&loop, slot = ConnectionSlot(shared_from_this()), raw = std::move(socket), asked = std::move(upgrade),
                behind = std::move(head)]() mutable {
    if (!loop.draining()) open_adopted_session(loop, std::move(slot), std::move(raw), asked, behind);
  };
  const bool posted = run_state_->if_running([&] { boost::asio::post(loop.context(), std::move(begin)); });
  return posted ? error_code() : make_error_code(errc::closed);
}

}  // namespace travelchat::http
