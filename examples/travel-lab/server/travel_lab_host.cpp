#include "travel_lab_host.hpp"

#include "clock.hpp"

#include <travelchat/text_search.hpp>
#include <travelchat/validate.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace travel_lab {
namespace {

bool is_space(char c) noexcept {
  return c == ' ' || c == '\t';
}

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// The token of "Bearer <token>" (RFC 6750 section 2.1; the scheme in any case). Empty: another scheme.
std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view scheme = "bearer ";
  const std::string_view value = trim(authorization);
  if (fold_case(value.substr(0, scheme.size())) != scheme) return {};
  return trim(value.substr(scheme.size()));
}

// The session id for an advisor with a JWT, who has no stored session: it is live while the advisor is one of that
// organization and may sign in. It differs from those of cookies, which are hexadecimal.
std::string jwt_session_of(const Advisor& advisor) {
  return "jwt " + advisor.org_id + ' ' + advisor.id;
}

bool is_live_jwt_session(const Directory& directory, std::string_view id) {
  const Advisor* advisor = directory.find_advisor(id.substr(id.rfind(' ') + 1));
  return advisor != nullptr && advisor->access == Access::granted && jwt_session_of(*advisor) == id;
}

travelchat::ClientCard card_of(const Directory& directory, const Client& client) {
  travelchat::ClientCard card{client.id, client.full_name, avatar_path(client.id), std::nullopt};
  if (const Trip* trip = directory.active_trip(client.id)) card.active_trip = {trip->id, trip->title};
  return card;
}

travelchat::SharedTrip share(const Directory& directory, const Trip& trip) {
  travelchat::SharedTrip shared;
  shared.id = trip.id;
  shared.org_id = trip.org_id;
  shared.client_id = trip.client_id;
  shared.title = trip.title;
  shared.share_enabled = trip.share_enabled;
  shared.share_token = trip.share_token;
  if (trip.client_id) {
    if (const Client* client = directory.find_client(*trip.client_id)) shared.client_name = client->full_name;
  }
  if (const Advisor* advisor = directory.find_advisor(trip.advisor_id)) {
    shared.advisor_name = advisor->full_name;
    shared.advisor_avatar_url = avatar_path(advisor->id);
  }
  return shared;
}

}  // namespace

TravelLabHost::TravelLabHost(LiveDirectory& directory, Sessions& sessions, std::optional<JwtVerifier> jwt,
                             bool secure_cookies, Log& log)
    : directory_(directory), sessions_(sessions), jwt_(std::move(jwt)), secure_cookies_(secure_cookies), log_(log) {}

std::string_view TravelLabHost::cookie_name() const noexcept {
  return secure_cookies_ ? "__Host-travelchat_session" : "travelchat_session";
}

std::string_view TravelLabHost::session_token(std::string_view cookie) const {
  while (!cookie.empty()) {
    const std::size_t end = cookie.find(';');
    const std::string_view pair = trim(cookie.substr(0, end));
    cookie.remove_prefix(end == std::string_view::npos ? cookie.size() : end + 1);
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == cookie_name()) return pair.substr(equals + 1);
  }
  return {};
}

template <class T>
void TravelLabHost::answer(std::function<Recalled<T>()> recall, std::function<travelchat::error_code()> reread,
                           travelchat::Reply<T> reply) const {
  Recalled<T> found = recall();
  if (found.is_final || readers_ == nullptr) return reply(std::move(found.answer));
  const bool is_accepted = readers_->submit([recall = std::move(recall), reread = std::move(reread), reply] {
    if (const auto ec = reread()) return reply(ec);
    reply(recall().answer);
  });
  if (!is_accepted) reply(make_error_code(travelchat::errc::overloaded));
}

TravelLabHost::Recalled<std::optional<SignedIn>> TravelLabHost::recall_advisor(
    const travelchat::RequestCredentials& credentials) const {
  const travelchat::TimePoint now = current_time();
  const auto directory = directory_.current();
  if (!credentials.authorization.empty()) {
    const std::string_view token = bearer_token(credentials.authorization);
    if (!jwt_ || token.empty()) return {};
    const auto claims = jwt_->verify(token, now);
    if (!claims) return {};
    const Advisor* advisor = directory->find_advisor(claims->subject);
    if (advisor == nullptr) return {.answer = {}, .is_final = false};
    if (advisor->org_id != claims->org_id || advisor->access != Access::granted) return {};
    return {.answer = SignedIn{directory, advisor, claims->expires_at, false, jwt_session_of(*advisor)}};
  }

  const std::string_view token = session_token(credentials.cookie);
  if (!travelchat::is_token(token)) return {};
  const auto session = sessions_.recall(token, now);
  const Advisor* advisor = session ? directory->find_advisor(session->advisor_id) : nullptr;
  if (advisor == nullptr) return {.answer = {}, .is_final = false};
  if (advisor->access != Access::granted) return {};
  if (session->is_use_due && writers_ != nullptr) note_use(token, now);
  return {.answer = SignedIn{directory, advisor, session->expires_at, true, session->id}};
}

void TravelLabHost::note_use(std::string_view token, travelchat::TimePoint now) const {
  // When the queue is full it is skipped: an eighth of the idle time-out later it is due again.
  static_cast<void>(writers_->submit([this, token = std::string(token), now] {
    if (const auto ec = sessions_.note_use(token, now)) {
      log_.write(LogLevel::error, "session_use_not_stored", {{"reason", travelchat::describe(ec).name}});
    }
  }));
}

