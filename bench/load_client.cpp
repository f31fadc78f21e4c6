#include "load_client.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <strings.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <fstream>
#include <system_error>

namespace travelchat::bench {
namespace {

constexpr std::size_t time_digits = 19;

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0) fail_with_errno("send");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::vector<std::string> split_tabs(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == '\t') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

Address parse_address(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) throw std::runtime_error("not HOST:PORT: " + text);
  return {text.substr(0, colon), parse_number<std::uint16_t>(std::string_view(text).substr(colon + 1))};
}

std::size_t parse_server(std::string_view text, const Plan& plan) {
  const auto server = parse_number<std::size_t>(text);
  if (server >= plan.servers.size()) throw std::runtime_error("a plan that names a server before its line");
  return server;
}

std::string cookie_header(const std::string& cookie) {
  return cookie.empty() ? "" : "Cookie: " + cookie + "\r\n";
}

}  // namespace

std::uint64_t now_ns() noexcept {
  timespec ts{};
  ::clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<std::uint64_t>(ts.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(ts.tv_nsec);
}

void fail_with_errno(const std::string& what) {
  throw std::system_error(errno, std::system_category(), what);
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Plan read_plan(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read the plan " + path);
  Plan plan;
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string> fields = split_tabs(line);
    const auto is = [&](std::string_view kind, std::size_t count) {
      return fields[0] == kind && fields.size() == count;
    };
    if (is("server", 2)) {
      plan.servers.push_back(parse_address(fields[1]));
    } else if (is("room", 1)) {
      plan.rooms.emplace_back();
    } else if (is("socket", 4) && !plan.rooms.empty()) {
      plan.rooms.back().sockets.push_back({parse_server(fields[1], plan), fields[2], fields[3]});
    } else if (is("sender", 6) && !plan.rooms.empty()) {
      plan.rooms.back().senders.push_back({parse_server(fields[1], plan), fields[2], fields[3], fields[4], fields[5]});
    } else {
      throw std::runtime_error("not a line of a plan: " + line);
    }
  }
  return plan;
}

FileDescriptor connect_to(const Address& address, int receive_buffer) {
  FileDescriptor fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) fail_with_errno("socket");
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (receive_buffer > 0) ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  const timeval timeout{10, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);

  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(address.port);
  if (::inet_pton(AF_INET, address.host.c_str(), &peer.sin_addr) != 1) {
    throw std::runtime_error("not an IPv4 address: " + address.host);
  }
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) != 0) {
    fail_with_errno("connect to " + address.authority());
  }
  return fd;
}

void make_nonblocking(int fd) {
  if (::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) != 0) fail_with_errno("fcntl");
}

void send_upgrade(int fd, const Address& address, const SocketPlan& plan) {
  send_all(fd, "GET " + plan.target + " HTTP/1.1\r\nHost: " + address.authority() +
                   "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dHJhdmVsY2hhdC1iZW5jaA==\r\n" +
                   cookie_header(plan.cookie) + "\r\n");
}

std::string receive_upgrade(int fd) {
  std::string bytes;
  for (;;) {
    char chunk[4096];
    const ssize_t n = ::recv(fd, chunk, sizeof chunk, 0);
    if (n < 0) fail_with_errno("waiting for the answer to an upgrade");
    if (n == 0) throw std::runtime_error("the server closed instead of answering an upgrade: " + bytes);
    bytes.append(chunk, static_cast<std::size_t>(n));
    const auto end = bytes.find("\r\n\r\n");
    if (end == std::string::npos) continue;
    if (!bytes.starts_with("HTTP/1.1 101 ")) throw std::runtime_error("an upgrade was refused: " + bytes);
    bytes.erase(0, end + 4);
    return bytes;
  }
}

std::string encode_pong(const Frame& ping) {
  std::string frame{static_cast<char>(0x8a), static_cast<char>(0x80 | ping.payload.size()), 0, 0, 0, 0};
  return frame.append(ping.payload);
}

std::string make_content(std::uint64_t sent_ns, std::size_t size) {
  std::string content = "t=";
  const std::string digits = std::to_string(sent_ns);
  content.append(time_digits - digits.size(), '0').append(digits).append(";");
  while (content.size() < size) content += static_cast<char>('a' + content.size() % 26);
  return content;
}

std::uint64_t sent_time(std::string_view event) {
  constexpr std::string_view before = "\"content\":\"t=";
  const auto at = event.find(before);
  if (at == std::string_view::npos || event.size() < at + before.size() + time_digits) {
    throw std::runtime_error("an event without a time in it: " + std::string(event.substr(0, 500)));
  }
  std::uint64_t value = 0;
  const char* first = event.data() + at + before.size();
  std::from_chars(first, first + time_digits, value);
  return value;
}

std::string encode_post(const Address& address, const SenderPlan& plan, std::string_view content) {
  const std::size_t length = plan.body_prefix.size() + content.size() + plan.body_suffix.size();
  std::string request = "POST " + plan.target + " HTTP/1.1\r\nHost: " + address.authority() +
                        "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(length) + "\r\n" +
                        cookie_header(plan.cookie) + "\r\n";
  return request.append(plan.body_prefix).append(content).append(plan.body_suffix);
}

std::optional<HttpAnswer> take_answer(std::string_view& bytes) {
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view head = bytes.substr(0, end);
  if (head.size() < 12 || !head.starts_with("HTTP/1.1 ")) throw std::runtime_error("not an HTTP answer");
  HttpAnswer answer;
  std::from_chars(head.data() + 9, head.data() + 12, answer.status);

  constexpr std::string_view name = "content-length:";
  std::optional<std::size_t> length;
  for (auto line = head.find("\r\n"); line != std::string_view::npos; line = head.find("\r\n", line + 2)) {
    std::string_view header = head.substr(line + 2);
    if (header.size() <= name.size() || ::strncasecmp(header.data(), name.data(), name.size()) != 0) continue;
    header.remove_prefix(name.size());
    header.remove_prefix(std::min(header.find_first_not_of(' '), header.size()));
    std::size_t value = 0;
    if (std::from_chars(header.data(), header.data() + header.size(), value).ec == std::errc{}) length = value;
  }
  if (!length) throw std::runtime_error("an HTTP answer without Content-Length: " + std::string(head));
  if (bytes.size() - end - 4 < *length) return std::nullopt;
  answer.body = bytes.substr(end + 4, *length);
  bytes.remove_prefix(end + 4 + *length);
  return answer;
}

}  // namespace travelchat::bench
