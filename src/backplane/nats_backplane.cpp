#include <travelchat/nats_backplane.hpp>

#include "core/digest.hpp"

#include <nats/nats.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace travelchat {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t uuid_length = 36;

// A connection counts as lost when a write has blocked for this long, or when this many pings in a row had no answer.
constexpr milliseconds write_deadline = seconds{2};
constexpr milliseconds ping_interval = seconds{5};
constexpr int max_pings_out = 2;
constexpr milliseconds connect_timeout = seconds{2};
// How long a confirmation may take before it is asked for again.
constexpr milliseconds flush_timeout = seconds{5};
constexpr milliseconds retry_pause{100};
// How long it may take until a node's subscription is known to the other servers of the cluster.
constexpr milliseconds settling_time = seconds{1};

// Pause after all servers were tried in vain. The jitter keeps many nodes from returning to a server at the same
// moment.
constexpr milliseconds reconnect_wait{250};
constexpr milliseconds reconnect_jitter{250};
// Pause after the server has refused the connection (a wrong password, for example): the next try will likely fail,
// too.
constexpr milliseconds refused_pause = seconds{2};

// Messages that may wait in each direction. Further ones are dropped; the listener is then told by `missed()`.
constexpr std::size_t max_waiting = 65'536;
constexpr std::size_t max_waiting_bytes = std::size_t{16} << 20;

constexpr std::size_t signature_bytes = std::tuple_size_v<Sha256Digest>;
constexpr std::size_t min_key_bytes = 32;

// Used until the server has told its own limit: every server takes this much, most take 1 MiB.
constexpr std::size_t payload_while_unknown = 64 << 10;

struct DestroyMessage {
  void operator()(natsMsg* message) const noexcept { natsMsg_Destroy(message); }
};
using MessagePtr = std::unique_ptr<natsMsg, DestroyMessage>;

struct DestroyOptions {
  void operator()(natsOptions* options) const noexcept { natsOptions_Destroy(options); }
};
using OptionsPtr = std::unique_ptr<natsOptions, DestroyOptions>;

[[noreturn]] void refuse(const std::string& reason) {
  throw std::system_error(std::make_error_code(std::errc::invalid_argument), "NATS backplane: " + reason);
}

void check(natsStatus status, const char* what) {
  if (status == NATS_OK) return;
  if (status == NATS_NO_MEMORY) throw std::bad_alloc();
  // The library's own text may name a URL with its password.
  refuse(std::string(what) + ": " + natsStatus_GetText(status));
}

// The URL without user, password and token, for logs and errors.
std::string without_secrets(std::string_view url) {
  const std::size_t scheme = url.find("://");
  const std::size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::size_t at = url.rfind('@');
  if (at == std::string_view::npos || at < begin) return std::string(url);
  return std::string(url.substr(0, begin)) + std::string(url.substr(at + 1));
}

// The library itself takes nearly anything for a URL and then fails to connect.
void check_server(std::string_view url) {
  const auto fail = [&](const char* reason) { refuse('"' + without_secrets(url) + "\": " + reason); };
  if (url.find_first_of(" \t\r\n,\"\\") != std::string_view::npos) fail("a URL has no such characters");
  if (url.starts_with("tls://")) fail("TLS is not supported; a leaf node beside this one is (docs/library.md)");
  if (!url.starts_with("nats://")) fail("must begin with nats://");
  std::string_view rest = url.substr(std::string_view("nats://").size());
  const std::size_t at = rest.rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view user = rest.substr(0, at);
    const auto colons = std::count(user.begin(), user.end(), ':');
    if (user.empty() || user.front() == ':') fail("names no user before the @");
    if (colons > 1 || user.find('@') != std::string_view::npos) fail("user and password cannot hold ':' or '@'");
    rest.remove_prefix(at + 1);
  }
  std::string_view port;
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos || end == 1) fail("names no host");
    port = rest.substr(end + 1);
    if (!port.empty() && port.front() != ':') fail("names no host");
  } else {
    const std::size_t colon = rest.find(':');
    if (rest.substr(0, colon).empty()) fail("names no host");
    if (colon != std::string_view::npos) port = rest.substr(colon);
  }
  if (rest.find_first_of("/?#") != std::string_view::npos) fail("nothing may follow host and port");
  if (!port.empty()) {
    std::uint16_t number = 0;
    const auto parsed = std::from_chars(port.data() + 1, port.data() + port.size(), number);
    if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size() || number == 0) {
      fail("the port must be 1 to 65535");
    }
  }
}

