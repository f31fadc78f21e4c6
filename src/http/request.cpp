#include "http/request.hpp"

#include "http/client_address.hpp"
#include "http/exchange.hpp"
#include "server/await.hpp"
#include "server/chat_request.hpp"
#include "websocket/handshake.hpp"
#include "websocket/web_socket.hpp"

#include <travelchat/wire.hpp>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/verb.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <vector>

namespace travelchat::transport {
namespace {

namespace http = boost::beast::http;

bool is_header_text(std::string_view text) noexcept {
  return std::none_of(text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

// Whether one of these lines is a field of that name.
bool has_field(std::string_view lines, std::string_view name) noexcept {
  while (lines.size() > name.size()) {
    if (lines[name.size()] == ':' && iequals(lines.substr(0, name.size()), name)) return true;
    lines.remove_prefix(std::min(lines.find("\r\n"), lines.size() - 2) + 2);
  }
  return false;
}

bool is_framing_header(std::string_view name) noexcept {
  return iequals(name, "content-length") || iequals(name, "connection") || iequals(name, "transfer-encoding") ||
         iequals(name, "date");
}

// HTTP/1.1 allows one Cookie header; several are joined as a browser would have.
std::string joined_cookies(const Request::Message& message) {
  std::string cookies;
  const auto range = message.equal_range(Request::Field::cookie);
  for (auto it = range.first; it != range.second; ++it) {
    if (!cookies.empty()) cookies += "; ";
    cookies += view(it->value());
  }
  return cookies;
}

// What a page of an allowed origin may ask of this path.
HttpResponse preflight_answer(std::span<const std::string_view> path) {
  std::string methods;
  Pattern::Params ignored;
  for (const ChatRoute& route : chat_routes()) {
    if (!route.cross_origin || !route.pattern.match(path, ignored)) continue;
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

}  // namespace

void append_number(std::size_t number, std::string& out) {
  std::array<char, 20> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), end);
}

std::string_view view(boost::beast::string_view text) noexcept {
  return {text.data(), text.size()};
}

Request::Request(Shard& of, std::string_view remote_address, std::shared_ptr<void> context)
    : home_(of), context_(std::move(context)) {
  const auto address = Address::parse(remote_address);
  remote_address_ = address ? address->text() : std::string(remote_address);
}

std::string_view Request::header(Field name) const noexcept {
  return view(message()[name]);
}

std::string_view Request::header(std::string_view name) const noexcept {
  return view(message()[boost::beast::string_view(name.data(), name.size())]);
}

std::string_view Request::target() const noexcept {
  return view(message().target());
}

void Request::begin(const Message& message) {
  message_ = &message;
  client_.clear();
  forwarded_https_.reset();
  sharing_ = Sharing::none;
  begun_ = std::chrono::steady_clock::now();
}

void Request::share(std::string_view method, std::span<const std::string_view> path) {
  const auto& allowed = home_.server().options().allowed_origins;
  if (allowed.empty()) return;
  Pattern::Params ignored;
  const bool is_shared = std::ranges::any_of(chat_routes(), [&](const ChatRoute& route) {
    return route.cross_origin && (route.method == method || (route.method == "GET" && method == "HEAD")) &&
           route.pattern.match(path, ignored);
  });
  if (is_shared) sharing_ = is_listed_origin(header(Field::origin), allowed) ? Sharing::granted : Sharing::refused;
}

void Request::dispatch(Exchange exchange) {
  params_ = {};
  const auto [raw_path, raw_query] = split_target(target());
  auto path = TargetPath::parse(raw_path);
  if (!path) {
    exchange.fail(path.error());
    return;
  }
  path_ = std::move(*path);
  const auto segments = chat_path(path_);
  if (is_socket_path(segments)) {
    check_upgrade(std::move(exchange), raw_query);
    return;
  }
  if (exchange.method() == "OPTIONS") {
    // Without a method to ask for it is no preflight, and answered as any method that a route does not have.
    share(header(Field::access_control_request_method), segments);
    if (sharing_ == Sharing::granted) {
      exchange.respond(preflight_answer(segments));
      return;
    }
  } else {
    share(exchange.method(), segments);
  }
  auto query = Query::parse(raw_query);
  if (!query) {
    exchange.fail(query.error());
    return;
  }
  query_ = std::move(*query);

  const std::string_view method = exchange.method();
  const bool is_read = method == "GET" || method == "HEAD";
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  std::string allowed;
  const auto allow = [&](std::string_view other) {
    if (!allowed.empty()) allowed += ", ";
    allowed += other;
    if (other == "GET") allowed += ", HEAD";
  };
  for (const ChatRoute& route : chat_routes()) {
    if (!route.is_served(home_.server().options().metrics) || !route.pattern.match(segments, params_)) continue;
    if (route.method != wanted) {
      allow(route.method);
      continue;
    }
    const std::string_view encoding = header(Field::content_encoding);
    const bool has_body = !message().body().empty();
    if ((route.body == BodyKind::json || (route.body == BodyKind::optional && has_body)) &&
        (!is_json(header(Field::content_type)) || !(encoding.empty() || iequals(encoding, "identity")))) {
      exchange.fail(errc::unsupported_media_type);
      return;
    }
    const std::string_view body = message().body();
    if (body.size() > max_unescaped_body_bytes && unescaped_size(body) > max_unescaped_body_bytes) {
      exchange.fail(errc::payload_too_large);
      return;
    }
    route.handle(std::move(exchange));
    return;
  }
  Server& server = home_.server();
  const HttpHandler* handler = nullptr;
  std::vector<std::string> params;
  for (const HostRoutes::Entry& entry : server.host_routes.entries()) {
    if (handler != nullptr || !entry.match(path_.segments(), nullptr)) continue;
    if (entry.method != wanted) {
      allow(entry.method);
      continue;
    }
    entry.match(path_.segments(), &params);
    handler = &entry.handler;
  }
  if (handler == nullptr && !allowed.empty()) {
    allowed.insert(0, "Allow: ");
    allowed += "\r\n";
    exchange.fail(describe(errc::method_not_allowed), allowed);
    return;
  }
  const bool falls_back = is_read || server.fallback_methods == BeastServer::FallbackMethods::all;
  if (handler == nullptr && falls_back && server.fallback) handler = &server.fallback;
  if (handler == nullptr) {
    exchange.fail(errc::not_found);
    return;
  }
  if (!is_read && !header(Field::cookie).empty() && !exchange.from_trusted_origin()) {
    exchange.fail(errc::cross_origin);
    return;
  }
  // The host answers from any thread, and may forget to.
  HttpRequest host_request = exchange.to_host_request(std::move(params));
  [](Exchange waiting, HttpRequest asked, const HttpHandler& handle) -> Detached {
    const std::string subject = asked.method + ' ' + asked.path;
    auto response = co_await ask_host<HttpResponse>(waiting.shard(), subject, [&](Host&, Reply<HttpResponse> reply) {
      handle(std::move(asked), HttpRespond(std::move(reply)));
    });
    if (response)
      waiting.respond(std::move(*response));
    else
      waiting.fail(response.error());
  }(std::move(exchange), std::move(host_request), *handler);
}

void Request::check_upgrade(Exchange exchange, std::string_view query) {
  const auto& head = message();
  const Handshake outcome = check_handshake(
      {head.version() == 11, head.method() == http::verb::get, header(Field::upgrade), header(Field::connection),
       trim(header(Field::sec_websocket_key)), trim(header(Field::sec_websocket_version))});
  if (outcome == Handshake::upgrade_required) {
    fail_upgrade(std::move(exchange));
  } else if (outcome == Handshake::ok) {
    upgrade(std::move(exchange), query);
  } else if (head.method() != http::verb::get) {
    exchange.fail(describe(errc::method_not_allowed), "Allow: GET\r\n");
  } else {
    exchange.fail(errc::invalid_argument);
  }
}

void Request::fail_upgrade(Exchange exchange) {
  exchange.fail(describe(errc::upgrade_required), "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
}

Upgrade Request::to_upgrade(Server::Place place, const TargetPath& path, std::string_view query) const {
  const Subprotocols offered = parse_subprotocols(header(Field::sec_websocket_protocol));
  Upgrade asked(std::move(place));
  asked.is_inbox = chat_path(path)[1] == "inbox";
  asked.accept_key = accept_key(trim(header(Field::sec_websocket_key)));
  asked.speaks_v1 = offered.travelchat_v1;
  asked.remote_address = remote_address();
  if (auto parsed = Query::parse(query)) asked.query = std::move(*parsed);
  if (offered.auth_token) {
    asked.chat_token = std::string(*offered.auth_token);
  } else if (asked.query) {
    if (const auto token = asked.query->value("chatToken")) asked.chat_token = std::string(*token);
  }
  asked.credentials = credentials_of(*this);
  // Fetch metadata says nothing more here: only `Origin` is required of a browser that opens a socket.
  asked.origin_ok = from_trusted_origin({});
  return asked;
}

void Request::fail(const ErrorInfo& error, std::string_view headers) {
  answer({error.http_status, "application/json", headers, wire::error_body(error), nullptr, false});
}

void Request::find_client() {
  const auto trusted = home_.server().trusted_proxies();
  if (trusted.empty()) return;
  // Some proxies append to the line that is there, others add one behind it.
  std::string forwarded_for;
  const auto [first, last] = message().equal_range("X-Forwarded-For");
  for (auto line = first; line != last; ++line) {
    if (!forwarded_for.empty()) forwarded_for += ',';
    forwarded_for += view(line->value());
  }
  client_ = client_address(remote_address_, forwarded_for, trusted);
  const auto peer = Address::parse(remote_address_);
  if (!peer || !is_in(*peer, trusted)) return;
  // A proxy may append to what the client claims. Whoever falsely claims https is held to it, so one word is enough.
  const auto [first_scheme, last_scheme] = message().equal_range("X-Forwarded-Proto");
  if (first_scheme == last_scheme) return;
  forwarded_https_ =
      std::any_of(first_scheme, last_scheme, [](const auto& line) { return has_token(view(line.value()), "https"); });
}

bool Request::is_ambiguous() const noexcept {
  static constexpr std::array once = {Field::host,           Field::authorization,     Field::origin,
                                      Field::sec_fetch_site, Field::content_type,      Field::content_encoding,
                                      Field::content_length, Field::sec_websocket_key, Field::sec_websocket_version};
  // Fields of one name stand together, wherever they came.
  const auto& head = message();
  return std::adjacent_find(head.begin(), head.end(), [](const auto& field, const auto& next) {
           return field.name() == next.name() && std::ranges::find(once, field.name()) != once.end();
         }) != head.end();
}

bool Request::from_trusted_origin(std::string_view fetch_site) const {
  return is_trusted_origin(header(Field::origin), fetch_site, header(Field::host), is_https(),
                           home_.server().options().allowed_origins);
}

// A page of another origin sees the error only if it may: what it cannot read, it would take for a lost network.
void Request::refuse(errc error) {
  if (const auto path = TargetPath::parse(split_target(target()).first)) {
    share(view(message().method_string()), chat_path(*path));
  }
  fail(describe(error));
}

void Request::append_headers(const Answer& answer, std::string& out) const {
  out += "X-Content-Type-Options: nosniff\r\n";
  if (!answer.may_be_cached) out += "Cache-Control: no-store\r\n";
  if (!answer.content_type.empty()) {
    out += "Content-Type: ";
    out += answer.content_type;
    out += "\r\n";
  }
  out += answer.headers;
  const std::string_view hsts = home_.server().hsts();
  if (!hsts.empty() && is_secure() && !has_field(answer.headers, "strict-transport-security")) out += hsts;
  if (sharing_ != Sharing::none) out += "Vary: Origin\r\n";
  if (sharing_ == Sharing::granted) {
    out += "Access-Control-Allow-Origin: ";
    out += header(Field::origin);
    out += "\r\nAccess-Control-Expose-Headers: X-Has-More, X-Epoch, Retry-After\r\n";
  }
}

void Request::record(std::string_view method, std::string_view path, int status, std::size_t bytes) const {
  home_.counters().answers[static_cast<std::size_t>(std::clamp(status / 100, 1, 5)) - 1].add(1);
  const auto duration = std::chrono::steady_clock::now() - begun_;
  home_.server().record(
      {method, path, status, bytes, std::chrono::duration_cast<std::chrono::microseconds>(duration), remote_address()});
}

std::span<const std::string_view> Request::chat_path(const TargetPath& path) const noexcept {
  return home_.server().base_path().strip(path.segments());
}

bool is_socket_path(std::span<const std::string_view> segments) noexcept {
  return segments.size() == 2 && segments[0] == "ws" && (segments[1] == "chat" || segments[1] == "inbox");
}

RequestCredentials credentials_of(const Request& request) {
  RequestCredentials credentials;
  credentials.authorization = std::string(request.header(Request::Field::authorization));
  credentials.cookie = joined_cookies(request.message());
  credentials.context = request.context();
  return credentials;
}

// ---- Exchange ----

Exchange::~Exchange() {
  if (request_) request_->fail(describe(errc::internal));
}

Shard& Exchange::shard() const noexcept {
  return request_->shard();
}
Server& Exchange::server() const noexcept {
  return request_->shard().server();
}
std::string_view Exchange::method() const noexcept {
  return view(request_->message().method_string());
}
std::string_view Exchange::header(Field name) const noexcept {
  return request_->header(name);
}
std::string_view Exchange::param(std::size_t index) const noexcept {
  return request_->params()[index];
}
const Query& Exchange::query() const noexcept {
  return request_->query();
}
std::string_view Exchange::body() const noexcept {
  return request_->message().body();
}
const std::string& Exchange::remote_address() const noexcept {
  return request_->remote_address();
}

RequestCredentials Exchange::credentials() const {
  return credentials_of(*request_);
}

bool Exchange::from_trusted_origin() const {
  return request_->from_trusted_origin(request_->header("Sec-Fetch-Site"));
}

void Exchange::answer(int status, std::string json, std::string_view headers) {
  const auto request = std::move(request_);
  request->answer({status, "application/json", headers, std::move(json), nullptr, false});
}

void Exchange::fail(const ErrorInfo& error, std::string_view headers) {
  const auto request = std::move(request_);
  request->fail(error, headers);
}

void Exchange::fail_rate_limited(std::chrono::milliseconds retry_after) {
  const auto request = std::move(request_);
  std::string headers = "Retry-After: ";
  append_number(static_cast<std::size_t>(std::chrono::ceil<std::chrono::seconds>(retry_after).count()), headers);
  headers += "\r\n";
  request->fail(describe(errc::rate_limited), headers);
}

void Exchange::respond(HttpResponse response) {
  const auto request = std::move(request_);
  std::string headers;
  bool may_be_cached = false;
  for (const auto& [name, value] : response.headers) {
    if (name.empty() || is_framing_header(name) || !is_header_text(name) || !is_header_text(value)) continue;
    if (iequals(name, "x-content-type-options")) continue;
    if (iequals(name, "cache-control")) may_be_cached = true;
    headers += name;
    headers += ": ";
    headers += value;
    headers += "\r\n";
  }
  if (response.status < 200 || response.status > 599) response.status = 500;
  request->answer(
      {response.status, {}, headers, std::move(response.body), std::move(response.shared_body), may_be_cached});
}

bool Exchange::from_loopback() const {
  const auto address = Address::parse(request_->remote_address());
  static const std::array loopback = {*AddressRange::parse("127.0.0.0/8"), *AddressRange::parse("::1")};
  // A proxy on this machine asks from here for somebody else.
  return address && is_in(*address, loopback) &&
         std::ranges::all_of(std::array{"Forwarded", "Via", "X-Forwarded-For", "X-Real-IP"},
                             [&](std::string_view name) { return request_->header(name).empty(); });
}

HttpRequest Exchange::to_host_request(std::vector<std::string> params) const {
  HttpRequest asked;
  asked.method = std::string(method());
  asked.target = std::string(request_->target());
  asked.path = std::string(request_->path().path());
  asked.params = std::move(params);
  asked.query = request_->query().pairs();
  for (const auto& field : request_->message()) {
    std::string name(view(field.name_string()));
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    if (field.name() != Field::cookie) asked.headers.emplace_back(std::move(name), std::string(view(field.value())));
  }
  // In one line, so that nobody who reads only the first sees another session than the chat does.
  if (std::string cookies = joined_cookies(request_->message()); !cookies.empty()) {
    asked.headers.emplace_back("cookie", std::move(cookies));
  }
  asked.body = std::string(body());
  asked.remote_address = request_->remote_address();
  asked.is_secure = request_->is_https();
  asked.from_trusted_origin = from_trusted_origin();
  asked.context = request_->context();
  return asked;
}

}  // namespace travelchat::transport
