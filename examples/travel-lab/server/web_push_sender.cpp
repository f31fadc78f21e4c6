#include "web_push_sender.hpp"

#include "base64url.hpp"
#include "clock.hpp"
#include "push_endpoint.hpp"
#include "secrets.hpp"

#include <netdb.h>
#include <sodium.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdint>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace travel_lab {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace json = boost::json;
using asio::use_awaitable;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::seconds;

// How long a push service keeps a message for a browser that is off. A notification older than a day is useless.
constexpr std::string_view time_to_live_seconds = "86400";
constexpr std::size_t padded_payload_bytes = 256;
constexpr std::size_t max_answer_head_bytes = 8 * 1024;

// One message for one browser.
struct Delivery {
  PushSubscription subscription;
  PushEndpoint endpoint;
  std::string topic;
  std::string body;  // encrypted
  std::uint64_t number = 0;
  int attempts = 0;
};
using DeliveryPointer = std::shared_ptr<Delivery>;

enum class Fate : std::uint8_t { delivered, gone, retry, refused };

struct Outcome {
  Fate fate = Fate::retry;
  std::string_view reason;  // for the log
  int status = 0;           // 0: no answer
  std::optional<seconds> retry_after;
};

// Shared with the deadline's handler, which may run when its delivery is over already.
struct Connection {
  Connection(asio::io_context& context, asio::ssl::context& tls) : stream(context, tls) {}
  asio::ssl::stream<tcp::socket> stream;
  bool timed_out = false;
};

// Shared by the sender and the threads that look names up, which cannot be interrupted and may outlive it.
struct Gate {
  std::mutex mutex;
  bool is_open = true;
  std::size_t lookups = 0;
};

std::vector<asio::ip::address> resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  std::vector<asio::ip::address> found;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &list) != 0) return found;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(list, freeaddrinfo);
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family == AF_INET) {
      const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ai_addr);
      found.emplace_back(asio::ip::make_address_v4(ntohl(address->sin_addr.s_addr)));
    } else if (entry->ai_family == AF_INET6) {
      const auto* address = reinterpret_cast<const sockaddr_in6*>(entry->ai_addr);
      asio::ip::address_v6::bytes_type bytes{};
      std::copy_n(address->sin6_addr.s6_addr, bytes.size(), bytes.begin());
      found.emplace_back(asio::ip::make_address_v6(bytes, address->sin6_scope_id));
    }
  }
  return found;
}

// Delta-seconds only; a date is ignored.
std::optional<seconds> parse_retry_after(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return seconds{number};
}

Outcome outcome_of(const http::response_header<>& answer) {
  const auto status = static_cast<int>(answer.result_int());
  if (status >= 200 && status < 300) return {Fate::delivered, "delivered", status, {}};
  if (status == 404 || status == 410) return {Fate::gone, "gone", status, {}};
  if (status == 429 || status >= 500) {
    const auto after = answer[http::field::retry_after];
    return {Fate::retry, "busy", status, parse_retry_after({after.data(), after.size()})};
  }
  // Redirects, too: only the browser may say where its endpoint is.
  return {Fate::refused, "refused", status, {}};
}

Outcome outcome_of(const error_code& ec, bool timed_out) {
  if (timed_out) return {Fate::retry, "timeout", 0, {}};
  // What fails in the handshake fails again: the certificate is not trusted, or is another name's.
  if (ec.category() == asio::error::get_ssl_category()) return {Fate::refused, "tls", 0, {}};
  return {Fate::retry, "network", 0, {}};
}

http::request<http::string_body> request_of(const Delivery& delivery, const std::string& authorization) {
  http::request<http::string_body> request(http::verb::post, delivery.endpoint.target, 11);
  request.set(http::field::host, delivery.endpoint.authority());
  request.set(http::field::authorization, authorization);
  request.set(http::field::content_type, "application/octet-stream");
  request.set(http::field::content_encoding, "aes128gcm");
  request.set("TTL", time_to_live_seconds);
  request.set("Urgency", "high");
  request.set("Topic", delivery.topic);
  request.set(http::field::connection, "close");
  request.body() = delivery.body;
  request.prepare_payload();
  return request;
}

}  // namespace

class WebPushSender::Impl {
 public:
  Impl(PushSubscriptions& subscriptions, Vapid vapid, WebPushOptions options, Log& log)
      : subscriptions_(subscriptions), vapid_(std::move(vapid)), options_(std::move(options)), log_(log) {
    tls_.set_verify_mode(asio::ssl::verify_peer);
    SSL_CTX_set_min_proto_version(tls_.native_handle(), TLS1_2_VERSION);
    error_code ec;
    tls_.set_default_verify_paths(ec);
    if (!ec && options_.ca_file) tls_.load_verify_file(options_.ca_file->string(), ec);
    if (ec) {
      throw std::runtime_error("cannot use the certificate authorities" +
                               (options_.ca_file ? " of " + options_.ca_file->string() : "") + ": " + ec.message());
    }
    thread_ = std::thread([this] { context_.run(); });
  }