void check_prefix(std::string_view prefix) {
  const bool has_empty_token =
      prefix.empty() || prefix.front() == '.' || prefix.back() == '.' || prefix.find("..") != std::string_view::npos;
  const bool has_other =
      std::any_of(prefix.begin(), prefix.end(), [](char c) { return c <= ' ' || c > '~' || c == '*' || c == '>'; });
  if (has_empty_token || has_other) refuse("the subject prefix must be tokens separated by dots, without * and >");
}

bool knows_several_servers(natsConnection* connection) {
  char** urls = nullptr;
  int count = 0;
  if (natsConnection_GetServers(connection, &urls, &count) != NATS_OK) return false;
  for (int i = 0; i < count; ++i) std::free(urls[i]);
  std::free(urls);
  return count > 1;
}

class NatsBackplane final : public Backplane {
 public:
  explicit NatsBackplane(NatsBackplaneOptions options);
  ~NatsBackplane() override { stop(); }

  void start(BackplaneListener& listener) override;
  void stop() noexcept override;
  void join(const Uuid& topic) noexcept override;
  void leave(const Uuid& topic) noexcept override;
  void publish(const Uuid& topic, std::string_view payload) noexcept override;
  bool is_up() const noexcept override { return up_.load(std::memory_order_acquire); }
  std::size_t max_payload() const noexcept override {
    const std::size_t whole = max_payload_.load(std::memory_order_relaxed);
    return key_.empty() ? whole : whole - std::min(whole, signature_bytes);
  }

 private:
  struct Topic {
    bool wanted = false;                       // joined and not left since
    bool owed = false;                         // a `joined` is due
    bool changed = false;                      // it waits in `changed_`
    natsSubscription* subscription = nullptr;  // the link thread's alone
  };

  // A call to the listener that is due.
  struct Call {
    enum class Kind { received, joined, missed } kind;
    Uuid topic{};
    MessagePtr message{};
  };

  struct Publication {
    Uuid topic;
    std::string payload;
  };

  // Topics whose subscription the node's server has confirmed. The listener is told once more at `at`, when the other
  // servers know of it, too.
  struct Settling {
    std::chrono::steady_clock::time_point at;
    bool missed = false;
    std::vector<Uuid> topics{};
  };

  using ConnectionPtr = std::shared_ptr<natsConnection>;
  using Lock = std::unique_lock<std::mutex>;

  // ---- the link thread: the connection, its subscriptions and their confirmation ----
  void run_link() noexcept;
  ConnectionPtr connect();
  void serve(natsConnection* connection);
  void apply_changes(Lock& lock, natsConnection* connection);
  void confirm(Lock& lock, natsConnection* connection);
  void tell_settled();
  void end(ConnectionPtr connection);
  void pause(Lock& lock, milliseconds at_most);
  void log(std::string line);
  std::string subject_of(const Uuid& topic) const;
  // The signature that is sent in front of the payload when there is a key.
  Sha256Digest sign(const Uuid& topic, std::string_view payload) const;
  // The payload; nullopt: the signature is missing or wrong.
  std::optional<std::string_view> check_signature(const Uuid& topic, std::string_view bytes) const;

  // ---- the publisher thread ----
  void run_publisher() noexcept;

  // ---- the dispatcher thread: all calls of the listener ----
  void run_dispatcher() noexcept;

  // ---- nats.c's threads ----
  static void on_message(natsConnection*, natsSubscription*, natsMsg* message, void* self);
  static void on_subscription_ended(void* self);
  static void on_connected(natsConnection*, void* self);
  static void on_disconnected(natsConnection*, void* self);
  static void on_closed(natsConnection*, void* self);
  static void on_error(natsConnection*, natsSubscription*, natsStatus status, void* self);

  void push(Call call);
  void push_missed();
  void set_linked(bool linked);

  const std::string prefix_;  // with its dot
  const std::string key_;     // empty: nothing is signed
  const std::function<void(std::string_view)> log_;
  OptionsPtr options_;
  BackplaneListener* listener_ = nullptr;

