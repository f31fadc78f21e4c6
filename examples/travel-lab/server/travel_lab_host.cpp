#include "travel_lab_host.hpp"

#include "clock.hpp"

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

travelchat::ClientCard card_of(const Directory& directory, const Client& client) {
  travelchat::ClientCard card{client.id, client.full_name, avatar_path(client.id), std::nullopt};
  if (const Trip* trip = directory.active_trip(client.id)) card.active_trip = {trip->id, trip->title};
  return card;
}

}  // namespace

TravelLabHost::TravelLabHost(const Directory& directory, const Sessions& sessions, std::optional<JwtVerifier> jwt,
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

std::optional<SignedIn> TravelLabHost::sign_in(std::string_view cookie, std::string_view authorization) const {
  const travelchat::TimePoint now = current_time();
  if (!authorization.empty()) {
    const std::string_view token = bearer_token(authorization);
    if (!jwt_ || token.empty()) return std::nullopt;
    const auto claims = jwt_->verify(token, now);
    if (!claims) return std::nullopt;
    const Advisor* advisor = directory_.find_advisor(claims->subject);
    if (advisor == nullptr || advisor->org_id != claims->org_id) return std::nullopt;
    return SignedIn{advisor, claims->expires_at, false};
  }

  const std::string_view token = session_token(cookie);
  if (token.empty()) return std::nullopt;
  const auto session = sessions_.find(token, now);
  if (!session) return std::nullopt;
  const Advisor* advisor = directory_.find_advisor(session->advisor_id);
  if (advisor == nullptr) return std::nullopt;
  return SignedIn{advisor, session->expires_at, true};
}

void TravelLabHost::authenticate(travelchat::RequestCredentials credentials,
                                 travelchat::Reply<std::optional<travelchat::Advisor>> reply) {
  const auto found = sign_in(credentials.cookie, credentials.authorization);
  if (!found) return reply(std::optional<travelchat::Advisor>());
  reply(std::optional(travelchat::Advisor{found->advisor->org_id, found->advisor->id, found->advisor->full_name,
                                          avatar_path(found->advisor->id), found->expires_at, found->by_cookie}));
}

void TravelLabHost::find_trip(std::string trip_id, travelchat::Reply<std::optional<travelchat::SharedTrip>> reply) {
  const Trip* trip = directory_.find_trip(trip_id);
  if (trip == nullptr) return reply(std::optional<travelchat::SharedTrip>());
  travelchat::SharedTrip shared;
  shared.id = trip->id;
  shared.org_id = trip->org_id;
  shared.client_id = trip->client_id;
  shared.title = trip->title;
  shared.share_enabled = trip->share_enabled;
  shared.share_token = trip->share_token;
  if (trip->client_id) {
    if (const Client* client = directory_.find_client(*trip->client_id)) shared.client_name = client->full_name;
  }
  if (const Advisor* advisor = directory_.find_advisor(trip->advisor_id)) {
    shared.advisor_name = advisor->full_name;
    shared.advisor_avatar_url = avatar_path(advisor->id);
  }
  reply(std::optional(std::move(shared)));
}

void TravelLabHost::find_clients(std::string org_id, std::vector<std::string> client_ids,
                                 travelchat::Reply<std::vector<travelchat::ClientCard>> reply) {
  std::vector<travelchat::ClientCard> cards;
  cards.reserve(client_ids.size());
  for (const std::string& id : client_ids) {
    const Client* client = directory_.find_client(id);
    if (client != nullptr && client->org_id == org_id) cards.push_back(card_of(directory_, *client));
  }
  reply(std::move(cards));
}

void TravelLabHost::search_clients(std::string org_id, std::string text,
                                   travelchat::Reply<std::vector<std::string>> reply) {
  const std::string folded = fold_case(text);
  std::vector<std::string> ids;
  for (const Client* client : directory_.clients_of(org_id)) {
    if (client->folded_name.find(folded) != std::string::npos) ids.push_back(client->id);
  }
  reply(std::move(ids));
}

void TravelLabHost::notify(travelchat::PushNotification notification) {
  log_.write(LogLevel::debug, "notify", {{"orgId", notification.org_id}});
  if (push_ != nullptr) push_->send(std::move(notification));
}

}  // namespace travel_lab
