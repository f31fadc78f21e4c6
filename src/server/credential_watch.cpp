#include "server/credential_watch.hpp"

#include "server/await.hpp"
#include "server/chat_loop.hpp"
#include "server/chat_server.hpp"
#include "server/subscriber_socket.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <tuple>
#include <unordered_set>

namespace travelchat::server {
namespace {

using namespace std::chrono_literals;

// Beyond it answers are forgotten, and the host is asked again.
constexpr std::size_t max_trips = 10'000;
// A few hundred bytes each.
constexpr std::size_t max_tokens = 10'000;
// How long a "no" of the host is used: the trip may be shared again soon.
constexpr auto no_lasts = 1s;
// Before the host is asked again after an error.
constexpr auto failure_pause = 1s;
// A question without an answer by then counts as failed.
constexpr auto host_answer_timeout = 10s;
// Of open sockets at once, so that the host has time for requests.
constexpr std::size_t max_checks_under_way = 16;

// Whether both answers agree in everything that decides whether a link is valid.
bool is_same_link(const std::optional<SharedTrip>& a, const std::optional<SharedTrip>& b) {
  if (!a || !b) return !a && !b;
  return std::tie(a->share_enabled, a->share_token, a->org_id, a->client_id) ==
         std::tie(b->share_enabled, b->share_token, b->org_id, b->client_id);
}

}  // namespace

// ---- Tokens ----

TokenBases::Known& TokenBases::find(const ChatToken& token) {
  if (const auto known = known_.find(token); known != known_.end()) return known->second;
  if (known_.size() >= max_tokens) known_.clear();
  return known_.emplace(token, Known{token.basis()}).first->second;
}

bool TokenBases::may_be_of(const ChatToken& token, std::string_view share_token) {
  Known& known = find(token);
  if (known.share_token == share_token) return true;
  if (!token.may_be_of(share_token)) return false;
  known.share_token = share_token;
  return true;
}

// ---- Links ----

bool CredentialWatch::holds(const LinkClaim& claim, const std::optional<SharedTrip>& trip) {
  return trip && trip->share_enabled && !trip->share_token.empty() && trip->org_id == claim.org_id &&
         trip->client_id == claim.client_id && tokens_.may_be_of(claim.token, trip->share_token);
}

CredentialWatch::Trip& CredentialWatch::find(const std::string& trip_id, SteadyTime now) {
  if (const auto known = trips_.find(trip_id); known != trips_.end()) return known->second;
  if (trips_.size() >= max_trips) {
    const auto interval = loop_.server().chat_options().share_check_interval;
    std::erase_if(trips_, [&](const auto& entry) {
      return !entry.second.is_asked && entry.second.waiting.empty() && now - entry.second.answered_at >= interval;
    });
    if (trips_.size() >= max_trips) {
      std::erase_if(trips_, [](const auto& entry) { return !entry.second.is_asked && entry.second.waiting.empty(); });
    }
  }
  return trips_[trip_id];
}

std::optional<result<bool>> CredentialWatch::known_answer(const Trip& trip, const LinkClaim& claim, SteadyTime now) {
  const auto say = [](bool does) { return result<bool>(boost::system::in_place_value, does); };
  const bool does_hold = trip.is_answered && holds(claim, trip.answer);
  const auto age = now - trip.answered_at;
  if (does_hold && age < loop_.server().chat_options().share_check_interval) return say(true);
  if (trip.is_answered && !does_hold && age < no_lasts) return say(false);
  if (!trip.failure || now >= trip.ask_again_at) return std::nullopt;
  if (does_hold) return say(true);
  return result<bool>(boost::system::in_place_error, trip.failure);
}

void CredentialWatch::check_link(LinkClaim claim, Done done) {
  if (!tokens_.ends_with_link(claim.token) || loop_.server().chat_options().share_check_interval.count() == 0) {
    return done(result<bool>(boost::system::in_place_value, true));
  }
  const auto now = std::chrono::steady_clock::now();
  Trip& trip = find(claim.trip_id, now);
  if (const auto known = known_answer(trip, claim, now)) return done(*known);
  const std::string trip_id = claim.trip_id;
  trip.waiting.emplace_back(std::move(claim), std::move(done));
  if (!trip.is_asked) ask_host_about(trip_id, now);
}

void CredentialWatch::ask_host_about(const std::string& trip_id, SteadyTime now) {
  Trip& trip = trips_[trip_id];
  trip.is_asked = true;
  trip.asked_at = now;
  [](CredentialWatch& watch, std::string id, SteadyTime asked_at) -> DetachedTask {
    auto answer = co_await ask_host<std::optional<SharedTrip>>(
        watch.loop_, "find_trip", [&](Host& host, auto reply) { host.find_trip(id, std::move(reply)); });
    watch.answered(id, asked_at, std::move(answer));
  }(*this, trip_id, now);
}

void CredentialWatch::answered(const std::string& trip_id, SteadyTime asked_at,
                               result<std::optional<SharedTrip>> answer) {
  const auto known = trips_.find(trip_id);
  // The question timed out, and may have been asked again.
  if (known == trips_.end() || !known->second.is_asked || known->second.asked_at != asked_at) return;
  Trip& trip = known->second;
  trip.is_asked = false;
  if (answer) {
    learn(trip_id, *answer, asked_at);
  } else {
    trip.failure = answer.error();
    trip.ask_again_at = std::chrono::steady_clock::now() + failure_pause;
  }
  answer_waiting(trip);
}

bool CredentialWatch::store_answer(const std::string& trip_id, const std::optional<SharedTrip>& answer,
                                   SteadyTime asked_at) {
  const auto known = trips_.find(trip_id);
  if (known == trips_.end()) return true;
  Trip& trip = known->second;
  // The answer to a later question came first.
  if (trip.is_answered && asked_at < trip.answered_at) return false;
  const bool is_news = !trip.is_answered || !is_same_link(trip.answer, answer);
  trip.answer = answer;
  trip.is_answered = true;
  trip.answered_at = asked_at;
  trip.failure = {};
  // Open sockets may depend on it.
  if (is_news) next_check_ = {};
  return is_news;
}

void CredentialWatch::learn(const std::string& trip_id, const std::optional<SharedTrip>& answer, SteadyTime asked_at) {
  if (!store_answer(trip_id, answer, asked_at)) return;
  ChatServer& server = loop_.server();
  for (std::size_t i = 0; i < server.loop_count(); ++i) {
    ChatLoop& other = server.loop(i);
    if (&other == &loop_) continue;
    server.run_state()->if_running([&] {
      boost::asio::post(other.context(), [keep = server.shared_from_this(), &other, trip_id, answer, asked_at] {
        other.credentials().store_answer(trip_id, answer, asked_at);
      });
    });
  }
}

void CredentialWatch::answer_waiting(Trip& trip) {
  // A callback may ask again, which can move the entries.
  const auto waiting = std::exchange(trip.waiting, {});
  const bool is_answered = trip.is_answered;
  const std::optional<SharedTrip> answer = trip.answer;
  const error_code failure = trip.failure;
  for (const auto& [claim, done] : waiting) {
    const bool does_hold = is_answered && holds(claim, answer);
    if (failure && !does_hold)
      done(result<bool>(boost::system::in_place_error, failure));
    else
      done(result<bool>(boost::system::in_place_value, does_hold));
  }
}

void CredentialWatch::check_links(SteadyTime now) {
  std::vector<std::string> silent;
  for (const auto& [trip_id, trip] : trips_) {
    if (trip.is_asked && now - trip.asked_at >= host_answer_timeout) silent.push_back(trip_id);
  }
  for (const std::string& trip_id : silent) {
    const auto known = trips_.find(trip_id);
    if (known != trips_.end()) answered(trip_id, known->second.asked_at, errc::internal);
  }
  if (!to_check_.empty()) return;  // the last round is not over
  loop_.sockets().for_each([&](SubscriberSocket& socket) {
    const SocketClaim* claim = socket.claim();
    if (claim == nullptr || !claim->link || !tokens_.ends_with_link(claim->link->token)) return;
    const auto known = trips_.find(claim->link->trip_id);
    const auto held = known == trips_.end() ? std::nullopt : known_answer(known->second, *claim->link, now);
    if (!held || *held != result<bool>(boost::system::in_place_value, true)) {
      to_check_.push_back(socket.weak());
    }
  });
  continue_checks();
}

void CredentialWatch::continue_checks() {
  // A host that answers at once calls this again within the call.
  if (std::exchange(is_checking_, true)) return;
  while (checks_under_way_ < max_checks_under_way && !to_check_.empty()) {
    const std::weak_ptr<SubscriberSocket> checked = std::move(to_check_.front());
    to_check_.pop_front();
    const auto socket = checked.lock();
    if (!socket || !socket->web_socket().is_open()) continue;
    const SocketClaim* claim = socket->claim();
    if (claim == nullptr || !claim->link) continue;
    ++checks_under_way_;
    check_link(*claim->link, [this, checked](const result<bool>& holds) {
      --checks_under_way_;
      if (const auto still = checked.lock(); still && holds && !*holds) still->close(errc::unauthenticated);
      continue_checks();
    });
  }
  is_checking_ = false;
}

// ---- Sessions ----

void CredentialWatch::check_sessions(SteadyTime now) {
  if (sessions_asked_at_ && now - *sessions_asked_at_ < host_answer_timeout) return;
  std::unordered_set<std::string> open;
  loop_.sockets().for_each([&](SubscriberSocket& socket) {
    const SocketClaim* claim = socket.claim();
    if (claim != nullptr && !claim->session_id.empty()) open.insert(claim->session_id);
  });
  if (open.empty()) return;
  sessions_asked_at_ = now;
  [](CredentialWatch& watch, std::vector<std::string> ids, SteadyTime asked_at) -> DetachedTask {
    const auto live = co_await ask_host<std::vector<std::string>>(
        watch.loop_, "check_sessions", [&](Host& host, auto reply) { host.check_sessions(ids, std::move(reply)); });
    if (watch.sessions_asked_at_ == asked_at) watch.sessions_asked_at_.reset();
    if (!live) co_return;
    const std::unordered_set<std::string> found(live->begin(), live->end());
    for (const std::string& id : ids) {
      // Ends it on every loop and node, so that the others need not ask.
      if (!found.contains(id)) watch.loop_.server().engine().end_session(id);
    }
  }(*this, std::vector<std::string>(open.begin(), open.end()), now);
}

void CredentialWatch::tick(const http::Now& now) {
  const BeastServerOptions& options = loop_.server().chat_options();
  if (options.share_check_interval.count() > 0 && now.steady >= next_check_) {
    next_check_ = now.steady + options.share_check_interval / 4;
    check_links(now.steady);
  }
  if (options.session_check_interval.count() > 0 && now.steady >= next_session_check_) {
    next_session_check_ = now.steady + options.session_check_interval;
    check_sessions(now.steady);
  }
}

void CredentialWatch::clear() noexcept {
  const auto gone = std::exchange(trips_, {});
  to_check_.clear();
}

}  // namespace travelchat::server
