// The two kinds of connection that the load generator opens, and the plan that says which ones.
//
// Everything here is built so that one core can receive several million frames a second: one system call reads what
// many frames brought, the scanner looks at frame headers only, and nothing is allocated for a frame.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace travelchat::bench {

// Monotonic nanoseconds; the clock of every time in this program, also of those inside messages.
std::uint64_t now_ns() noexcept;

// The system call `what` failed with `errno`.
[[noreturn]] void fail_with_errno(const std::string& what);

template <class Number>
Number parse_number(std::string_view text) {
  Number number{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc{} || end != text.data() + text.size()) {
    throw std::runtime_error("not a number: " + std::string(text));
  }
  return number;
}

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor();

  int get() const noexcept { return fd_; }

 private:
  int fd_ = -1;
};

// ---- The plan: how to reach the rooms of one server. ----
//
// A text file of tab-separated lines, written by whoever knows the server (bench/servers.py). It keeps logins, tokens
// and paths out of this program, so that every server is driven by the very same code:
//
//   server <TAB> HOST:PORT
//   room
//   socket <TAB> server <TAB> request target <TAB> Cookie header or nothing
//   sender <TAB> server <TAB> request target <TAB> Cookie header or nothing <TAB> body before the content <TAB> body
//   after
//
// `socket` and `sender` lines belong to the `room` above them, and name a server by its place among the `server` lines,
// from 0.
struct SocketPlan {
  std::size_t server = 0;
  std::string target;
  std::string cookie;
};

struct SenderPlan {
  std::size_t server = 0;
  std::string target;
  std::string cookie;
  std::string body_prefix;
  std::string body_suffix;
};

struct RoomPlan {
  std::vector<SocketPlan> sockets;
  std::vector<SenderPlan> senders;
};

struct Address {
  std::string host;  // IPv4, numeric
  std::uint16_t port = 0;

  std::string authority() const { return host + ':' + std::to_string(port); }
};

struct Plan {
  std::vector<Address> servers;
  std::vector<RoomPlan> rooms;
};

Plan read_plan(const std::string& path);

// ---- Opening ----

// A connected TCP socket without Nagle's delay, still blocking. `receive_buffer` 0 leaves it to the kernel.
FileDescriptor connect_to(const Address& address, int receive_buffer = 0);
void make_nonblocking(int fd);

// Both halves of the WebSocket handshake, apart, so that many can be under way at once. The second returns what the
// server sent after its 101 answer. Both throw when the server refuses.
void send_upgrade(int fd, const Address& address, const SocketPlan& plan);
std::string receive_upgrade(int fd);

// ---- WebSocket frames, as a server sends them (RFC 6455 section 5.2) ----

struct Frame {
  std::uint8_t opcode = 0;
  std::string_view payload;
};

// Takes the next complete frame off the front of `bytes`; nullopt when there is none yet. Throws on what no server of
// the bench sends: fragments, reserved bits, masked frames.
inline std::optional<Frame> take_frame(std::string_view& bytes) {
  if (bytes.size() < 2) return std::nullopt;
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  const auto second = static_cast<std::uint8_t>(bytes[1]);
  if ((first & 0xf0) != 0x80 || (second & 0x80) != 0) throw std::runtime_error("a frame of a kind not expected here");
  std::size_t header = 2;
  std::uint64_t length = second;
  if (second >= 126) {
    header = second == 126 ? 4 : 10;
    if (bytes.size() < header) return std::nullopt;
    length = 0;
    for (std::size_t i = 2; i < header; ++i) length = (length << 8) | static_cast<std::uint8_t>(bytes[i]);
  }
  if (bytes.size() - header < length) return std::nullopt;
  const Frame frame{static_cast<std::uint8_t>(first & 0x0f), bytes.substr(header, length)};
  bytes.remove_prefix(header + length);
  return frame;
}

// True for `{"type":"new_message",...}`, and of the chat's events for that one only: `n` is where no other type has it.
inline bool is_new_message(const Frame& frame) noexcept {
  return frame.opcode == 1 && frame.payload.size() > 9 && frame.payload[9] == 'n';
}

// A masked pong that answers `ping`. The key is zero, which leaves the payload as it is.
std::string encode_pong(const Frame& ping);

// ---- Messages that carry their time ----

// "t=<19 digits>;" and filling up to `size` bytes (at least 22).
std::string make_content(std::uint64_t sent_ns, std::size_t size);
// The time in an event that carries such content.
std::uint64_t sent_time(std::string_view event);

// ---- HTTP ----

std::string encode_post(const Address& address, const SenderPlan& plan, std::string_view content);

struct HttpAnswer {
  int status = 0;
  std::string_view body;
};

// Takes the first complete answer off the front of `bytes`; nullopt when there is none yet. It must have a
// Content-Length.
std::optional<HttpAnswer> take_answer(std::string_view& bytes);

}  // namespace travelchat::bench
