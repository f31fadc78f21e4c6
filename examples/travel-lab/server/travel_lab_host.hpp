// What the chat asks of Travel Lab: who is this advisor, what is this trip, who is this client.
//
// Answered from memory, before the call returns, where memory has the answer: always, when this process owns the
// database. What memory does not hold of a database that other nodes write to is read from there first, on a worker.
//
// Owner: main, which keeps it alive until the server has stopped. Any thread may call, I/O threads included.
#pragma once

#include "jwt.hpp"
#include "live_directory.hpp"
#include "log.hpp"
#include "sessions.hpp"
#include "web_push_sender.hpp"
#include "worker_pool.hpp"

#include <travelchat/host.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace travel_lab {

// An advisor whose credential is good.
struct SignedIn {
  std::shared_ptr<const Directory> directory;
  const Advisor* advisor = nullptr;  // in it
  travelchat::TimePoint expires_at;
  bool by_cookie = true;
  std::string session_id;
};

// A trip and the directory that holds it; null: no such trip.
struct TripFound {
  std::shared_ptr<const Directory> directory;
  const Trip* trip = nullptr;
};

class TravelLabHost final : public travelchat::Host {
 public:
  // `jwt` empty: Bearer tokens are refused. `secure_cookies`: the session cookie is only for TLS, see `cookie_name`.
  TravelLabHost(LiveDirectory& directory, Sessions& sessions, std::optional<JwtVerifier> jwt, bool secure_cookies,
                Log& log);

  // Before the server starts; without it nobody is notified. `sender` outlives the server.
  void notify_through(WebPushSender& sender) noexcept { push_ = &sender; }

  // Before the server starts, when the database is shared: where memory is read again. `readers` outlives the server.
  void reread_on(WorkerPool& readers) noexcept { readers_ = &readers; }

  // Before the server starts: where it is written down that sessions are in use. `writers` outlives the server.
  void note_uses_on(WorkerPool& writers) noexcept { writers_ = &writers; }

  // The advisor of these credentials. An Authorization header decides alone when there is one, so that a bad Bearer
  // token is not covered up by a cookie beside it. Errors: the database cannot be read, `errc::overloaded`.
  void sign_in(travelchat::RequestCredentials credentials, travelchat::Reply<std::optional<SignedIn>> reply) const;
  // The trip of this id and the directory that holds it. Errors as above.
  void look_up_trip(std::string id, travelchat::Reply<TripFound> reply) const;
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
  void check_sessions(std::vector<std::string> session_ids, travelchat::Reply<std::vector<std::string>> reply) override;
  void notify(travelchat::PushNotification notification) override;

 private:
  // An answer from memory. Not final: it may differ after memory was read again.
  template <class T>
  struct Recalled {
    T answer;
    bool is_final = true;
  };
  // Replies with the answer from memory, after `reread` when it is not final.
  template <class T>
  void answer(std::function<Recalled<T>()> recall, std::function<travelchat::error_code()> reread,
              travelchat::Reply<T> reply) const;
  // Those that have not ended, of cookies and of JWTs.
  travelchat::result<std::vector<std::string>> find_live(std::vector<std::string> session_ids) const;
  void note_use(std::string_view token, travelchat::TimePoint now) const;
  Recalled<std::optional<SignedIn>> recall_advisor(const travelchat::RequestCredentials& credentials) const;
  Recalled<std::vector<travelchat::ClientCard>> recall_clients(const std::string& org_id,
                                                               const std::vector<std::string>& client_ids) const;

  LiveDirectory& directory_;
  Sessions& sessions_;
  const std::optional<JwtVerifier> jwt_;
  const bool secure_cookies_;
  Log& log_;
  WebPushSender* push_ = nullptr;
  WorkerPool* readers_ = nullptr;
  WorkerPool* writers_ = nullptr;
};

}  // namespace travel_lab