  ~Impl() { stop(); }

  const std::string& public_key() const noexcept { return vapid_.public_key(); }
  bool allows_private() const noexcept { return options_.allow_private; }

  void send(travelchat::PushNotification notification) {
    if (queued_.fetch_add(1) >= options_.max_queued) {
      queued_.fetch_sub(1);
      log_.write(LogLevel::warn, "push_dropped", {{"orgId", notification.org_id}, {"reason", "queue_full"}});
      return;
    }
    asio::post(context_, [this, notification = std::move(notification)] {
      queued_.fetch_sub(1);
      begin(notification);
    });
  }

  void stop() {
    {
      const std::scoped_lock lock(gate_->mutex);
      gate_->is_open = false;
    }
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  // The deliveries to one browser: one at a time, so that none overtakes an earlier one, and an endpoint that never
  // answers takes a single connection.
  struct Traffic {
    std::deque<DeliveryPointer> waiting;
    std::unordered_map<std::string, std::uint64_t> newest;  // number of the last delivery, by topic
    // `ready`: in `ready_`, because something waits; `busy`: one travels, or waits to be tried again.
    enum class State : std::uint8_t { idle, ready, busy } state = State::idle;
  };
  // A coroutine that waits for a name.
  struct Waiting {
    asio::steady_timer* answered;
    std::vector<asio::ip::address>* addresses;
  };

  void begin(const travelchat::PushNotification& notification);
  void enqueue(const PushSubscription& subscription, const std::string& payload, const std::string& topic);
  void pump();
  asio::awaitable<void> deliver(DeliveryPointer delivery);
  asio::awaitable<Outcome> attempt(const Delivery& delivery);
  asio::awaitable<std::vector<asio::ip::address>> look_up(std::string host);
  void settle(const DeliveryPointer& delivery, const Outcome& outcome);
  void retry_later(const DeliveryPointer& delivery, const Outcome& outcome);
  void make_ready(const std::string& endpoint, Traffic& traffic);
  void forget(const Delivery& delivery);
  void finish(const Delivery& delivery);
  void drop(std::string_view host, std::string_view reason, int status = 0) {
    log_.write(LogLevel::warn, "push_dropped", {{"host", host}, {"reason", reason}, {"status", status}});
  }

  PushSubscriptions& subscriptions_;
  Vapid vapid_;
  const WebPushOptions options_;
  Log& log_;
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  std::atomic<std::size_t> queued_{0};

  // ---- On the thread only ----
  std::unordered_map<std::string, Traffic> traffic_;  // by endpoint
  std::deque<std::string> ready_;                     // endpoints, each once
  std::size_t deliveries_ = 0;
  std::uint64_t last_delivery_ = 0;
  std::size_t connections_ = 0;
  std::unordered_map<std::uint64_t, Waiting> lookups_;
  std::uint64_t last_lookup_ = 0;

  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  // Last, so that it ends first: the coroutines that it destroys use all of the above.
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  std::thread thread_;
};

void WebPushSender::Impl::begin(const travelchat::PushNotification& notification) {
  try {
    const auto subscriptions = subscriptions_.of_organization(notification.org_id);
    if (!subscriptions) {
      log_.write(LogLevel::error, "push_subscriptions_not_read",
                 {{"reason", travelchat::describe(subscriptions.error()).name}});
      return;
    }
    if (subscriptions->empty()) return;
    const std::string payload = json::serialize(
        json::object{{"title", notification.title}, {"body", notification.body}, {"url", notification.url}});
    // A later message of the conversation replaces one that the browser has not got yet (RFC 8030 section 5.4): 32
    // characters, from which the service learns nothing.
    const auto digest = sha256(notification.url);
    const std::string topic = encode_base64url(std::span(digest).first<24>());
    for (const PushSubscription& subscription : *subscriptions) enqueue(subscription, payload, topic);
    pump();
  } catch (const std::exception& failure) {
    log_.write(LogLevel::error, "push_failed", {{"reason", failure.what()}});
  }
}

void WebPushSender::Impl::enqueue(const PushSubscription& subscription, const std::string& payload,
                                  const std::string& topic) {
  auto endpoint = parse_push_endpoint(subscription.endpoint, options_.allow_private);
  // Stored while private networks were allowed.
  if (!endpoint) return drop("", "endpoint_not_allowed");
  if (deliveries_ >= options_.max_deliveries) return drop(endpoint->authority(), "queue_full");
  PushSalt salt{};
  randombytes_buf(salt.data(), salt.size());
  // The service sees no more of a message's length than how many of these blocks it takes.
  const std::size_t padded =
      std::min((payload.size() + padded_payload_bytes - 1) / padded_payload_bytes * padded_payload_bytes,
               max_push_payload_bytes);
  auto body = encrypt_push_message(payload, subscription.keys, P256Key::generate(), salt,
                                   padded > payload.size() ? padded - payload.size() : 0);
  if (!body) return drop(endpoint->authority(), "too_long");
  auto delivery = std::make_shared<Delivery>(
      Delivery{subscription, *std::move(endpoint), topic, *std::move(body), ++last_delivery_, 0});
  Traffic& traffic = traffic_[subscription.endpoint];
  if (traffic.waiting.size() >= options_.max_waiting_per_endpoint) {
    const DeliveryPointer oldest = std::move(traffic.waiting.front());
    traffic.waiting.pop_front();
    drop(oldest->endpoint.authority(), "queue_full");
    forget(*oldest);
  }
  ++deliveries_;
  traffic.newest[topic] = delivery->number;
  traffic.waiting.push_back(std::move(delivery));
  if (traffic.state == Traffic::State::idle) make_ready(subscription.endpoint, traffic);
}

void WebPushSender::Impl::make_ready(const std::string& endpoint, Traffic& traffic) {
  traffic.state = Traffic::State::ready;
  ready_.push_back(endpoint);
}

void WebPushSender::Impl::pump() {
  while (!ready_.empty() && connections_ < options_.max_connections) {
    const auto found = traffic_.find(ready_.front());
    ready_.pop_front();
    Traffic& traffic = found->second;
    auto delivery = std::move(traffic.waiting.front());
    traffic.waiting.pop_front();
    traffic.state = Traffic::State::busy;
    const auto newest = traffic.newest.find(delivery->topic);
    if (newest != traffic.newest.end() && newest->second > delivery->number) {
      // A newer one of its topic waits, which would only replace it.
      finish(*delivery);
      continue;
    }
    ++connections_;
    asio::co_spawn(context_, deliver(std::move(delivery)), asio::detached);
  }
}

asio::awaitable<void> WebPushSender::Impl::deliver(DeliveryPointer delivery) {
  Outcome outcome;
  try {
    ++delivery->attempts;
    outcome = co_await attempt(*delivery);
  } catch (const std::exception& failure) {
    log_.write(LogLevel::error, "push_failed", {{"reason", failure.what()}});
    outcome = {Fate::refused, "failed", 0, {}};
  }
  --connections_;
  settle(delivery, outcome);
  pump();
}

asio::awaitable<Outcome> WebPushSender::Impl::attempt(const Delivery& delivery) {
  const auto connection = std::make_shared<Connection>(context_, tls_);
  auto& stream = connection->stream;
  asio::steady_timer deadline(context_, options_.attempt_timeout);
  deadline.async_wait([connection](const error_code& ec) {
    if (ec) return;
    connection->timed_out = true;
    error_code ignored;
    connection->stream.lowest_layer().close(ignored);
  });
  error_code ec;
  auto token = asio::redirect_error(use_awaitable, ec);

  const std::string& host = delivery.endpoint.host;
  std::vector<asio::ip::address> addresses;
  if (delivery.endpoint.is_address)
    addresses.push_back(asio::ip::make_address(host));
  else
    addresses = co_await look_up(host);
  if (connection->timed_out || addresses.empty()) co_return Outcome{Fate::retry, "lookup", 0, {}};
  std::vector<tcp::endpoint> targets;
  const auto port = static_cast<std::uint16_t>(std::stoul(delivery.endpoint.port));
  for (const auto& address : addresses) {
    if (options_.allow_private || is_public_address(address)) targets.emplace_back(address, port);
  }
  if (targets.empty()) co_return Outcome{Fate::refused, "address_not_public", 0, {}};

  co_await asio::async_connect(stream.lowest_layer(), targets, token);
  if (ec) co_return outcome_of(ec, connection->timed_out);
  if (!delivery.endpoint.is_address) SSL_set_tlsext_host_name(stream.native_handle(), host.c_str());
  stream.set_verify_callback(asio::ssl::host_name_verification(host));
  co_await stream.async_handshake(asio::ssl::stream_base::client, token);
  if (ec) co_return outcome_of(ec, connection->timed_out);
  const auto request = request_of(delivery, vapid_.authorization(delivery.endpoint.origin, current_time()));
  co_await http::async_write(stream, request, token);
  if (ec) co_return outcome_of(ec, connection->timed_out);
  // The head says everything; what a service writes below it is not read.
  boost::beast::flat_buffer buffer(max_answer_head_bytes);
  http::response_parser<http::empty_body> parser;
  parser.header_limit(max_answer_head_bytes);
  co_await http::async_read_header(stream, buffer, parser, token);
  if (ec) co_return outcome_of(ec, connection->timed_out);
  co_return outcome_of(parser.get());
}

// Empty: none, or not in time. Uses a detached thread, because the destructor of an Asio resolver would wait until the
// last name server has timed out.
asio::awaitable<std::vector<asio::ip::address>> WebPushSender::Impl::look_up(std::string host) {
  std::vector<asio::ip::address> addresses;
  const std::uint64_t id = ++last_lookup_;
  {
    const std::scoped_lock lock(gate_->mutex);
    if (gate_->lookups >= options_.max_lookups) co_return addresses;
    ++gate_->lookups;
  }
  try {
    std::thread([this, gate = gate_, id, host = std::move(host)] {
      auto found = resolve(host);
      const std::scoped_lock lock(gate->mutex);
      --gate->lookups;
      // Closed: `this` is going or gone.
      if (!gate->is_open) return;
      asio::post(context_, [this, id, found = std::move(found)]() mutable {
        const auto it = lookups_.find(id);
        if (it == lookups_.end()) return;
        *it->second.addresses = std::move(found);
        it->second.answered->cancel();
      });
    }).detach();
  } catch (const std::system_error& failure) {
    log_.write(LogLevel::error, "push_lookup_not_begun", {{"reason", failure.what()}});
    const std::scoped_lock lock(gate_->mutex);
    --gate_->lookups;
    co_return addresses;
  }
  asio::steady_timer answered(context_, options_.attempt_timeout);
  lookups_.emplace(id, Waiting{&answered, &addresses});
  error_code ec;
  co_await answered.async_wait(asio::redirect_error(use_awaitable, ec));
  lookups_.erase(id);
  co_return addresses;
}

void WebPushSender::Impl::settle(const DeliveryPointer& delivery, const Outcome& outcome) {
  const std::string_view host = delivery->endpoint.authority();
  switch (outcome.fate) {
    case Fate::delivered:
      log_.write(LogLevel::debug, "push_delivered", {{"host", host}, {"status", outcome.status}});
      break;
    case Fate::gone:
      if (const auto ec = subscriptions_.forget(delivery->subscription)) {
        log_.write(LogLevel::error, "push_subscription_not_deleted", {{"reason", travelchat::describe(ec).name}});
      } else {
        log_.write(LogLevel::info, "push_subscription_gone", {{"host", host}, {"status", outcome.status}});
      }
      break;
    case Fate::retry:
      retry_later(delivery, outcome);
      return;
    case Fate::refused:
      drop(host, outcome.reason, outcome.status);
      break;
  }
  finish(*delivery);
}

void WebPushSender::Impl::retry_later(const DeliveryPointer& delivery, const Outcome& outcome) {
  const seconds delay = outcome.retry_after.value_or(options_.first_retry_delay * (1 << 2 * (delivery->attempts - 1)));
  if (delivery->attempts >= options_.max_attempts || delay > options_.max_retry_delay) {
    drop(delivery->endpoint.authority(), outcome.reason, outcome.status);
    finish(*delivery);
    return;
  }
  log_.write(LogLevel::debug, "push_retried",
             {{"host", delivery->endpoint.authority()}, {"reason", outcome.reason}, {"status", outcome.status}});
  const auto timer = std::make_shared<asio::steady_timer>(context_, delay);
  timer->async_wait([this, timer, delivery](const error_code&) {
    Traffic& traffic = traffic_.at(delivery->subscription.endpoint);
    traffic.waiting.push_front(delivery);
    make_ready(delivery->subscription.endpoint, traffic);
    pump();
  });
}

// Removes it from the counts.
void WebPushSender::Impl::forget(const Delivery& delivery) {
  --deliveries_;
  auto& newest = traffic_.at(delivery.subscription.endpoint).newest;
  const auto found = newest.find(delivery.topic);
  if (found != newest.end() && found->second == delivery.number) newest.erase(found);
}

// Lets the endpoint's next delivery start.
void WebPushSender::Impl::finish(const Delivery& delivery) {
  forget(delivery);
  const auto traffic = traffic_.find(delivery.subscription.endpoint);
  if (traffic->second.waiting.empty())
    traffic_.erase(traffic);
  else
    make_ready(delivery.subscription.endpoint, traffic->second);
}

WebPushSender::WebPushSender(PushSubscriptions& subscriptions, Vapid vapid, WebPushOptions options, Log& log)
    : impl_(std::make_unique<Impl>(subscriptions, std::move(vapid), std::move(options), log)) {}

WebPushSender::~WebPushSender() = default;

const std::string& WebPushSender::public_key() const noexcept {
  return impl_->public_key();
}

bool WebPushSender::allows_private() const noexcept {
  return impl_->allows_private();
}

void WebPushSender::send(travelchat::PushNotification notification) {
  impl_->send(std::move(notification));
}

void WebPushSender::stop() {
  impl_->stop();
}

}  // namespace travel_lab