  std::atomic<bool> is_forgery_told_{false};  // logged once per backplane, because forged messages seldom come alone
  std::atomic<bool> up_{false};               // as confirmed by the link thread; written under mutex_
  std::atomic<std::size_t> max_payload_{payload_while_unknown};

  std::mutex mutex_;
  std::condition_variable link_wakes_;
  bool stopping_ = false;
  ConnectionPtr connection_;            // while there is one, linked or not
  bool linked_ = false;                 // as nats.c says
  bool closed_ = false;                 // nats.c has given up this connection
  std::uint64_t link_number_ = 0;       // raised at each connect and loss; tells which link a confirmation is for
  std::size_t live_subscriptions_ = 0;  // whose callbacks may still come
  std::optional<std::string> news_;     // the newest, for the log
  std::unordered_map<Uuid, Topic> topics_;
  std::vector<Uuid> changed_;  // each topic once

  // The link thread's own.
  std::vector<Uuid> unconfirmed_;
  std::deque<Settling> settling_;  // the joins of the last second
  bool is_clustered_ = false;
  bool was_up_ = false;
  std::string last_line_;

  std::mutex calls_mutex_;
  std::condition_variable dispatcher_wakes_;
  std::deque<Call> calls_;
  std::size_t call_bytes_ = 0;
  bool lost_ = false;           // a message was dropped since `missed` was queued
  bool missed_queued_ = false;  // at most one at a time
  bool dispatcher_stops_ = false;

  std::mutex outgoing_mutex_;
  std::condition_variable publisher_wakes_;
  std::vector<Publication> outgoing_;
  std::size_t outgoing_bytes_ = 0;
  bool publisher_stops_ = false;

  std::thread link_;
  std::thread publisher_;
  std::thread dispatcher_;
};

// ---- from the owner's threads ----

NatsBackplane::NatsBackplane(NatsBackplaneOptions options)
    : prefix_(options.subject_prefix + '.'), key_(std::move(options.key)), log_(std::move(options.log)) {
  if (options.servers.empty()) refuse("no server is named");
  check_prefix(options.subject_prefix);
  if (!key_.empty() && key_.size() < min_key_bytes) refuse("the key must have at least 32 bytes");
  std::vector<const char*> servers;
  for (const std::string& server : options.servers) {
    check_server(server);
    servers.push_back(server.c_str());
  }

  natsOptions* made = nullptr;
  check(natsOptions_Create(&made), "options");
  options_.reset(made);
  check(natsOptions_SetServers(made, servers.data(), static_cast<int>(servers.size())), "servers");
  check(natsOptions_SetName(made, "travelchat"), "name");
  if (!options.token.empty()) check(natsOptions_SetToken(made, options.token.c_str()), "token");
  check(natsOptions_SetNoEcho(made, true), "no echo");
  // Without this, nats.c starts a thread for each subscription.
  check(natsOptions_UseGlobalMessageDelivery(made, true), "delivery");
  // Without this, a flusher thread sends up to a millisecond later. A write blocks with the connection locked, so only
  // the publisher thread publishes.
  check(natsOptions_SetSendAsap(made, true), "send");
  check(natsOptions_SetWriteDeadline(made, write_deadline.count()), "write deadline");
  // Nothing is buffered while the link is down: it would be of no use later. (0 means the default of 8 MiB.)
  check(natsOptions_SetReconnectBufSize(made, 1), "reconnect buffer");
  check(natsOptions_SetTimeout(made, connect_timeout.count()), "timeout");
  check(natsOptions_SetPingInterval(made, ping_interval.count()), "ping interval");
  check(natsOptions_SetMaxPingsOut(made, max_pings_out), "pings");
  check(natsOptions_SetAllowReconnect(made, true), "reconnect");
  check(natsOptions_SetMaxReconnect(made, -1), "reconnect");
  check(natsOptions_SetReconnectWait(made, reconnect_wait.count()), "reconnect");
  check(natsOptions_SetReconnectJitter(made, reconnect_jitter.count(), reconnect_jitter.count()), "reconnect");
  check(natsOptions_SetRetryOnFailedConnect(made, true, &NatsBackplane::on_connected, this), "reconnect");
  check(natsOptions_SetReconnectedCB(made, &NatsBackplane::on_connected, this), "callback");
  check(natsOptions_SetDisconnectedCB(made, &NatsBackplane::on_disconnected, this), "callback");
  check(natsOptions_SetClosedCB(made, &NatsBackplane::on_closed, this), "callback");
  check(natsOptions_SetErrorHandler(made, &NatsBackplane::on_error, this), "callback");
}

