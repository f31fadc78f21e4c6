#include "routes.hpp"

#include "avatar.hpp"
#include "clock.hpp"
#include "network.hpp"
#include "passwords.hpp"
#include "push_endpoint.hpp"
#include "responses.hpp"
#include "secrets.hpp"
#include "views.hpp"

#include <travelchat/validate.hpp>
#include <travelchat/wire.hpp>

#include <boost/json.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace travel_lab {
namespace {

namespace json = boost::json;
using travelchat::errc;
using travelchat::HttpRequest;
using travelchat::HttpRespond;
using travelchat::HttpResponse;

// RFC 5321 section 4.5.3.1.3.
constexpr std::size_t max_email_bytes = 254;

bool is_json(std::string_view content_type) {
  const std::string media_type = fold_case(content_type.substr(0, content_type.find(';')));
  const std::size_t end = media_type.find_last_not_of(" \t");
  return end != std::string::npos && std::string_view(media_type).substr(0, end + 1) == "application/json";
}

std::string session_cookie(const TravelLabHost& host, std::string_view value, std::int64_t max_age_seconds) {
  std::string cookie(host.cookie_name());
  cookie += '=';
  cookie += value;
  cookie += "; Path=/; HttpOnly; SameSite=Lax; Max-Age=";
  cookie += std::to_string(max_age_seconds);
  if (host.has_secure_cookies()) cookie += "; Secure";
  return cookie;
}

travelchat::RequestCredentials credentials_of(const HttpRequest& request) {
  return {std::string(request.header("cookie")), std::string(request.header("authorization"))};
}

// Required by routes that set or clear the session cookie. Another site's request comes without the cookie, which is
// SameSite=Lax, but the browser would still obey the Set-Cookie of the answer.
bool comes_from_our_pages(const HttpRequest& request) {
  return request.from_trusted_origin && request.header("sec-fetch-site") != "cross-site";
}

// `replaced` is what the browser's session cookie has so far; empty: nothing.
void finish_login(const Site& site, const Directory& directory, const Advisor& advisor, const std::string& replaced,
                  const HttpRespond& respond) {
  const travelchat::TimePoint now = current_time();
  // The old session is closed first, so that it does not count against `max_per_advisor`.
  if (const auto ec = travelchat::is_token(replaced) ? site.sessions.close(replaced) : travelchat::error_code()) {
    site.log.write(LogLevel::error, "session_not_deleted", {{"reason", travelchat::describe(ec).name}});
    return respond(error_response(ec));
  }
  const auto session = site.sessions.open(advisor.id, now);
  if (!session) {
    site.log.write(LogLevel::error, "session_not_stored", {{"reason", travelchat::describe(session.error()).name}});
    return respond(error_response(session.error()));
  }
  HttpResponse response = json_response(json::serialize(views::account(directory, advisor)));
  const auto lifetime = std::chrono::floor<std::chrono::seconds>(session->expires_at - now);
  response.headers.emplace_back("Set-Cookie", session_cookie(site.host, session->token, lifetime.count()));
  respond(std::move(response));
}

HttpResponse too_many_logins(std::chrono::seconds wait) {
  HttpResponse response =
      error_response(errc::rate_limited, "Too many attempts to sign in. Please wait a few minutes.");
  response.headers.emplace_back("Retry-After", std::to_string(wait.count()));
  return response;
}

struct Login {
  LoginThrottle::Attempt attempt;
  std::string password;
  std::string replaced;  // see `finish_login`
};

// Runs on a thread that may hash a password.
void check_login(const Site& site, const Login& login, const HttpRespond& respond) {
  // For every login, so that the time does not tell whether there is such an advisor.
  if (const auto ec = site.directory.refresh()) {
    site.throttle.not_checked(login.attempt);
    return respond(error_response(ec));
  }
  const auto directory = site.directory.current();
  const Advisor* advisor = directory->find_advisor_by_email(login.attempt.account);
  const bool is_right = advisor == nullptr ? verify_against_nobody(login.password)
                                           : verify_password(login.password, advisor->password_hash);
  if (!is_right) return respond(error_response(errc::unauthenticated, "E-mail or password is wrong."));
  if (advisor->access != Access::granted) {
    const bool is_demo = advisor->access == Access::demonstration;
    site.log.write(LogLevel::warn, "login_refused",
                   {{"advisorId", advisor->id},
                    {"reason", is_demo ? "an account of the demonstration, whose password everybody knows, signs in "
                                         "only where the server runs with --demo"
                                       : "the advisor is disabled"}});
    return respond(error_response(errc::unauthenticated, "E-mail or password is wrong."));
  }
  site.throttle.succeeded(login.attempt);
  finish_login(site, *directory, *advisor, login.replaced, respond);
}

void login(const Site& site, HttpRequest request, HttpRespond respond) {
  if (!is_json(request.header("content-type"))) return respond(error_response(errc::unsupported_media_type));
  if (!comes_from_our_pages(request)) return respond(error_response(errc::cross_origin));
  const auto body = travelchat::wire::Body::parse(request.body);
  if (!body) return respond(error_response(body.error()));
  const auto email = body->string("email");
  if (!email) return respond(error_response(email.error()));
  const auto password = body->string("password");
  if (!password) return respond(error_response(password.error()));
  if (email->size() > max_email_bytes || password->size() > max_password_bytes) {
    return respond(error_response(errc::invalid_argument));
  }

  const auto login = std::make_shared<Login>(Login{{network_of(request.remote_address), fold_case(*email)},
                                                   std::string(*password),
                                                   std::string(site.host.session_token(request.header("cookie")))});
  const auto wait = site.throttle.admit(login->attempt, LoginThrottle::Clock::now());
  if (wait.count() > 0) return respond(too_many_logins(wait));
  // All tries from one network are one asker, except for accounts that have signed in from it before.
  const auto& [network, account, admitted_at, is_known] = login->attempt;
  site.passwords.submit(is_known ? network + '\n' + account : network,
                        is_known ? FairPool::Standing::known : FairPool::Standing::stranger,
                        {.run = [&site, login, respond] { check_login(site, *login, respond); },
                         .drop =
                             [&site, login, respond] {
                               site.throttle.not_checked(login->attempt);
                               respond(error_response(errc::overloaded));
                             }});
}

void logout(const Site& site, const HttpRequest& request, HttpRespond respond) {
  if (!comes_from_our_pages(request)) return respond(error_response(errc::cross_origin));
  const std::string_view token = site.host.session_token(request.header("cookie"));
  const auto signed_out = [&site](bool has_cookie) {
    HttpResponse response = json_response("{\"ok\":true}");
    if (has_cookie) response.headers.emplace_back("Set-Cookie", session_cookie(site.host, "", 0));
    return response;
  };
  if (!travelchat::is_token(token)) return respond(signed_out(!token.empty()));
  const bool is_accepted = site.row_writes.submit([&site, signed_out, respond, token = std::string(token)] {
    if (const auto ec = site.sessions.close(token)) {
      site.log.write(LogLevel::error, "session_not_deleted", {{"reason", travelchat::describe(ec).name}});
      return respond(error_response(ec));
    }
    respond(signed_out(true));
  });
  if (!is_accepted) respond(error_response(errc::overloaded));
}

// As the chat token's route answers: 404 unknown trip, 403 sharing off or wrong token. Without a token the trip's
// advisors see it too, for a preview.
void trip_view(const Site& site, const HttpRequest& request, HttpRespond respond) {
  const auto token = request.query_value("token");
  site.host.look_up_trip(request.params.at(0), [&site, credentials = credentials_of(request),
                                                token = token ? std::optional(std::string(*token)) : std::nullopt,
                                                respond](travelchat::result<TripFound> found) {
    if (!found) return respond(error_response(found.error()));
    const auto show = [](const TripFound& shown) {
      return json_response(json::serialize(views::trip_view(*shown.directory, *shown.trip)));
    };
    if (token) {
      if (found->trip == nullptr) return respond(error_response(errc::not_found));
      // A trip that was never shared may have an empty token, which must not match.
      const bool is_open = found->trip->share_enabled && !found->trip->share_token.empty() &&
                           equal_in_constant_time(*token, found->trip->share_token);
      return respond(is_open ? show(*found) : error_response(errc::sharing_disabled));
    }
    site.host.sign_in(credentials, [found = *found, show, respond](travelchat::result<std::optional<SignedIn>> viewer) {
      if (!viewer) return respond(error_response(viewer.error()));
      if (!*viewer) return respond(error_response(errc::missing_field));
      const bool is_theirs = found.trip != nullptr && found.trip->org_id == (*viewer)->advisor->org_id;
      respond(is_theirs ? show(found) : error_response(errc::not_found));
    });
  });
}

HttpResponse list_clients(const SignedIn& viewer) {
  json::array rows;
  for (const Client* client : viewer.directory->clients_of(viewer.advisor->org_id)) {
    rows.push_back(views::client(*viewer.directory, *client));
  }
  return json_response(json::serialize(rows));
}

HttpResponse show_client(const SignedIn& viewer, std::string_view id) {
  const Client* client = viewer.directory->find_client(id);
  if (client == nullptr || client->org_id != viewer.advisor->org_id) return error_response(errc::not_found);
  return json_response(json::serialize(views::client_detail(*viewer.directory, *client)));
}

HttpResponse list_trips(const SignedIn& viewer) {
  json::array rows;
  for (const Trip* trip : viewer.directory->trips_of(viewer.advisor->org_id)) rows.push_back(views::trip(*trip));
  return json_response(json::serialize(rows));
}

// Public, because whoever has a trip's link sees the advisor's portrait; an id cannot be guessed.
HttpResponse avatar(const Site& site, std::string_view file) {
  constexpr std::string_view suffix = ".svg";
  if (!file.ends_with(suffix)) return error_response(errc::not_found);
  const std::string_view id = file.substr(0, file.size() - suffix.size());
  const auto directory = site.directory.current();
  const Advisor* advisor = directory->find_advisor(id);
  const Client* client = directory->find_client(id);
  if (advisor == nullptr && client == nullptr) return error_response(errc::not_found);
  HttpResponse response;
  response.headers = {{"Content-Type", "image/svg+xml"},
                      {"Cache-Control", "public, max-age=86400"},
                      {"Content-Security-Policy", "default-src 'none'"},
                      // The widget shows it in other sites' pages.
                      {"Cross-Origin-Resource-Policy", "cross-origin"},
                      {"X-Content-Type-Options", "nosniff"}};
  response.body = draw_avatar(id, advisor != nullptr ? advisor->full_name : client->full_name);
  return response;
}

// For the push routes: calls `write` with who is signed in and with the body, which is JSON; else it has answered.
using WriteForAdvisor = std::function<void(const std::string& advisor_id, const HttpRequest& request)>;
void admit(const Site& site, HttpRequest request, HttpRespond respond, WriteForAdvisor write) {
  auto credentials = credentials_of(request);
  site.host.sign_in(std::move(credentials), [request = std::move(request), respond = std::move(respond),
                                             write = std::move(write)](auto viewer) {
    if (!viewer) return respond(error_response(viewer.error()));
    if (!*viewer) return respond(error_response(errc::unauthenticated));
    if (!is_json(request.header("content-type"))) return respond(error_response(errc::unsupported_media_type));
    write((*viewer)->advisor->id, request);
  });
}

// Writes push subscriptions where it may block, and answers.
void write_subscription(const Site& site, int status, HttpRespond respond,
                        std::function<travelchat::error_code()> write) {
  const bool is_accepted = site.row_writes.submit([&site, status, respond, write = std::move(write)] {
    const travelchat::error_code ec = write();
    if (!ec) return respond(json_response("{\"ok\":true}", status));
    const travelchat::ErrorInfo& error = travelchat::describe(ec);
    if (error.http_status >= 500) {
      site.log.write(LogLevel::error, "push_subscription_not_written", {{"reason", error.name}});
    }
    respond(error_response(error.code));
  });
  if (!is_accepted) respond(error_response(errc::overloaded));
}

// A member of the object `keys`, which wire::Body ignores.
travelchat::result<std::string> push_key(const json::value& body, std::string_view name) {
  const json::value* keys = body.as_object().if_contains("keys");
  if (keys == nullptr) return errc::missing_field;
  if (!keys->is_object()) return errc::invalid_argument;
  const json::value* key = keys->get_object().if_contains(name);
  if (key == nullptr) return errc::missing_field;
  if (!key->is_string()) return errc::invalid_argument;
  return std::string(key->get_string());
}

// The body is a browser's PushSubscription.toJSON().
void subscribe(const Site& site, const std::string& advisor_id, const HttpRequest& request, HttpRespond respond) {
  const auto fail = [&respond](const travelchat::error_code& ec) { respond(error_response(ec)); };
  // The stricter of the two parsers first.
  const auto body = travelchat::wire::Body::parse(request.body);
  if (!body) return fail(body.error());
  const auto endpoint = body->string("endpoint");
  if (!endpoint) return fail(endpoint.error());
  travelchat::error_code ec;
  const json::value document = json::parse(request.body, ec);
  if (ec) return fail(errc::malformed_json);
  const auto p256dh = push_key(document, "p256dh");
  if (!p256dh) return fail(p256dh.error());
  const auto auth = push_key(document, "auth");
  if (!auth) return fail(auth.error());
  const auto keys = parse_push_keys(*p256dh, *auth);
  if (!keys || !parse_push_endpoint(*endpoint, site.push->allows_private())) {
    return respond(error_response(errc::invalid_argument));
  }
  write_subscription(site, 201, std::move(respond),
                     [&site, advisor_id, subscription = PushSubscription{std::string(*endpoint), *keys}] {
                       return site.push_subscriptions->add(advisor_id, subscription, current_time());
                     });
}

void unsubscribe(const Site& site, const std::string& advisor_id, const HttpRequest& request, HttpRespond respond) {
  const auto body = travelchat::wire::Body::parse(request.body);
  if (!body) return respond(error_response(body.error()));
  const auto endpoint = body->string("endpoint");
  if (!endpoint) return respond(error_response(endpoint.error()));
  write_subscription(site, 200, std::move(respond), [&site, advisor_id, text = std::string(*endpoint)] {
    return site.push_subscriptions->remove(advisor_id, text);
  });
}

HttpResponse demo(const Site& site) {
  const auto directory = site.directory.current();
  json::array advisors;
  for (const DemoLogin& login : *site.demo_logins) {
    const Advisor* advisor = directory->find_advisor(login.advisor_id);
    if (advisor == nullptr) continue;
    advisors.push_back(
        {{"email", advisor->email}, {"password", login.password}, {"id", advisor->id}, {"orgId", advisor->org_id}});
  }
  json::array trips;
  for (const Trip* trip : shared_demo_trips(*directory, *site.demo_logins)) {
    trips.push_back({{"id", trip->id},
                     {"shareToken", trip->share_token},
                     {"clientId", *trip->client_id},
                     {"clientName", directory->find_client(*trip->client_id)->full_name},
                     {"orgId", trip->org_id}});
  }
  return json_response(json::serialize(json::object{{"advisors", std::move(advisors)}, {"trips", std::move(trips)}}));
}

HttpResponse welcome(const HttpRequest& request) {
  if (request.path != "/") return error_response(errc::not_found);
  HttpResponse response;
  response.headers = {
      {"Content-Type", "text/html; charset=utf-8"},
      {"Cache-Control", "no-cache"},
      {"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "same-origin"}};
  response.body = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>travelchat</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}</style>
<h1>travelchat answers</h1>
<p>This server runs without web pages (start it with <code>--web DIR</code>). What there is:</p>
<ul>
<li><code>POST /api/login</code>, <code>POST /api/logout</code>, <code>GET /api/me</code></li>
<li><code>GET /api/clients</code>, <code>GET /api/clients/ID</code>, <code>GET /api/trips</code></li>
<li><code>GET /api/trip-view/ID?token=TOKEN</code></li>
<li><code>/api/conversations</code>, <code>/api/messages/unread-count</code>, <code>/api/chat-token</code></li>
<li><code>/api/push/key</code>, <code>/api/push/subscriptions</code></li>
<li><code>/ws/chat</code>, <code>/ws/inbox</code></li>
<li><a href="/livez">/livez</a>, <a href="/readyz">/readyz</a>, <a href="/metrics">/metrics</a></li>
<li><a href="/api/demo">/api/demo</a>, when started with <code>--demo</code></li>
</ul>
</html>
)";
  return response;
}

}  // namespace

