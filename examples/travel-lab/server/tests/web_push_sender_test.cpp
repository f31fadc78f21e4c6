#include "web_push_sender.hpp"

#include "base64url.hpp"
#include "data_fixture.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <catch.hpp>

#include <chrono>
#include <string>

namespace {

using namespace std::chrono_literals;
using namespace travel_lab;
using boost::asio::ip::tcp;
using travelchat::TimePoint;

// An advisor whose browser's push service takes connections and says nothing.
class Silence {
 public:
  Silence() : acceptor_(context_, {boost::asio::ip::address_v4::loopback(), 0}) {
    add_advisor(data_.database(), "a");
    PushSubscription subscription{"https://127.0.0.1:" + std::to_string(port()) + "/x", {}};
    subscription.keys.p256dh = P256Key::generate().public_point();
    REQUIRE_FALSE(subscriptions_.add("a", subscription, TimePoint{1'800'000'000s}));
  }

  PushSubscriptions& subscriptions() { return subscriptions_; }
  Log& log() { return log_; }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  // Waits for a connection.
  tcp::socket accept() { return acceptor_.accept(); }

 private:
  Data data_{Kind::sqlite};
  PushSubscriptions subscriptions_{data_.database()};
  Log log_{LogLevel::off};
  boost::asio::io_context context_;
  tcp::acceptor acceptor_;
};

Vapid vapid() {
  return {P256Key::generate(), ""};
}

travelchat::PushNotification notification(int number) {
  return {"o", "New message from Ana", "hello", "/dashboard/messages?id=" + std::to_string(number)};
}

}  // namespace

TEST_CASE("a sender stops at once, whatever is under way") {
  Silence silence;
  WebPushSender sender(silence.subscriptions(), vapid(), {.allow_private = true}, silence.log());
  sender.send(notification(0));
  const auto connection = silence.accept();
  const auto started = std::chrono::steady_clock::now();
  sender.stop();
  CHECK(std::chrono::steady_clock::now() - started < 5s);
  sender.stop();
  sender.send(notification(1));
}

TEST_CASE("full queues drop what is too much and go on with the rest") {
  Silence silence;
  for (const auto& [queued, deliveries, waiting] :
       {std::tuple(0u, 10u, 10u), std::tuple(10u, 2u, 10u), std::tuple(1'000u, 1'000u, 2u), std::tuple(1u, 1u, 1u)}) {
    CAPTURE(queued, deliveries, waiting);
    WebPushSender sender(silence.subscriptions(), vapid(),
                         {.allow_private = true,
                          .attempt_timeout = 20ms,
                          .max_attempts = 2,
                          .first_retry_delay = 0s,
                          .max_queued = queued,
                          .max_deliveries = deliveries,
                          .max_waiting_per_endpoint = waiting},
                         silence.log());
    // Seven conversations, so that some messages replace others and some do not.
    for (int i = 0; i < 200; ++i) sender.send(notification(i % 7));
    if (queued == 0) continue;
    // The first one twice, then another: the queue moves.
    for (int i = 0; i < (deliveries > 1 ? 3 : 2); ++i) silence.accept();
  }
}

TEST_CASE("browsers that wait for a connection get one after the other") {
  Silence silence;
  PushSubscription second{"https://localhost:" + std::to_string(silence.port()) + "/y", {}};
  second.keys.p256dh = P256Key::generate().public_point();
  REQUIRE_FALSE(silence.subscriptions().add("a", second, TimePoint{1'800'000'000s}));
  WebPushSender sender(silence.subscriptions(), vapid(),
                       {.allow_private = true,
                        .attempt_timeout = 20ms,
                        .max_attempts = 1,
                        .max_waiting_per_endpoint = 1,
                        .max_connections = 1},
                       silence.log());
  for (int i = 0; i < 50; ++i) sender.send(notification(i));
  for (int i = 0; i < 2; ++i) silence.accept();
}

TEST_CASE("an authority's file that is none is refused at start") {
  Silence silence;
  CHECK_THROWS_WITH(WebPushSender(silence.subscriptions(), vapid(), {.ca_file = "/nonexistent/ca.pem"}, silence.log()),
                    Catch::Contains("/nonexistent/ca.pem"));
}
