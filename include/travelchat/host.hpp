// What the chat asks the application: who is this advisor, what is this trip, who is this client; and what it tells it:
// a client wrote. BeastServer calls it; the reference server, the Node and the Python bindings implement it.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/types.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace travelchat {

// How a host answers: exactly once, from any thread, at once or later. What arrives after
// `BeastServerOptions::host_timeout`, or after the server has stopped, is ignored.
template <class T>
using Reply = std::function<void(result<T>)>;

// The credentials of a request, as they came. Never log them.
struct RequestCredentials {
  std::string cookie;         // the Cookie header; empty when absent
  std::string authorization;  // the Authorization header; empty when absent
  // The `HttpRequest::context` that the application gave with a request which it received itself: whatever lets it
  // recognize that request. Null for the others.
  std::shared_ptr<void> context = nullptr;
};

struct Advisor {
  std::string org_id;
  std::string id;
  std::string name;
  // Here and below: an http or https URL, a path of the server that begins with one /, or `data:image/…`. Anything else
  // is not passed on.
  std::optional<std::string> avatar_url = {};
  // When the session ends; an open socket is closed then with 4401. Empty: open-ended.
  std::optional<TimePoint> expires_at = {};
  // Whether a browser attaches the credential by itself, as it does a cookie: then requests that write must come from
  // the server's own origin. False only when it does not, as with a Bearer token.
  bool by_cookie = true;
  // Names the session that the credential belongs to, so that its end reaches open sockets: by
  // `ChatEngine::end_session`, and by `Host::check_sessions`. Not the credential itself; no other session ever has the
  // same. Empty: the socket stays until `expires_at`.
  std::string session_id = {};
};
BOOST_DESCRIBE_STRUCT(Advisor, (), (org_id, id, name, avatar_url, expires_at, by_cookie, session_id))

struct ActiveTrip {
  std::string id;
  std::string title;
  friend bool operator==(const ActiveTrip&, const ActiveTrip&) = default;
};
BOOST_DESCRIBE_STRUCT(ActiveTrip, (), (id, title))

// What a conversation list shows of a client.
struct ClientCard {
  std::string id;
  std::string name;
  std::optional<std::string> avatar_url = {};
  std::optional<ActiveTrip> active_trip = {};
  friend bool operator==(const ClientCard&, const ClientCard&) = default;
};
BOOST_DESCRIBE_STRUCT(ClientCard, (), (id, name, avatar_url, active_trip))

struct SharedTrip {
  std::string id;
  std::string org_id;
  std::optional<std::string> client_id = {};
  std::string title = {};
  bool share_enabled = false;
  std::string share_token = {};
  std::optional<std::string> client_name = {};
  std::optional<std::string> advisor_name = {};
  std::optional<std::string> advisor_avatar_url = {};
};
BOOST_DESCRIBE_STRUCT(SharedTrip, (),
                      (id, org_id, client_id, title, share_enabled, share_token, client_name, advisor_name,
                       advisor_avatar_url))

struct PushNotification {
  std::string org_id;  // every advisor of it
  std::string title;
  std::string body;
  std::string url;
};
BOOST_DESCRIBE_STRUCT(PushNotification, (), (org_id, title, body, url))

// Implemented by the embedder, who keeps it alive until the server has stopped. Called from the server's I/O threads,
// many calls at once: return at once and reply later when the answer needs waiting.
class Host {
 public:
  virtual ~Host() = default;

  // nullopt: no credential for an advisor, a bad one, or an expired one.
  virtual void authenticate(RequestCredentials credentials, Reply<std::optional<Advisor>> reply) = 0;
  // nullopt: no such trip. Asked when a chat token is wanted, and again, while tokens of the trip are in use, every
  // `BeastServerOptions::share_check_interval`: tokens end with the link that they were issued for. An error ends
  // nothing.
  virtual void find_trip(std::string trip_id, Reply<std::optional<SharedTrip>> reply) = 0;
  // Those of `client_ids` that belong to the organization, in any order.
  virtual void find_clients(std::string org_id, std::vector<std::string> client_ids,
                            Reply<std::vector<ClientCard>> reply) = 0;
  // The ids of the organization's clients whose name contains `text`, without regard to case (see
  // text_search.hpp).
  virtual void search_clients(std::string org_id, std::string text, Reply<std::vector<std::string>> reply) = 0;
  // Those of `session_ids` (see Advisor) that have not ended, in any order; the sockets of the others are closed with
  // 4401. Asked about the sessions of open sockets, all at once, every `BeastServerOptions::session_check_interval`. An
  // error ends nothing. Unless overridden, sessions end by `ChatEngine::end_session` alone.
  virtual void check_sessions(std::vector<std::string> session_ids, Reply<std::vector<std::string>> reply) {
    reply(std::move(session_ids));
  }
  // A client wrote. Nobody waits for the outcome.
  virtual void notify(PushNotification notification) = 0;
};

}  // namespace travelchat