void add_routes(travelchat::BeastServer& server, const Site& site) {
  // For routes that need an advisor.
  const auto for_advisor = [&site](std::function<HttpResponse(const SignedIn&, const HttpRequest&)> show) {
    return [&site, show = std::move(show)](HttpRequest request, HttpRespond respond) {
      auto credentials = credentials_of(request);
      site.host.sign_in(std::move(credentials),
                        [show, request = std::move(request), respond = std::move(respond)](auto viewer) {
                          if (!viewer) return respond(error_response(viewer.error()));
                          respond(*viewer ? show(**viewer, request) : error_response(errc::unauthenticated));
                        });
    };
  };
  // For routes that write what an advisor's browser says.
  using Writer = void (*)(const Site&, const std::string& advisor_id, const HttpRequest&, HttpRespond);
  const auto for_browser = [&site](Writer writer) {
    return [&site, writer](HttpRequest request, HttpRespond respond) {
      admit(site, std::move(request), respond,
            [&site, writer, respond](const std::string& id, const HttpRequest& body) {
              writer(site, id, body, respond);
            });
    };
  };

  server.route("POST", "/api/login", [&site](HttpRequest request, HttpRespond respond) {
    login(site, std::move(request), std::move(respond));
  });
  server.route("POST", "/api/logout",
               [&site](const HttpRequest& request, HttpRespond respond) { logout(site, request, std::move(respond)); });
  server.route("GET", "/api/me", for_advisor([](const SignedIn& viewer, const HttpRequest&) {
                 return json_response(json::serialize(views::account(*viewer.directory, *viewer.advisor)));
               }));
  server.route("GET", "/api/clients",
               for_advisor([](const SignedIn& viewer, const HttpRequest&) { return list_clients(viewer); }));
  server.route("GET", "/api/clients/:id", for_advisor([](const SignedIn& viewer, const HttpRequest& request) {
                 return show_client(viewer, request.params.at(0));
               }));
  server.route("GET", "/api/trips",
               for_advisor([](const SignedIn& viewer, const HttpRequest&) { return list_trips(viewer); }));
  server.route("GET", "/api/trip-view/:id", [&site](const HttpRequest& request, HttpRespond respond) {
    trip_view(site, request, std::move(respond));
  });
  server.route("GET", "/avatars/:file", [&site](const HttpRequest& request, const HttpRespond& respond) {
    respond(avatar(site, request.params.at(0)));
  });
  if (site.push_subscriptions != nullptr) {
    server.route("GET", "/api/push/key", for_advisor([&site](const SignedIn&, const HttpRequest&) {
                   return json_response(json::serialize(json::object{{"publicKey", site.push->public_key()}}));
                 }));
    server.route("POST", "/api/push/subscriptions", for_browser(subscribe));
    server.route("DELETE", "/api/push/subscriptions", for_browser(unsubscribe));
  }
  if (site.demo_logins != nullptr) {
    server.route("GET", "/api/demo", [&site](const HttpRequest&, const HttpRespond& respond) { respond(demo(site)); });
  }
  server.fallback([&site](const HttpRequest& request, const HttpRespond& respond) {
    respond(site.web != nullptr ? site.web->answer(request) : welcome(request));
  });
}

}  // namespace travel_lab