void NatsBackplane::start(BackplaneListener& listener) {
  listener_ = &listener;
  dispatcher_ = std::thread([this] { run_dispatcher(); });
  publisher_ = std::thread([this] { run_publisher(); });
  link_ = std::thread([this] { run_link(); });
}

void NatsBackplane::stop() noexcept {
  ConnectionPtr connection;
  {
    const Lock lock(mutex_);
    stopping_ = true;
    up_ = false;
    connection = connection_;
  }
  link_wakes_.notify_all();
  {
    const Lock lock(outgoing_mutex_);
    publisher_stops_ = true;
  }
  publisher_wakes_.notify_all();
  {
    const Lock lock(calls_mutex_);
    dispatcher_stops_ = true;
  }
  dispatcher_wakes_.notify_all();
  // Ends what the link thread may be waiting for.
  if (connection) natsConnection_Close(connection.get());
  for (std::thread* thread : {&dispatcher_, &publisher_, &link_}) {
    if (thread->joinable()) thread->join();
  }
}

void NatsBackplane::join(const Uuid& topic) noexcept {
  {
    const Lock lock(mutex_);
    if (stopping_) return;
    Topic& entry = topics_[topic];
    entry.wanted = true;
    entry.owed = true;
    if (std::exchange(entry.changed, true)) return;
    changed_.push_back(topic);
  }
  link_wakes_.notify_one();
}

void NatsBackplane::leave(const Uuid& topic) noexcept {
  {
    const Lock lock(mutex_);
    const auto found = topics_.find(topic);
    if (found == topics_.end() || !found->second.wanted) return;
    found->second.wanted = false;
    found->second.owed = false;
    if (std::exchange(found->second.changed, true)) return;
    changed_.push_back(topic);
  }
  link_wakes_.notify_one();
}

void NatsBackplane::publish(const Uuid& topic, std::string_view payload) noexcept {
  if (!is_up() || payload.size() > max_payload()) return;
  {
    const Lock lock(outgoing_mutex_);
    if (publisher_stops_ || outgoing_.size() >= max_waiting ||
        (!outgoing_.empty() && outgoing_bytes_ + payload.size() > max_waiting_bytes)) {
      return;
    }
    outgoing_.push_back({topic, std::string(payload)});
    outgoing_bytes_ += payload.size();
    if (outgoing_.size() > 1) return;  // the publisher has been woken
  }
  publisher_wakes_.notify_one();
}

// ---- the link thread ----

void NatsBackplane::run_link() noexcept {
  for (;;) {
    {
      const Lock lock(mutex_);
      if (stopping_) break;
    }
    ConnectionPtr connection = connect();
    if (connection) {
      serve(connection.get());
      end(std::move(connection));
    }
    Lock lock(mutex_);
    pause(lock, refused_pause);
  }
  nats_ReleaseThreadMemory();
}

NatsBackplane::ConnectionPtr NatsBackplane::connect() {
  {
    const Lock lock(mutex_);
    linked_ = false;
    closed_ = false;
  }
  natsConnection* made = nullptr;
  const natsStatus status = natsConnection_Connect(&made, options_.get());
  ConnectionPtr connection(made, [](natsConnection* it) { natsConnection_Destroy(it); });
  if (status != NATS_OK && status != NATS_NOT_YET_CONNECTED) {
    log(std::string("NATS: no connection, trying again: ") + natsStatus_GetText(status));
    return nullptr;
  }
  if (status == NATS_NOT_YET_CONNECTED) log("NATS: no server answers, trying on");
  const Lock lock(mutex_);
  connection_ = connection;
  if (status == NATS_OK) {
    linked_ = true;
    ++link_number_;
  }
  return connection;
}

