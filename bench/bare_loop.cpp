// travelchat-bare-loop: what a broadcast costs when nothing but the broadcast is done. The limit that the server is
// measured against.
//
// One thread, one epoll. It takes messages by HTTP POST and WebSocket upgrades on the same port, as the chat server
// does, and looks at as little of them as it can: no credentials, no JSON but the one member, no database. Everything
// that arrived in one round of the loop leaves in one system call for each socket of its room. An event is as long as
// the chat's, which `--event-overhead` says.
//
// With `--sync FILE` each round is also appended to a file and flushed to the disk before it is sent: the least that a
// loop which keeps its promises must pay.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

namespace travelchat::bench {
namespace {

constexpr std::size_t max_outbox_bytes =
    1024 * 1024;  // of a socket that does not read; then it is cut, as by the server

[[noreturn]] void fail_with_errno(const std::string& what) {
  throw std::system_error(errno, std::system_category(), what);
}

void append_text_frame(std::string_view payload, std::string& out) {
  out += static_cast<char>(0x81);
  if (payload.size() < 126) {
    out += static_cast<char>(payload.size());
  } else if (payload.size() < 65536) {
    out += static_cast<char>(126);
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size() & 0xff);
  } else {
    throw std::runtime_error("a message is too long");
  }
  out += payload;
}

// The digits behind the first occurrence of `name`.
std::size_t number_after(std::string_view text, std::string_view name) {
  const auto at = text.find(name);
  std::size_t value = 0;
  if (at != std::string_view::npos) std::from_chars(text.data() + at + name.size(), text.data() + text.size(), value);
  return value;
}

struct Peer {
  int fd = -1;
  bool is_socket = false;
  bool is_broken = false;
  std::size_t room = 0;
  std::string in;
  std::string answers;
  std::string outbox;  // what the kernel did not take
};

class BareLoop {
 public:
  BareLoop(std::size_t event_overhead, const char* sync_file)
      : epoll_(::epoll_create1(EPOLL_CLOEXEC)), event_overhead_(event_overhead) {
    if (epoll_ < 0) fail_with_errno("epoll_create1");
    if (sync_file != nullptr) {
      sync_ = ::open(sync_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
      if (sync_ < 0) fail_with_errno(sync_file);
    }
  }

  std::uint16_t listen(std::uint16_t port) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0) fail_with_errno("bind");
    if (::listen(listener_, 4096) != 0) fail_with_errno("listen");
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    epoll_event event{EPOLLIN, {.fd = listener_}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event);
    return ntohs(address.sin_port);
  }

  [[noreturn]] void run() {
    epoll_event events[1024];
    for (;;) {
      const int n = ::epoll_wait(epoll_, events, 1024, -1);
      if (n < 0 && errno != EINTR) fail_with_errno("epoll_wait");
      for (int i = 0; i < n; ++i) {
        if (events[i].data.fd == listener_) {
          accept_all();
        } else if (const auto peer = peers_.find(events[i].data.fd); peer != peers_.end()) {
          if ((events[i].events & EPOLLOUT) != 0) flush(*peer->second);
          if ((events[i].events & ~EPOLLOUT) != 0) receive(*peer->second);
        }
      }
      finish_round();
    }
  }

 private:
  struct Room {
    std::vector<Peer*> sockets;
    std::string frames;  // of this round
  };

  void accept_all();
  void receive(Peer& peer);
  bool take_request(Peer& peer);  // false: no whole one is there
  void broadcast(std::size_t room, std::string_view content);
  void finish_round();
  void write(Peer& peer, std::string_view bytes);
  void flush(Peer& peer);

  int epoll_;
  int listener_ = -1;
  int sync_ = -1;
  std::size_t event_overhead_;  // of an event, besides the content
  std::unordered_map<int, std::unique_ptr<Peer>> peers_;
  std::unordered_map<std::size_t, Room> rooms_;
  std::vector<Room*> written_rooms_;
  std::vector<Peer*> answered_;
  std::vector<Peer*> broken_;
  std::string event_;
};

void BareLoop::accept_all() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.fd = fd}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    auto peer = std::make_unique<Peer>();
    peer->fd = fd;
    peers_.emplace(fd, std::move(peer));
  }
}

void BareLoop::receive(Peer& peer) {
  for (;;) {
    char buffer[16384];
    const ssize_t n = ::recv(peer.fd, buffer, sizeof buffer, 0);
    if (n > 0 && !peer.is_socket) peer.in.append(buffer, static_cast<std::size_t>(n));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
      if (!std::exchange(peer.is_broken, true)) broken_.push_back(&peer);
      return;
    }
    if (n < static_cast<ssize_t>(sizeof buffer)) break;
  }
  while (!peer.is_socket && take_request(peer)) {
  }
}