void TravelLabHost::sign_in(travelchat::RequestCredentials credentials,
                            travelchat::Reply<std::optional<SignedIn>> reply) const {
  const auto shared = std::make_shared<const travelchat::RequestCredentials>(std::move(credentials));
  answer<std::optional<SignedIn>>([this, shared] { return recall_advisor(*shared); },
                                  [this, shared]() -> travelchat::error_code {
                                    if (shared->authorization.empty()) {
                                      const auto token = session_token(shared->cookie);
                                      if (const auto ec = sessions_.reread(token, current_time())) return ec;
                                    }
                                    return directory_.refresh();
                                  },
                                  std::move(reply));
}

void TravelLabHost::look_up_trip(std::string id, travelchat::Reply<TripFound> reply) const {
  answer<TripFound>(
      [this, id = std::move(id)]() -> Recalled<TripFound> {
        auto directory = directory_.current();
        const Trip* trip = directory->find_trip(id);
        return {.answer = {std::move(directory), trip}, .is_final = trip != nullptr};
      },
      [this] { return directory_.refresh(); }, std::move(reply));
}

void TravelLabHost::authenticate(travelchat::RequestCredentials credentials,
                                 travelchat::Reply<std::optional<travelchat::Advisor>> reply) {
  sign_in(std::move(credentials), [reply = std::move(reply)](travelchat::result<std::optional<SignedIn>> found) {
    if (!found) return reply(found.error());
    if (!*found) return reply(std::optional<travelchat::Advisor>());
    const SignedIn& viewer = **found;
    reply(std::optional(travelchat::Advisor{viewer.advisor->org_id, viewer.advisor->id, viewer.advisor->full_name,
                                            avatar_path(viewer.advisor->id), viewer.expires_at, viewer.by_cookie,
                                            viewer.session_id}));
  });
}

void TravelLabHost::find_trip(std::string trip_id, travelchat::Reply<std::optional<travelchat::SharedTrip>> reply) {
  look_up_trip(std::move(trip_id), [reply = std::move(reply)](travelchat::result<TripFound> found) {
    if (!found) return reply(found.error());
    if (found->trip == nullptr) return reply(std::optional<travelchat::SharedTrip>());
    reply(std::optional(share(*found->directory, *found->trip)));
  });
}

TravelLabHost::Recalled<std::vector<travelchat::ClientCard>> TravelLabHost::recall_clients(
    const std::string& org_id, const std::vector<std::string>& client_ids) const {
  const auto directory = directory_.current();
  Recalled<std::vector<travelchat::ClientCard>> recalled;
  recalled.answer.reserve(client_ids.size());
  for (const std::string& id : client_ids) {
    const Client* client = directory->find_client(id);
    if (client == nullptr) recalled.is_final = false;
    if (client != nullptr && client->org_id == org_id) recalled.answer.push_back(card_of(*directory, *client));
  }
  return recalled;
}

void TravelLabHost::find_clients(std::string org_id, std::vector<std::string> client_ids,
                                 travelchat::Reply<std::vector<travelchat::ClientCard>> reply) {
  answer<std::vector<travelchat::ClientCard>>(
      [this, org_id = std::move(org_id), client_ids = std::move(client_ids)] {
        return recall_clients(org_id, client_ids);
      },
      [this] { return directory_.refresh(); }, std::move(reply));
}

void TravelLabHost::search_clients(std::string org_id, std::string text,
                                   travelchat::Reply<std::vector<std::string>> reply) {
  const std::string folded = travelchat::fold_text(text);
  std::vector<std::string> ids;
  const auto directory = directory_.current();
  for (const Client* client : directory->clients_of(org_id)) {
    if (client->folded_name.find(folded) != std::string::npos) ids.push_back(client->id);
  }
  reply(std::move(ids));
}

travelchat::result<std::vector<std::string>> TravelLabHost::find_live(std::vector<std::string> session_ids) const {
  const auto of_jwts = std::stable_partition(session_ids.begin(), session_ids.end(),
                                             [](const std::string& id) { return id.find(' ') == id.npos; });
  std::vector<std::string> jwt_sessions(std::make_move_iterator(of_jwts), std::make_move_iterator(session_ids.end()));
  session_ids.erase(of_jwts, session_ids.end());
  auto live = sessions_.find_live(session_ids, current_time());
  if (!live || jwt_sessions.empty()) return live;
  if (const auto ec = directory_.refresh()) return ec;
  const auto directory = directory_.current();
  for (std::string& id : jwt_sessions) {
    if (is_live_jwt_session(*directory, id)) live->push_back(std::move(id));
  }
  return live;
}

void TravelLabHost::check_sessions(std::vector<std::string> session_ids,
                                   travelchat::Reply<std::vector<std::string>> reply) {
  if (readers_ == nullptr) return reply(find_live(std::move(session_ids)));
  const bool is_accepted =
      readers_->submit([this, session_ids = std::move(session_ids), reply] { reply(find_live(session_ids)); });
  if (!is_accepted) reply(make_error_code(travelchat::errc::overloaded));
}

void TravelLabHost::notify(travelchat::PushNotification notification) {
  log_.write(LogLevel::debug, "notify", {{"orgId", notification.org_id}});
  if (push_ != nullptr) push_->send(std::move(notification));
}

}  // namespace travel_lab