void NatsBackplane::serve(natsConnection* connection) {
  Lock lock(mutex_);
  for (;;) {
    const auto has_work = [this] {
      return stopping_ || closed_ || news_ || !changed_.empty() || (linked_ && (!up_ || !unconfirmed_.empty()));
    };
    if (settling_.empty()) {
      link_wakes_.wait(lock, has_work);
    } else if (!link_wakes_.wait_until(lock, settling_.front().at, has_work)) {
      tell_settled();
      continue;
    }
    if (stopping_ || closed_) return;
    if (auto news = std::exchange(news_, std::nullopt)) {
      lock.unlock();
      log(std::move(*news));
      lock.lock();
    }
    apply_changes(lock, connection);
    if (linked_ && (!up_ || !unconfirmed_.empty())) confirm(lock, connection);
    tell_settled();
  }
}

void NatsBackplane::apply_changes(Lock& lock, natsConnection* connection) {
  for (const Uuid& topic : std::exchange(changed_, {})) {
    const auto found = topics_.find(topic);
    Topic& entry = found->second;  // only this thread erases
    entry.changed = false;
    natsSubscription* subscription = entry.subscription;
    if (!entry.wanted) {
      topics_.erase(found);
      if (subscription == nullptr) continue;
      lock.unlock();
      natsSubscription_Unsubscribe(subscription);
      natsSubscription_Destroy(subscription);
      lock.lock();
      continue;
    }
    unconfirmed_.push_back(topic);
    if (subscription != nullptr) continue;
    lock.unlock();
    const std::string subject = subject_of(topic);
    if (natsConnection_Subscribe(&subscription, connection, subject.c_str(), &NatsBackplane::on_message, this) ==
        NATS_OK) {
      // Under the lock, since the end may come at once.
      lock.lock();
      if (natsSubscription_SetOnCompleteCB(subscription, &NatsBackplane::on_subscription_ended, this) == NATS_OK) {
        ++live_subscriptions_;
      }
      entry.subscription = subscription;
    } else {
      lock.lock();  // the connection is closed: the next one subscribes
    }
  }
}

// One round trip confirms all earlier subscriptions: a server handles what a connection sends in order.
void NatsBackplane::confirm(Lock& lock, natsConnection* connection) {
  const std::uint64_t number = link_number_;
  lock.unlock();
  const natsStatus status = natsConnection_FlushTimeout(connection, flush_timeout.count());
  const auto payload = natsConnection_GetMaxPayload(connection);
  lock.lock();
  if (status != NATS_OK || number != link_number_) {
    if (number == link_number_) pause(lock, retry_pause);
    return;
  }
  if (stopping_) return;
  Settling settling{std::chrono::steady_clock::now() + settling_time};
  if (!up_) {
    if (payload > 0) max_payload_ = static_cast<std::size_t>(payload);
    up_ = true;
    settling.missed = std::exchange(was_up_, true);
    if (settling.missed) push_missed();
    lock.unlock();
    char url[512] = "";
    natsConnection_GetConnectedUrl(connection, url, sizeof url);
    log("NATS: connected to " + without_secrets(url));
    is_clustered_ = knows_several_servers(connection);
    lock.lock();
  }
  for (const Uuid& topic : unconfirmed_) {
    const auto found = topics_.find(topic);
    // A topic that was left and joined again keeps its subscription until both are looked at.
    if (found == topics_.end() || !found->second.owed || found->second.subscription == nullptr) continue;
    found->second.owed = false;
    push({Call::Kind::joined, topic});
    settling.topics.push_back(topic);
  }
  unconfirmed_.clear();
  if (is_clustered_ && (settling.missed || !settling.topics.empty())) settling_.push_back(std::move(settling));
}

// A confirmation comes from the node's own server. The others of its cluster hear of the subscription a moment later,
// and what is published there in that moment is lost.
void NatsBackplane::tell_settled() {
  while (!settling_.empty() && settling_.front().at <= std::chrono::steady_clock::now()) {
    const Settling settled = std::move(settling_.front());
    settling_.pop_front();
    if (settled.missed) push_missed();
    for (const Uuid& topic : settled.topics) push({Call::Kind::joined, topic});
  }
}

