#include "server/server.hpp"

#include "http/http_session.hpp"
#include "http/request.hpp"
#include "server/handed_request.hpp"
#include "server/server_options.hpp"
#include "websocket/relay.hpp"

#include <boost/asio/post.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <string_view>

namespace travelchat::transport {
namespace {

// Whether the parts of a request line or a header field keep to their places when they are written out.
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
constexpr auto patience = std::chrono::seconds{1};

class MetricsText {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += "# HELP ";
    text_ += name;
    text_ += ' ';
    text_ += help;
    text_ += "\n# TYPE ";
    text_ += name;
    text_ += ' ';
    text_ += type;
    text_ += '\n';
  }

  void value(std::uint64_t number, std::string_view labels = {}) {
    text_ += name_;
    text_ += labels;
    text_ += ' ';
    text_ += std::to_string(number);
    text_ += '\n';
  }

  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

}  // namespace

Server::Server(ChatEngine& engine, Host& host, BeastServerOptions options)
    : engine_(engine),
      host_(host),
      options_(checked(std::move(options))),
      logger_(std::make_shared<const Logger>(options_.log ? options_.log : engine.log())),
      base_path_(options_.base_path),
      limits_(options_.rate_limits) {
  for (const std::string& proxy : options_.trusted_proxies) trusted_proxies_.push_back(*AddressRange::parse(proxy));
  if (options_.tls) {
    tls_ = make_tls_context(*options_.tls);
    if (const auto age = options_.tls->hsts_max_age; age.count() > 0) {
      hsts_ = "Strict-Transport-Security: max-age=" + std::to_string(age.count()) + "\r\n";
    }
  }
  shards_.reserve(engine.shard_count());
  for (std::size_t i = 0; i < engine.shard_count(); ++i) {
    shards_.push_back(std::make_unique<Shard>(*this, engine.shard_context(i)));
  }
  listener_ = std::make_shared<Listener>(*shards_.front());
}

void Server::require_unstarted(const char* call) const {
  const std::scoped_lock lock(mutex_);
  if (stage_ != Stage::made) throw std::logic_error(std::string("BeastServer::") + call + " comes before start");
}

error_code Server::start() {
  const std::scoped_lock lock(mutex_);
  if (stage_ != Stage::made) return make_error_code(errc::closed);
  if (options_.listens) {
    if (const error_code ec = listener_->open(options_.address, options_.port)) return ec;
    port_ = listener_->port();
  }
  stage_ = Stage::started;
  gate_->open();
  for (const auto& shard : shards_) {
    boost::asio::post(shard->context(), [&shard = *shard, self = shared_from_this()] { shard.start(); });
  }
  boost::asio::post(shards_.front()->context(), [self = shared_from_this()] { self->listener_->run(); });
  return {};
}

bool Server::try_enter() noexcept {
  if (connections_.fetch_add(1) < options_.max_connections) return true;
  // Announced before the place is given back, so that whoever leaves meanwhile sees it.
  listener_waits_ = true;
  leave(std::nullopt);
  return false;
}

bool Server::Place::count(const Address& remote) {
  const std::size_t limit = server_->options_.rate_limits.connections_per_address;
  // A proxy's connections are those of many.
  if (limit == 0 || is_in(remote, server_->trusted_proxies_)) return true;
  const Address network = remote.network();
  const std::scoped_lock lock(server_->addresses_mutex_);
  std::size_t& connections = server_->addresses_[network];
  if (connections >= limit) {
    server_->turned_away_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  ++connections;
  counted_ = network;
  return true;
}

void Server::make_room() {
  wants_room_ = true;
  end_longest_idle(room_maker_++ % shards_.size(), shards_.size());
}

void Server::end_longest_idle(std::size_t shard, std::size_t tries) {
  boost::asio::post(shards_[shard]->context(), [self = shared_from_this(), shard, tries] {
    if (self->shards_[shard]->end_longest_idle() || tries == 1) return;
    self->gate_->if_open([&] { self->end_longest_idle((shard + 1) % self->shards_.size(), tries - 1); });
  });
}

void Server::leave(const std::optional<Address>& counted) {
  if (counted) {
    const std::scoped_lock lock(addresses_mutex_);
    const auto it = addresses_.find(*counted);
    if (--it->second == 0) addresses_.erase(it);
  }
  const std::size_t before = connections_.fetch_sub(1);
  if (before <= options_.max_connections && listener_waits_.exchange(false)) {
    gate_->if_open([this] {
      boost::asio::post(shards_.front()->context(), [self = shared_from_this()] { self->listener_->resume(); });
    });
  }
  if (before == 1) {
    const std::scoped_lock lock(mutex_);
    changed_.notify_all();
  }
}

void Server::stop(std::chrono::milliseconds grace) {
  std::unique_lock lock(mutex_);
  if (stage_ == Stage::made) stage_ = Stage::stopped;
  if (stage_ == Stage::stopping) changed_.wait(lock, [&] { return stage_ == Stage::stopped; });
  if (stage_ == Stage::stopped) return;
  stage_ = Stage::stopping;
  boost::asio::post(shards_.front()->context(), [self = shared_from_this()] { self->listener_->close(); });
  for (const auto& shard : shards_) {
    boost::asio::post(shard->context(), [&shard = *shard, self = shared_from_this()] { shard.drain(); });
  }
  changed_.wait_for(lock, grace, [&] { return connections_ == 0; });
  for (const auto& shard : shards_) {
    boost::asio::post(shard->context(), [&shard = *shard, self = shared_from_this()] {
      shard.cut();
      const std::scoped_lock locked(self->mutex_);
      ++self->shards_cut_;
      self->changed_.notify_all();
    });
  }
  changed_.wait_for(lock, patience, [&] { return shards_cut_ == shards_.size(); });
  // Closed sockets leave with the next round of their shard.
  changed_.wait_for(lock, patience, [&] { return connections_ == 0; });
  lock.unlock();
  gate_->close();
  lock.lock();
  stage_ = Stage::stopped;
  changed_.notify_all();
}

bool Server::serves(std::string_view target, const BasePath& base) {
  const std::string_view raw_path = split_target(target).first;
  const auto path = TargetPath::parse(raw_path);
  // A malformed path is answered here when it begins as one of the chat's; else it is somebody else's to refuse.
  if (!path) {
    return raw_path.starts_with(base.text()) && std::ranges::any_of(chat_roots(), [&](std::string_view root) {
             return raw_path.substr(base.text().size()).starts_with(root);
           });
  }
  const auto segments = base.strip(path->segments());
  if (is_socket_path(segments)) return true;
  Pattern::Params ignored;
  return std::ranges::any_of(chat_routes(),
                             [&](const ChatRoute& route) { return route.pattern.match(segments, ignored); });
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
  if (!try_enter()) {
    Answering{std::move(respond), logger_}(refusal(describe(errc::overloaded)));
    return;
  }
  Shard& shard = next_shard();
  auto begin = [&shard, place = Place(shared_from_this()), asked = std::move(request),
                answering = Answering(std::move(respond), logger_)]() mutable {
    if (!shard.was_cut()) answer_handed_request(shard, std::move(place), std::move(asked), std::move(answering));
  };
  gate_->if_open([&] { boost::asio::post(shard.context(), std::move(begin)); });
}

error_code Server::adopt(RawSocket socket, HttpRequest upgrade, std::string head) {
  if (!can_be_written(upgrade)) return errc::invalid_argument;
  if (!try_enter()) return errc::overloaded;
  const int on = 1;
  // Fails on what is no TCP connection, which is all right.
  ::setsockopt(socket.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  Shard& shard = next_shard();
  auto begin = [&shard, place = Place(shared_from_this()), raw = std::move(socket), asked = std::move(upgrade),
                behind = std::move(head)]() mutable {
    if (!shard.draining()) open_adopted_session(shard, std::move(place), std::move(raw), asked, behind);
  };
  const bool posted = gate_->if_open([&] { boost::asio::post(shard.context(), std::move(begin)); });
  return posted ? error_code() : make_error_code(errc::closed);
}

CarriedSocket Server::open_socket(HttpRequest upgrade, std::shared_ptr<SocketCarrier> carrier) {
  auto line = std::make_shared<Line>(gate_, std::move(carrier), options_.max_outbox_bytes);
  CarriedSocket socket(line);
  Relay relay(line);
  if (!try_enter()) {
    relay.close(describe(errc::overloaded).close_code, describe(errc::overloaded).name);
    return socket;
  }
  Shard& shard = next_shard();
  auto begin = [&shard, place = Place(shared_from_this()), asked = std::move(upgrade),
                end = std::move(relay)]() mutable {
    if (!shard.draining()) open_carried_socket(shard, std::move(place), std::move(asked), std::move(end));
  };
  gate_->if_open([&] { boost::asio::post(shard.context(), std::move(begin)); });
  return socket;
}

std::string Server::metrics() const {
  MetricsText text;
  const auto sum = [&](auto count) {
    std::uint64_t total = 0;
    for (const auto& shard : shards_) total += count(shard->counters()).value();
    return total;
  };
  text.family("travelchat_connections", "gauge", "Open connections by kind.");
  text.value(sum([](const Counters& c) -> auto& { return c.http_connections; }), "{kind=\"http\"}");
  text.value(sum([](const Counters& c) -> auto& { return c.chat_sockets; }), "{kind=\"chat\"}");
  text.value(sum([](const Counters& c) -> auto& { return c.inbox_sockets; }), "{kind=\"inbox\"}");
  text.family("travelchat_turned_away_connections_total", "counter",
              "Connections that were closed at once, because their address had as many as allowed.");
  text.value(turned_away_.load(std::memory_order_relaxed));
  text.family("travelchat_outbox_bytes", "gauge", "Bytes that wait for the kernel.");
  text.value(sum([](const Counters& c) -> auto& { return c.outbox_bytes; }));
  text.family("travelchat_sent_bytes_total", "counter", "Bytes handed to the kernel.");
  text.value(sum([](const Counters& c) -> auto& { return c.bytes_sent; }));
  text.family("travelchat_received_bytes_total", "counter", "Bytes taken from the kernel.");
  text.value(sum([](const Counters& c) -> auto& { return c.bytes_received; }));
  text.family("travelchat_writes_total", "counter", "Gathered writes.");
  text.value(sum([](const Counters& c) -> auto& { return c.writes; }));
  text.family("travelchat_sent_events_total", "counter", "Events put into outboxes.");
  text.value(sum([](const Counters& c) -> auto& { return c.frames_sent; }));
  text.family("travelchat_received_frames_total", "counter", "Text messages of sockets.");
  text.value(sum([](const Counters& c) -> auto& { return c.frames_received; }));
  text.family("travelchat_http_responses_total", "counter", "HTTP answers by status class.");
  for (std::size_t i = 0; i < 5; ++i) {
    text.value(sum([i](const Counters& c) -> auto& { return c.answers[i]; }),
               "{class=\"" + std::to_string(i + 1) + "xx\"}");
  }
  text.family("travelchat_socket_closes_total", "counter", "Closed sockets by code; \"none\" ended without one.");
  for (std::size_t i = 0; i < counted_close_codes.size(); ++i) {
    const std::uint16_t code = counted_close_codes[i];
    text.value(sum([i](const Counters& c) -> auto& { return c.closes[i]; }),
               "{code=\"" + (code == 0 ? std::string("none") : std::to_string(code)) + "\"}");
  }

  const EngineStats stats = engine_.stats();
  text.family("travelchat_messages_total", "counter", "Messages committed.");
  text.value(stats.messages);
  text.family("travelchat_commits_total", "counter", "Transactions committed.");
  text.value(stats.commits);
  text.family("travelchat_writes_committed_total", "counter", "Commands in them.");
  text.value(stats.writes);
  text.family("travelchat_failed_commits_total", "counter", "Transactions that failed.");
  text.value(stats.failed_commits);
  text.family("travelchat_deliveries_total", "counter", "Events handed to subscribers.");
  text.value(stats.deliveries);
  text.family("travelchat_queued_writes", "gauge", "Writes that wait for the committer.");
  text.value(stats.queued_writes);
  text.family("travelchat_subscribers", "gauge", "Subscriptions.");
  text.value(stats.subscribers);
  text.family("travelchat_rooms", "gauge", "Conversations with a subscriber.");
  text.value(stats.rooms);
  if (const BackplaneState state = engine_.backplane_state(); state != BackplaneState::none) {
    text.family("travelchat_backplane_up", "gauge", "Whether other nodes can be heard.");
    text.value(state == BackplaneState::up ? 1 : 0);
  }
  text.family("travelchat_catch_ups_total", "counter", "Conversations whose listeners were told from the storage.");
  text.value(stats.catch_ups);
  return text.take();
}

}  // namespace travelchat::transport
