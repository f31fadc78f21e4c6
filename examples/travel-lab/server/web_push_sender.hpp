// Sends notifications to the push services of an organization's advisors (RFC 8030).
//
// Owner: main. It has a thread of its own for everything that waits for the network and the database, so that no I/O
// thread of the chat does. Deliveries under way are lost when it stops; the message itself is stored. `send` from any
// thread.
//
// Endpoints come from browsers and are not trusted: https with the certificate and the name verified, only public
// addresses, checked on the addresses that are connected to, no redirects, nothing read beyond the head of the answer,
// and a deadline over all of it. Endpoints and keys never reach the log, only hosts.
#pragma once

#include "log.hpp"
#include "push_subscriptions.hpp"
#include "vapid.hpp"

#include <travelchat/host.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace travel_lab {

struct WebPushOptions {
  std::optional<std::filesystem::path> ca_file = std::nullopt;  // PEM; trusted besides the system's authorities
  bool allow_private = false;                                   // endpoints in private networks, for tests
  std::chrono::milliseconds attempt_timeout = std::chrono::seconds{10};
  // Tries of one message for one browser. Only what may pass is tried again: 429, 5xx, a network that fails.
  int max_attempts = 3;
  std::chrono::seconds first_retry_delay{2};  // four times as long each time, unless the service says Retry-After
  std::chrono::seconds max_retry_delay{300};  // a service that wants more is not asked again
  // Notifications that wait for the thread; a further one is dropped.
  std::size_t max_queued = 1'024;
  // Messages for single browsers that wait, travel or wait to be tried again; a further one is dropped.
  std::size_t max_deliveries = 8'192;
  // Messages that wait for one browser, which gets them one after the other; a further one drops the oldest.
  std::size_t max_waiting_per_endpoint = 32;
  std::size_t max_connections = 256;  // at once, one for each browser; further deliveries wait
  std::size_t max_lookups = 128;      // threads that ask for addresses, at once; beyond it a try fails
};

class WebPushSender {
 public:
  // Starts the thread. Throws std::runtime_error with a sentence for the operator when `ca_file` cannot be used.
  WebPushSender(PushSubscriptions& subscriptions, Vapid vapid, WebPushOptions options, Log& log);
  WebPushSender(const WebPushSender&) = delete;
  WebPushSender& operator=(const WebPushSender&) = delete;
  ~WebPushSender();  // stop()

  // See Vapid.
  const std::string& public_key() const noexcept;
  bool allows_private() const noexcept;

  // To every browser of every advisor of the organization. Returns at once; the log says what came of it.
  void send(travelchat::PushNotification notification);

  // Drops what is under way and joins the thread. Idempotent.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace travel_lab