// Back to the state before `connect`, with every topic that is wanted waiting for the next connection.
void NatsBackplane::end(ConnectionPtr connection) {
  natsConnection_Close(connection.get());
  std::vector<natsSubscription*> subscriptions;
  {
    Lock lock(mutex_);
    // These are the last callbacks, and they point here.
    link_wakes_.wait(lock, [this] { return closed_ && live_subscriptions_ == 0; });
    connection_.reset();
    linked_ = false;
    up_ = false;
    for (auto& [topic, entry] : topics_) {
      if (entry.subscription != nullptr) subscriptions.push_back(std::exchange(entry.subscription, nullptr));
      if (!std::exchange(entry.changed, true)) changed_.push_back(topic);
    }
  }
  unconfirmed_.clear();
  settling_.clear();
  for (natsSubscription* subscription : subscriptions) natsSubscription_Destroy(subscription);
  log("NATS: the connection has ended");
}

void NatsBackplane::pause(Lock& lock, milliseconds at_most) {
  link_wakes_.wait_for(lock, at_most, [this] { return stopping_; });
}

// Leaves out a line that repeats the last one: a connection that fails is tried again for ever.
void NatsBackplane::log(std::string line) {
  if (!log_ || line == last_line_) return;
  last_line_ = std::move(line);
  try {
    log_(last_line_);
  } catch (...) {
    // A log that throws is ignored: there is nobody to report it to.
  }
}

std::string NatsBackplane::subject_of(const Uuid& topic) const {
  std::string subject(prefix_.size() + uuid_length, '\0');
  prefix_.copy(subject.data(), prefix_.size());
  write_uuid(topic, subject.data() + prefix_.size());
  return subject;
}

// Covers the subject, so that a message cannot be replayed into another conversation or deployment. A replay into its
// own is harmless: its revisions are old.
Sha256Digest NatsBackplane::sign(const Uuid& topic, std::string_view payload) const {
  std::string signed_bytes = subject_of(topic);
  signed_bytes += ' ';
  signed_bytes += payload;
  return hmac_sha256(key_, signed_bytes);
}

std::optional<std::string_view> NatsBackplane::check_signature(const Uuid& topic, std::string_view bytes) const {
  if (key_.empty()) return bytes;
  if (bytes.size() < signature_bytes) return std::nullopt;
  Sha256Digest given;
  std::copy_n(bytes.begin(), signature_bytes, reinterpret_cast<char*>(given.data()));
  const std::string_view payload = bytes.substr(signature_bytes);
  if (!equal_digests(given, sign(topic, payload))) return std::nullopt;
  return payload;
}

// ---- the publisher thread ----

void NatsBackplane::run_publisher() noexcept {
  std::vector<Publication> taken;
  for (;;) {
    {
      Lock lock(outgoing_mutex_);
      publisher_wakes_.wait(lock, [this] { return publisher_stops_ || !outgoing_.empty(); });
      if (publisher_stops_) break;
      taken.swap(outgoing_);
      outgoing_bytes_ = 0;
    }
    ConnectionPtr connection;
    {
      const Lock lock(mutex_);
      connection = connection_;
    }
    for (Publication& publication : taken) {
      if (!connection || !is_up()) break;
      if (!key_.empty()) {
        const Sha256Digest signature = sign(publication.topic, publication.payload);
        publication.payload.insert(0, reinterpret_cast<const char*>(signature.data()), signature.size());
      }
      // A publication that fails is dropped: hints may be lost.
      natsConnection_Publish(connection.get(), subject_of(publication.topic).c_str(), publication.payload.data(),
                             static_cast<int>(publication.payload.size()));
    }
    taken.clear();
  }
  nats_ReleaseThreadMemory();
}

// ---- the dispatcher thread ----

void NatsBackplane::run_dispatcher() noexcept {
  for (;;) {
    Call call{};
    {
      Lock lock(calls_mutex_);
      dispatcher_wakes_.wait(lock, [this] { return dispatcher_stops_ || !calls_.empty(); });
      if (dispatcher_stops_) return;
      call = std::move(calls_.front());
      calls_.pop_front();
      if (call.message) call_bytes_ -= static_cast<std::size_t>(natsMsg_GetDataLength(call.message.get()));
      if (call.kind == Call::Kind::missed) missed_queued_ = false;
      if (lost_ && !missed_queued_) {
        lost_ = false;
        missed_queued_ = true;
        calls_.push_back({Call::Kind::missed});
      }
    }
    if (call.kind == Call::Kind::missed) {
      listener_->missed();
      continue;
    }
    {
      const Lock lock(mutex_);
      const auto found = topics_.find(call.topic);
      if (found == topics_.end() || !found->second.wanted) continue;  // left meanwhile
    }
    if (call.kind == Call::Kind::joined) {
      listener_->joined(call.topic);
    } else {
      const auto payload = check_signature(
          call.topic,
          {natsMsg_GetData(call.message.get()), static_cast<std::size_t>(natsMsg_GetDataLength(call.message.get()))});
      if (payload) {
        listener_->received(call.topic, *payload);
      } else if (!is_forgery_told_.exchange(true)) {
        const Lock lock(mutex_);
        news_ = "NATS: something came that was not signed with this node's key, and is dropped like all that follows";
        link_wakes_.notify_one();
      }
    }
  }
}

