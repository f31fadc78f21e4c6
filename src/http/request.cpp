#include "http/request.hpp"

#include "http/client_address.hpp"
#include "http/exchange.hpp"

#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <utility>
#include <vector>

namespace travelchat::http {
namespace {

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

}  // namespace

void append_number(std::size_t number, std::string& out) {
  std::array<char, 20> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), end);
}

std::string_view view(boost::beast::string_view text) noexcept {
  return {text.data(), text.size()};
}

Request::Request(EventLoop& of, std::string_view remote_address, std::shared_ptr<void> context)
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

error_code Request::read_target() {
  params_ = {};
  const auto [raw_path, raw_query] = split_target(target());
  auto path = TargetPath::parse(raw_path);
  if (!path) return path.error();
  path_ = std::move(*path);
  raw_query_ = raw_query;
  return {};
}

void Request::dispatch(Exchange exchange) {
  if (const error_code error = read_target())
    exchange.fail(error);
  else
    home_.server().dispatch(std::move(exchange));
}

std::string Request::cookies() const {
  std::string cookies;
  const auto [first, last] = message().equal_range(Field::cookie);
  for (auto line = first; line != last; ++line) {
    if (!cookies.empty()) cookies += "; ";
    cookies += view(line->value());
  }
  return cookies;
}

void Request::fail(const ErrorInfo& error, std::string_view headers) {
  answer({error.http_status, "application/json", headers, home_.server().options().error_body(error), nullptr, false});
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
  // A proxy may append to what the client claims, so `https` anywhere counts. A client that claims it falsely gains
  // nothing: it only gets stricter checks.
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

// A page of another origin gets the headers that let it read the error: it cannot tell an answer that it may not read
// from a lost network.
void Request::refuse(errc error) {
  if (const auto path = TargetPath::parse(split_target(target()).first)) {
    share(home_.server().sharing_of(*this, view(message().method_string()), *path));
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
    out += "\r\nAccess-Control-Expose-Headers: ";
    out += home_.server().options().exposed_headers;
    out += "\r\n";
  }
}

void Request::record(std::string_view method, std::string_view path, int status, std::size_t bytes) const {
  home_.counters().answers[static_cast<std::size_t>(std::clamp(status / 100, 1, 5)) - 1].add(1);
  const auto duration = std::chrono::steady_clock::now() - begun_;
  home_.server().record(
      {method, path, status, bytes, std::chrono::duration_cast<std::chrono::microseconds>(duration), remote_address()});
}

// ---- Exchange ----

Exchange::~Exchange() {
  if (request_) request_->fail(describe(errc::internal));
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
  // A proxy on this machine connects from here, too, but for another client.
  return address && is_in(*address, loopback) &&
         std::ranges::all_of(std::array{"Forwarded", "Via", "X-Forwarded-For", "X-Real-IP"},
                             [&](std::string_view name) { return request_->header(name).empty(); });
}

HttpRequest Exchange::to_values(std::vector<std::string> params) const {
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
  // In one line: a handler that reads only the first Cookie line would see another session than the chat does.
  if (std::string cookies = request_->cookies(); !cookies.empty()) {
    asked.headers.emplace_back("cookie", std::move(cookies));
  }
  asked.body = std::string(body());
  asked.remote_address = request_->remote_address();
  asked.is_secure = request_->is_https();
  asked.from_trusted_origin = from_trusted_origin();
  asked.context = request_->context();
  return asked;
}

}  // namespace travelchat::http
