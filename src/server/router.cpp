#include "server/router.hpp"

#include "http/request_checks.hpp"
#include "http/route_pattern.hpp"
#include "server/await.hpp"
#include "server/route_table.hpp"
#include "server/socket_request.hpp"
#include "websocket/handshake.hpp"

#include <boost/beast/http/verb.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace travelchat::server {
namespace {

using Field = http::Exchange::Field;

bool is_read(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD";
}

// The answer to a preflight for this path from a page of an allowed origin.
HttpResponse preflight_answer(std::span<const std::string_view> segments) {
  std::string methods;
  http::Pattern::Params ignored;
  for (const ChatRoute& route : chat_routes()) {
    if (!route.cross_origin || !route.pattern.match(segments, ignored)) continue;
    if (!methods.empty()) methods += ", ";
    methods += route.method;
  }
  HttpResponse response;
  response.status = 204;
  response.headers = {{"Access-Control-Allow-Methods", std::move(methods)},
                      {"Access-Control-Allow-Headers", "Authorization, Content-Type"},
                      {"Access-Control-Max-Age", "7200"}};  // Chromium keeps it no longer
  return response;
}

void fail_upgrade(ChatExchange& exchange) {
  exchange.fail(describe(errc::upgrade_required), "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
}

void answer_upgrade(ChatExchange exchange) {
  const http::Request& request = exchange.request();
  const auto& head = request.message();
  const auto outcome = websocket::check_handshake({head.version() == 11, head.method() == boost::beast::http::verb::get,
                                                   request.header(Field::upgrade), request.header(Field::connection),
                                                   http::trim(request.header(Field::sec_websocket_key)),
                                                   http::trim(request.header(Field::sec_websocket_version))});
  if (outcome == websocket::Handshake::upgrade_required) {
    fail_upgrade(exchange);
  } else if (outcome == websocket::Handshake::bad_request) {
    if (head.method() == boost::beast::http::verb::get)
      exchange.fail(errc::invalid_argument);
    else
      exchange.fail(describe(errc::method_not_allowed), "Allow: GET\r\n");
  } else if (auto connection = exchange.upgrade()) {
    open_web_socket(exchange.loop(), read_socket_request(request, exchange.server(), std::move(*connection)));
  } else {
    // The request came through `handle`, without a connection; for those are `BeastServer::adopt` and `open_socket`.
    fail_upgrade(exchange);
  }
}

// The error of a body that the route does not take; nullopt: the body is fine.
std::optional<errc> body_problem(const ChatExchange& exchange, const ChatRoute& route) {
  const std::string_view body = exchange.body();
  if (route.body == BodyKind::json || (route.body == BodyKind::optional && !body.empty())) {
    const std::string_view encoding = exchange.header(Field::content_encoding);
    const bool is_plain = encoding.empty() || http::iequals(encoding, "identity");
    if (!is_plain || !http::is_json(exchange.header(Field::content_type))) return errc::unsupported_media_type;
  }
  if (body.size() > max_unescaped_body_bytes && http::unescaped_size(body) > max_unescaped_body_bytes) {
    return errc::payload_too_large;
  }
  return std::nullopt;
}

// The methods of a path, for the Allow header.
class AllowedMethods {
 public:
  void add(std::string_view method) {
    if (!methods_.empty()) methods_ += ", ";
    methods_ += method;
    if (method == "GET") methods_ += ", HEAD";
  }
  bool empty() const noexcept { return methods_.empty(); }
  std::string header() const { return "Allow: " + methods_ + "\r\n"; }

 private:
  std::string methods_;
};

// The chat's route of a request, with its parameters filled in; null: none, and `allowed` are the other methods of this
// path.
const ChatRoute* find_chat_route(const ChatExchange& exchange, std::string_view method,
                                 std::span<const std::string_view> segments, AllowedMethods& allowed) {
  const MetricsAccess metrics = exchange.server().chat_options().metrics;
  for (const ChatRoute& route : chat_routes()) {
    if (!route.is_served(metrics) || !route.pattern.match(segments, exchange.request().params())) continue;
    if (route.method == method) return &route;
    allowed.add(route.method);
  }
  return nullptr;
}

// The same of the routes that the embedder added.
const HttpHandler* find_host_route(const ChatExchange& exchange, std::string_view method,
                                   std::vector<std::string>& params, AllowedMethods& allowed) {
  const auto segments = exchange.request().path().segments();
  for (const HostRoutes::Entry& entry : exchange.server().host_routes.entries()) {
    if (!entry.match(segments, nullptr)) continue;
    if (entry.method == method) {
      entry.match(segments, &params);
      return &entry.handler;
    }
    allowed.add(entry.method);
  }
  return nullptr;
}

// The host may answer from any thread, or not at all.
DetachedTask answer_by_host(ChatExchange exchange, HttpRequest request, const HttpHandler& handle) {
  const std::string subject = request.method + ' ' + request.path;
  auto response = co_await ask_host<HttpResponse>(exchange.loop(), subject, [&](Host&, Reply<HttpResponse> reply) {
    handle(std::move(request), HttpRespond(std::move(reply)));
  });
  if (response)
    exchange.respond(std::move(*response));
  else
    exchange.fail(response.error());
}

}  // namespace

http::Sharing sharing_of(const ChatServer& server, const http::Request& request, std::string_view method,
                         std::span<const std::string_view> segments) {
  const auto& allowed = server.chat_options().allowed_origins;
  if (allowed.empty()) return http::Sharing::none;
  http::Pattern::Params ignored;
  const bool is_shared = std::ranges::any_of(chat_routes(), [&](const ChatRoute& route) {
    return route.cross_origin && (route.method == method || (route.method == "GET" && method == "HEAD")) &&
           route.pattern.match(segments, ignored);
  });
  if (!is_shared) return http::Sharing::none;
  return http::is_listed_origin(request.header(Field::origin), allowed) ? http::Sharing::granted
                                                                        : http::Sharing::refused;
}

void route(ChatExchange exchange) {
  ChatServer& server = exchange.server();
  http::Request& request = exchange.request();
  const auto segments = server.chat_path(request.path());
  if (is_socket_path(segments)) {
    answer_upgrade(std::move(exchange));
    return;
  }
  const std::string_view method = exchange.method();
  if (method == "OPTIONS") {
    // Without Access-Control-Request-Method it is no preflight, and is answered like any method that a route does not
    // have.
    const http::Sharing sharing =
        sharing_of(server, request, request.header(Field::access_control_request_method), segments);
    request.share(sharing);
    if (sharing == http::Sharing::granted) {
      exchange.respond(preflight_answer(segments));
      return;
    }
  } else {
    request.share(sharing_of(server, request, method, segments));
  }
  auto query = http::Query::parse(request.raw_query());
  if (!query) {
    exchange.fail(query.error());
    return;
  }
  request.query() = std::move(*query);

  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  AllowedMethods allowed;
  if (const ChatRoute* const found = find_chat_route(exchange, wanted, segments, allowed)) {
    if (const auto problem = body_problem(exchange, *found))
      exchange.fail(*problem);
    else
      found->handle(std::move(exchange));
    return;
  }
  std::vector<std::string> params;
  const HttpHandler* handler = find_host_route(exchange, wanted, params, allowed);
  if (handler == nullptr && !allowed.empty()) {
    exchange.fail(describe(errc::method_not_allowed), allowed.header());
    return;
  }
  const bool falls_back = is_read(method) || server.fallback_methods == BeastServer::FallbackMethods::all;
  if (handler == nullptr && falls_back && server.fallback) handler = &server.fallback;
  if (handler == nullptr) {
    exchange.fail(errc::not_found);
    return;
  }
  if (!is_read(method) && !exchange.header(Field::cookie).empty() && !exchange.from_trusted_origin()) {
    exchange.fail(errc::cross_origin);
    return;
  }
  HttpRequest values = exchange.to_values(std::move(params));
  answer_by_host(std::move(exchange), std::move(values), *handler);
}

bool is_socket_path(std::span<const std::string_view> segments) noexcept {
  return segments.size() == 2 && segments[0] == "ws" && (segments[1] == "chat" || segments[1] == "inbox");
}

RequestCredentials credentials_of(const http::Request& request) {
  RequestCredentials credentials;
  credentials.authorization = std::string(request.header(Field::authorization));
  credentials.cookie = request.cookies();
  credentials.context = request.context();
  return credentials;
}

}  // namespace travelchat::server