// ---- nats.c's threads ----

void NatsBackplane::on_message(natsConnection*, natsSubscription*, natsMsg* message, void* self) {
  MessagePtr owned(message);
  auto& backplane = *static_cast<NatsBackplane*>(self);
  std::string_view subject = natsMsg_GetSubject(message);
  if (subject.size() != backplane.prefix_.size() + uuid_length) return;
  const auto topic = parse_uuid(subject.substr(backplane.prefix_.size()));
  if (topic) backplane.push({Call::Kind::received, *topic, std::move(owned)});
}

void NatsBackplane::on_subscription_ended(void* self) {
  auto& backplane = *static_cast<NatsBackplane*>(self);
  // Notified under the lock: the owner may be gone as soon as it is free.
  const Lock lock(backplane.mutex_);
  if (--backplane.live_subscriptions_ == 0) backplane.link_wakes_.notify_one();
}

void NatsBackplane::on_connected(natsConnection*, void* self) {
  static_cast<NatsBackplane*>(self)->set_linked(true);
}

void NatsBackplane::on_disconnected(natsConnection*, void* self) {
  static_cast<NatsBackplane*>(self)->set_linked(false);
}

void NatsBackplane::on_closed(natsConnection*, void* self) {
  auto& backplane = *static_cast<NatsBackplane*>(self);
  const Lock lock(backplane.mutex_);
  backplane.closed_ = true;
  backplane.linked_ = false;
  backplane.up_ = false;
  ++backplane.link_number_;
  backplane.link_wakes_.notify_one();
}

void NatsBackplane::on_error(natsConnection*, natsSubscription*, natsStatus status, void* self) {
  auto& backplane = *static_cast<NatsBackplane*>(self);
  if (status == NATS_SLOW_CONSUMER) {
    // The queue of nats.c was full.
    backplane.push_missed();
    return;
  }
  const Lock lock(backplane.mutex_);
  backplane.news_ = std::string("NATS: the server complains: ") + natsStatus_GetText(status);
  backplane.link_wakes_.notify_one();
}

void NatsBackplane::set_linked(bool linked) {
  const Lock lock(mutex_);
  if (!linked) news_ = "NATS: the connection is lost, looking for a server";
  linked_ = linked;
  up_ = false;  // until it is confirmed
  ++link_number_;
  link_wakes_.notify_one();
}

// `joined` is queued whatever the bounds: there is one for each `join` at most.
void NatsBackplane::push(Call call) {
  {
    const Lock lock(calls_mutex_);
    const auto bytes = call.message ? static_cast<std::size_t>(natsMsg_GetDataLength(call.message.get())) : 0;
    if (call.message && !calls_.empty() && (calls_.size() >= max_waiting || call_bytes_ + bytes > max_waiting_bytes)) {
      lost_ = true;  // the dispatcher queues a `missed` behind what waits
      return;
    }
    call_bytes_ += bytes;
    calls_.push_back(std::move(call));
    if (calls_.size() > 1) return;  // the dispatcher has been woken
  }
  dispatcher_wakes_.notify_one();
}

void NatsBackplane::push_missed() {
  {
    const Lock lock(calls_mutex_);
    if (missed_queued_) {
      lost_ = true;
      return;
    }
    missed_queued_ = true;
    calls_.push_back({Call::Kind::missed});
  }
  dispatcher_wakes_.notify_one();
}

}  // namespace

std::unique_ptr<Backplane> make_nats_backplane(NatsBackplaneOptions options) {
  return std::make_unique<NatsBackplane>(std::move(options));
}

}  // namespace travelchat
