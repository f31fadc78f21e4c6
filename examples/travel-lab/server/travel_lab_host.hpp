// What the chat asks of Travel Lab, answered from memory: who is this advisor, what is this trip, who is this client.
//
// Owner: main, which keeps it alive until the server has stopped. Every reply is given before the call returns, so any
// thread may call, I/O threads included.
#pragma once

#include "directory.hpp"
#include "jwt.hpp"
#include "log.hpp"
#include "sessions.hpp"
#include "web_push_sender.hpp"

#include <travelchat/host.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace travel_lab {

// An advisor whose credential is good.
struct SignedIn {
  const Advisor* advisor = nullptr;
  travelchat::TimePoint expires_at;
  bool by_cookie = false;
};

class TravelLabHost final : public travelchat::Host {
 public:
  // `jwt` empty: Bearer tokens are refused. `secure_cookies`: the session cookie is only for TLS, see `cookie_name`.
  TravelLabHost(const Directory& directory, const Sessions& sessions, std::optional<JwtVerifier> jwt,
                bool secure_cookies, Log& log);

  // Before the server starts; without it nobody is notified. `sender` outlives the server.
  void notify_through(WebPushSender& sender) noexcept { push_ = &sender; }

  // The advisor of these credentials. An Authorization header decides alone when there is one, so that a bad Bearer
  // token is not covered up by a cookie beside it.
  std::optional<SignedIn> sign_in(std::string_view cookie, std::string_view authorization) const;
  // The session cookie's value; empty when there is none.
  std::string_view session_token(std::string_view cookie) const;
  // With TLS it has the prefix "__Host-", which keeps other hosts of the domain from setting it.
  std::string_view cookie_name() const noexcept;
  bool has_secure_cookies() const noexcept { return secure_cookies_; }

  void authenticate(travelchat::RequestCredentials credentials,
                    travelchat::Reply<std::optional<travelchat::Advisor>> reply) override;
  void find_trip(std::string trip_id, travelchat::Reply<std::optional<travelchat::SharedTrip>> reply) override;
  void find_clients(std::string org_id, std::vector<std::string> client_ids,
                    travelchat::Reply<std::vector<travelchat::ClientCard>> reply) override;
  void search_clients(std::string org_id, std::string text, travelchat::Reply<std::vector<std::string>> reply) override;
  void notify(travelchat::PushNotification notification) override;

 private:
  const Directory& directory_;
  const Sessions& sessions_;
  const std::optional<JwtVerifier> jwt_;
  const bool secure_cookies_;
  Log& log_;
  WebPushSender* push_ = nullptr;
};

}  // namespace travel_lab