bool BareLoop::take_request(Peer& peer) {
  const auto end = peer.in.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  const std::string_view head(peer.in.data(), end);
  const std::size_t room = number_after(head, "room=");
  if (head.starts_with("GET ")) {
    // No Sec-WebSocket-Accept: only travelchat-load connects, and it does not look at it.
    peer.is_socket = true;
    peer.room = room;
    rooms_[room].sockets.push_back(&peer);
    std::string answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    append_text_frame(R"({"type":"typing","advisorTyping":false,"clientTyping":false})", answer);
    peer.in = {};
    write(peer, answer);
    return false;
  }
  const std::size_t length = number_after(head, "Content-Length: ");
  if (peer.in.size() - end - 4 < length) return false;
  const std::string_view body(peer.in.data() + end + 4, length);
  constexpr std::string_view before = "{\"content\":\"";
  broadcast(room, body.substr(before.size(), body.find('"', before.size()) - before.size()));
  peer.in.erase(0, end + 4 + length);
  // As long as the chat's answer, which is the message.
  peer.answers += "HTTP/1.1 201 Created\r\nContent-Length: " + std::to_string(event_.size()) + "\r\n\r\n" + event_;
  answered_.push_back(&peer);
  return true;
}

void BareLoop::broadcast(std::size_t room_index, std::string_view content) {
  constexpr std::string_view front = R"({"type":"new_message","pad":")";
  constexpr std::string_view middle = R"(","message":{"content":")";
  constexpr std::string_view back = "\"}}";
  constexpr std::size_t own = front.size() + middle.size() + back.size();
  event_.assign(front);
  event_.append(event_overhead_ > own ? event_overhead_ - own : 0, '.');
  event_.append(middle).append(content).append(back);
  Room& room = rooms_[room_index];
  if (room.frames.empty()) written_rooms_.push_back(&room);
  append_text_frame(event_, room.frames);
}

void BareLoop::finish_round() {
  if (sync_ >= 0 && !written_rooms_.empty()) {
    for (const Room* room : written_rooms_) {
      if (::write(sync_, room->frames.data(), room->frames.size()) < 0) fail_with_errno("write");
    }
    if (::fdatasync(sync_) != 0) fail_with_errno("fdatasync");
  }
  for (Room* room : written_rooms_) {
    for (Peer* peer : room->sockets) write(*peer, room->frames);
    room->frames.clear();
  }
  written_rooms_.clear();
  for (Peer* peer : answered_) {
    if (!peer->answers.empty()) write(*peer, peer->answers);
    peer->answers.clear();
  }
  answered_.clear();
  // Last, since the lists above may name them.
  for (Peer* peer : broken_) {
    if (peer->is_socket) std::erase(rooms_[peer->room].sockets, peer);
    ::close(peer->fd);
    peers_.erase(peer->fd);
  }
  broken_.clear();
}

void BareLoop::write(Peer& peer, std::string_view bytes) {
  if (peer.is_broken) return;
  if (peer.outbox.empty()) {
    const ssize_t n = ::send(peer.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n == static_cast<ssize_t>(bytes.size())) return;
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  peer.outbox += bytes;
  if (peer.outbox.size() > max_outbox_bytes) {
    peer.is_broken = true;
    broken_.push_back(&peer);
  }
}

void BareLoop::flush(Peer& peer) {
  if (peer.is_broken || peer.outbox.empty()) return;
  const ssize_t n = ::send(peer.fd, peer.outbox.data(), peer.outbox.size(), MSG_NOSIGNAL);
  if (n > 0) peer.outbox.erase(0, static_cast<std::size_t>(n));
}

int run(int argc, char** argv) {
  std::size_t overhead = 0;
  const char* sync_file = nullptr;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--event-overhead") {
      overhead = std::stoul(argv[i + 1]);
    } else if (name == "--sync") {
      sync_file = argv[i + 1];
    } else {
      throw std::runtime_error("travelchat-bare-loop [--event-overhead BYTES] [--sync FILE]");
    }
  }
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);

  BareLoop loop(overhead, sync_file);
  const std::uint16_t port = loop.listen(0);
  std::printf("ready http://127.0.0.1:%u\n", static_cast<unsigned>(port));
  std::fflush(stdout);
  loop.run();
}

}  // namespace
}  // namespace travelchat::bench

int main(int argc, char** argv) {
  try {
    return travelchat::bench::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "travelchat-bare-loop: %s\n", e.what());
    return 1;
  }
}
