// travelchat-load: drives one chat server, or several nodes of one, and measures what its sockets receive.
//
// One thread, one epoll, and it never sleeps while it measures: a sleeping receiver would charge the server for waking
// it. Messages are posted over HTTP keep-alive connections and carry their time in their content, so that each delivery
// to each socket gives a latency. Two ways to send:
//
//   --in-flight N   closed loop: the next message goes when one has been answered and delivered to every socket of its
//                   room, so that N are always outstanding;
//   --rate M        open loop: M messages a second, evenly. The time in the content is the scheduled one, so a server
//                   that stalls is charged for the messages that had to wait ("coordinated omission" is not possible).
//
// A third, --hold, sends nothing and keeps the sockets open until standard input ends.
//
// Prints a line "open" when all sockets are, "begin" and "end" around what is measured, and then one JSON object:
// whoever reads along can measure the servers at the same moments.
#include "histogram.hpp"
#include "load_client.hpp"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <span>
#include <system_error>

namespace travelchat::bench {
namespace {

constexpr std::uint64_t second = 1'000'000'000;

struct Options {
  std::string plan;
  std::size_t rooms = 1;
  std::size_t sockets_per_room = 2;
  std::size_t connections = 16;
  std::size_t in_flight = 0;
  double rate = 0;
  bool hold = false;
  std::size_t stalled = 0;  // further sockets of the first room, which are opened and never read
  std::size_t content_bytes = 100;
  double warmup_seconds = 1;
  double seconds = 5;
};

// The messages of one room in the order in which its sockets get them. Every socket of a room gets the same ones in the
// same order, so that the n-th message of a socket is the n-th of all, and need not be looked into.
class Room {
 public:
  struct Slot {
    std::uint64_t sent_ns = 0;
    std::size_t deliveries = 0;
  };

  explicit Room(std::size_t sockets) : sockets_(sockets) {}

  bool is_first_delivery(std::uint64_t index) const noexcept { return index == end_; }
  void begin_message(std::uint64_t sent_ns) {
    if (end_ - begin_ == slots_.size()) grow();
    slots_[end_++ & (slots_.size() - 1)] = {sent_ns, 0};
  }
  const Slot& slot(std::uint64_t index) const noexcept { return slots_[index & (slots_.size() - 1)]; }

  // True when that was the last socket of all.
  bool count_delivery(std::uint64_t index) noexcept {
    Slot& delivered = slots_[index & (slots_.size() - 1)];
    if (++delivered.deliveries != sockets_) return false;
    while (begin_ < end_ && slots_[begin_ & (slots_.size() - 1)].deliveries == sockets_) ++begin_;
    return true;
  }

 private:
  void grow() {
    std::vector<Slot> larger(slots_.size() * 2);
    for (auto i = begin_; i < end_; ++i) larger[i & (larger.size() - 1)] = slot(i);
    slots_ = std::move(larger);
  }

  std::size_t sockets_;
  std::vector<Slot> slots_ = std::vector<Slot>(8);
  std::uint64_t begin_ = 0;  // the oldest message that is not yet everywhere
  std::uint64_t end_ = 0;
};

class Load {
 public:
  explicit Load(Options options)
      : options_(std::move(options)), plan_(read_plan(options_.plan)), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_.get() < 0) fail_with_errno("epoll_create1");
    if (plan_.rooms.size() < options_.rooms) throw std::runtime_error("the plan has fewer rooms than asked for");
    plan_.rooms.resize(options_.rooms);
  }

  void open() {
    rooms_.assign(options_.rooms, Room(options_.sockets_per_room));
    const std::size_t count = options_.rooms * options_.sockets_per_room;
    sockets_.reserve(count);
    // In steps: the server's accept queue is bounded, and one at a time would wait out a round trip for each.
    constexpr std::size_t step = 64;
    for (std::size_t from = 0; from < count; from += step) {
      const std::size_t to = std::min(count, from + step);
      for (std::size_t i = from; i < to; ++i) {
        const std::size_t room = i / options_.sockets_per_room;
        const auto& candidates = plan_.rooms[room].sockets;
        const SocketPlan& plan = candidates[i % options_.sockets_per_room % candidates.size()];
        const Address& server = plan_.servers[plan.server];
        sockets_.push_back({connect_to(server), room, 0, false, {}});
        send_upgrade(sockets_[i].fd.get(), server, plan);
      }
      for (std::size_t i = from; i < to; ++i) {
        const std::string early = receive_upgrade(sockets_[i].fd.get());
        sockets_[i].unfinished = take_frames(sockets_[i], early);
        watch(sockets_[i].fd.get(), i);
      }
      poll(0);  // heartbeats of those that are open
    }
    for (std::size_t i = 0; i < options_.stalled; ++i) {
      constexpr int small_buffer = 4096;
      const SocketPlan& plan = plan_.rooms[0].sockets[0];
      stalled_.push_back(connect_to(plan_.servers[plan.server], small_buffer));
      send_upgrade(stalled_.back().get(), plan_.servers[plan.server], plan);
      receive_upgrade(stalled_.back().get());
    }
    idle_.resize(plan_.servers.size());
    for (std::size_t server = 0; server < plan_.servers.size(); ++server) {
      for (std::size_t i = 0; i < options_.connections; ++i) {
        const std::size_t index = connections_.size();
        connections_.push_back({connect_to(plan_.servers[server]), server, {}, 0});
        idle_[server].push_back(index);
        watch(connections_[index].fd.get(), sockets_.size() + index);
      }
    }
    // A server's first event says that the socket is in its room: what is sent from then on reaches it.
    const std::uint64_t deadline = now_ns() + 10 * second;
    while (greeted_ < sockets_.size()) {
      if (now_ns() > deadline) throw std::runtime_error("some sockets got no first event within 10 s");
      poll(10);
    }
    say("open");
  }

  void hold() {
    epoll_event event{EPOLLIN, {.u64 = stdin_id}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0) fail_with_errno("watching standard input");
    while (!stdin_ended_) poll(-1);
  }

  void run() {
    const std::uint64_t start = now_ns();
    window_begin_ = start + static_cast<std::uint64_t>(options_.warmup_seconds * 1e9);
    window_end_ = window_begin_ + static_cast<std::uint64_t>(options_.seconds * 1e9);
    if (options_.rate > 0)
      wanted_ = static_cast<std::uint64_t>(static_cast<double>(window_end_ - start) / interval_ns());
    std::uint64_t last = start;
    bool has_begun = false;
    for (std::uint64_t now = start; now < window_end_; now = now_ns()) {
      if (now >= window_begin_ && !std::exchange(has_begun, true)) say("begin");
      const std::size_t worked = send_due(start, now) + poll(0);
      if (worked == 0 && in_window(last)) idle_ns_ += now - last;
      last = now;
    }
    say("end");
    // What was due must still be sent and arrive: it has a latency, and what never arrives is lost.
    if (options_.in_flight > 0) wanted_ = sent_;
    const std::uint64_t deadline = now_ns() + 10 * second;
    while ((completed_ < wanted_ || answered_ < sent_) && now_ns() < deadline) {
      send_due(start, now_ns());
      poll(0);
    }
  }

  void report() const {
    const double seconds = static_cast<double>(window_end_ - window_begin_) / 1e9;
    std::printf(
        "{\"sockets\":%zu,\"seconds\":%.3f,\"messages\":%llu,\"deliveries\":%llu,\"messagesPerSecond\":%.1f,"
        "\"deliveriesPerSecond\":%.1f,",
        sockets_.size(), seconds, number(answers_in_window_), number(deliveries_in_window_),
        static_cast<double>(answers_in_window_) / seconds, static_cast<double>(deliveries_in_window_) / seconds);
    print_histogram("delivery", delivery_);
    print_histogram("answer", answer_);
    std::printf("\"eventBytes\":%zu,\"contentBytes\":%zu,\"undelivered\":%llu,\"loadBusy\":%.3f", event_bytes_,
                options_.content_bytes, number(wanted_ - completed_),
                1 - static_cast<double>(idle_ns_) / 1e9 / seconds);
    if (!stalled_.empty()) {
      std::size_t closed = 0;
      for (const auto& fd : stalled_) closed += was_closed(fd.get()) ? 1 : 0;
      std::printf(",\"stalledClosed\":%zu", closed);
    }
    std::puts("}");
  }

 private:
  struct Socket {
    FileDescriptor fd;
    std::size_t room = 0;
    std::uint64_t messages = 0;
    bool greeted = false;
    std::string unfinished;  // the front of a frame that is still arriving
  };
  struct Connection {
    FileDescriptor fd;
    std::size_t server = 0;
    std::string unfinished;
    std::uint64_t sent_ns = 0;
  };

  static constexpr std::uint64_t stdin_id = ~std::uint64_t{0};

  static void say(const char* line) {
    std::puts(line);
    std::fflush(stdout);
  }

  static unsigned long long number(std::uint64_t value) { return value; }

  static void print_histogram(const char* name, const Histogram& h) {
    const auto us = [&](double share) { return static_cast<double>(h.quantile(share)) / 1e3; };
    std::printf("\"%s\":{\"count\":%llu,\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},", name,
                number(h.count()), us(0.5), us(0.99), us(0.999), static_cast<double>(h.max()) / 1e3);
  }

  // Edge-triggered: everything that is there is read each time.
  void watch(int fd, std::uint64_t id) {
    make_nonblocking(fd);
    epoll_event event{EPOLLIN | EPOLLET, {.u64 = id}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) fail_with_errno("epoll_ctl");
  }

  bool in_window(std::uint64_t ns) const noexcept { return ns >= window_begin_ && ns < window_end_; }

  double interval_ns() const noexcept { return 1e9 / options_.rate; }

  const SenderPlan& next_sender() const {
    const auto& senders = plan_.rooms[sent_ % rooms_.size()].senders;
    return senders[sent_ / rooms_.size() % senders.size()];
  }

  // Returns how many it sent.
  std::size_t send_due(std::uint64_t start, std::uint64_t now) {
    std::size_t count = 0;
    for (; sent_ < wanted_ && !idle_[next_sender().server].empty(); ++count) {
      if (options_.in_flight > 0) {
        if (sent_ - std::min(completed_, answered_) >= options_.in_flight) break;
        send_message(now_ns());
      } else {
        const auto due = start + static_cast<std::uint64_t>(static_cast<double>(sent_) * interval_ns());
        if (due > now) break;
        send_message(due);
      }
    }
    return count;
  }

  void send_message(std::uint64_t sent_ns) {
    const SenderPlan& sender = next_sender();
    const std::string request =
        encode_post(plan_.servers[sender.server], sender, make_content(sent_ns, options_.content_bytes));
    auto& idle = idle_[sender.server];
    Connection& connection = connections_[idle.back()];
    idle.pop_back();
    connection.sent_ns = sent_ns;
    // One request on a connection that has been answered: it always fits into an empty send buffer.
    const ssize_t n = ::send(connection.fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
    if (n < 0) fail_with_errno("sending a message");
    if (static_cast<std::size_t>(n) != request.size()) throw std::runtime_error("a request did not fit its socket");
    ++sent_;
  }

  // Waits for at most `timeout_ms` and takes what has arrived. Returns how many sockets had something.
  std::size_t poll(int timeout_ms) {
    epoll_event events[512];
    const int n = ::epoll_wait(epoll_.get(), events, 512, timeout_ms);
    if (n < 0 && errno != EINTR) fail_with_errno("epoll_wait");
    for (int i = 0; i < n; ++i) {
      const std::uint64_t id = events[i].data.u64;
      if (id == stdin_id) {
        char ignored[256];
        stdin_ended_ = ::read(STDIN_FILENO, ignored, sizeof ignored) <= 0;
      } else if (id < sockets_.size()) {
        Socket& socket = sockets_[id];
        receive(socket.fd.get(), socket.unfinished, [&](std::string_view bytes) { return take_frames(socket, bytes); });
      } else {
        const std::size_t index = id - sockets_.size();
        Connection& connection = connections_[index];
        receive(connection.fd.get(), connection.unfinished,
                [&](std::string_view bytes) { return take_answers(index, bytes); });
      }
    }
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }

  // Reads all there is into the one buffer, behind what was `unfinished`; `take` returns what it could not use yet.
  template <class Take>
  void receive(int fd, std::string& unfinished, Take take) {
    for (;;) {
      std::memcpy(buffer_.get(), unfinished.data(), unfinished.size());
      const std::size_t room = buffer_size - unfinished.size();
      const ssize_t n = ::recv(fd, buffer_.get() + unfinished.size(), room, 0);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (n < 0) fail_with_errno("receiving");
      if (n == 0) throw std::runtime_error("the server closed a connection");
      const auto left = take(std::string_view(buffer_.get(), unfinished.size() + static_cast<std::size_t>(n)));
      if (left.size() > buffer_size / 2) throw std::runtime_error("a frame or an answer is too large");
      unfinished.assign(left);
      if (static_cast<std::size_t>(n) < room) return;
    }
  }

  std::string_view take_frames(Socket& socket, std::string_view bytes) {
    const std::uint64_t now = now_ns();
    while (const auto frame = take_frame(bytes)) {
      if (is_new_message(*frame)) {
        take_message(socket, frame->payload, now);
      } else if (frame->opcode == 1) {
        if (!std::exchange(socket.greeted, true)) ++greeted_;
      } else if (frame->opcode == 9) {
        const std::string pong = encode_pong(*frame);
        if (::send(socket.fd.get(), pong.data(), pong.size(), MSG_NOSIGNAL) < 0) fail_with_errno("sending a pong");
      } else if (frame->opcode == 8) {
        const auto code = frame->payload.size() < 2 ? 1005
                                                    : static_cast<std::uint8_t>(frame->payload[0]) * 256 +
                                                          static_cast<std::uint8_t>(frame->payload[1]);
        throw std::runtime_error("the server closed a socket with " + std::to_string(code));
      }
    }
    return bytes;
  }

  void take_message(Socket& socket, std::string_view event, std::uint64_t now) {
    Room& room = rooms_[socket.room];
    const std::uint64_t index = socket.messages++;
    if (room.is_first_delivery(index)) {
      room.begin_message(sent_time(event));
      event_bytes_ = event.size();
    } else if ((index & 63) == (static_cast<std::uint64_t>(socket.fd.get()) & 63) &&
               sent_time(event) != room.slot(index).sent_ns) {
      // Looking into one message of 64 costs little and would find a server that mixes up the order.
      throw std::runtime_error("two sockets of a room got their messages in different orders");
    }
    const std::uint64_t sent_ns = room.slot(index).sent_ns;
    if (in_window(sent_ns)) delivery_.record(now - sent_ns);
    if (in_window(now)) ++deliveries_in_window_;
    if (room.count_delivery(index)) ++completed_;
  }

  std::string_view take_answers(std::size_t index, std::string_view bytes) {
    const std::uint64_t now = now_ns();
    while (const auto answer = take_answer(bytes)) {
      if (answer->status != 201) {
        throw std::runtime_error("a message was answered " + std::to_string(answer->status) + ": " +
                                 std::string(answer->body.substr(0, 500)));
      }
      const std::uint64_t sent_ns = connections_[index].sent_ns;
      if (in_window(sent_ns)) answer_.record(now - sent_ns);
      if (in_window(now)) ++answers_in_window_;
      idle_[connections_[index].server].push_back(index);
      ++answered_;
    }
    return bytes;
  }

  // Reads what a stalled socket had waiting, up to the server's end of it.
  static bool was_closed(int fd) {
    const timeval timeout{2, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    std::vector<char> chunk(1 << 16);
    for (;;) {
      const ssize_t n = ::recv(fd, chunk.data(), chunk.size(), 0);
      if (n == 0) return true;
      if (n < 0) return errno != EAGAIN;
    }
  }

  static constexpr std::size_t buffer_size = 1 << 18;

  Options options_;
  Plan plan_;
  FileDescriptor epoll_;
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(buffer_size);
  std::vector<Room> rooms_;
  std::vector<Socket> sockets_;
  std::vector<FileDescriptor> stalled_;
  std::vector<Connection> connections_;
  std::vector<std::vector<std::size_t>> idle_;  // of each server, its connections without a request
  std::size_t greeted_ = 0;
  bool stdin_ended_ = false;

  std::uint64_t wanted_ = ~std::uint64_t{0};
  std::uint64_t sent_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t completed_ = 0;  // delivered to every socket
  std::uint64_t window_begin_ = ~std::uint64_t{0};
  std::uint64_t window_end_ = ~std::uint64_t{0};
  std::uint64_t deliveries_in_window_ = 0;
  std::uint64_t answers_in_window_ = 0;
  std::uint64_t idle_ns_ = 0;
  std::size_t event_bytes_ = 0;
  Histogram delivery_;
  Histogram answer_;
};

constexpr const char* usage =
    "travelchat-load --plan FILE [--rooms N] [--sockets-per-room N] [--connections N (to each server)]\n"
    "                (--in-flight N | --rate MESSAGES_PER_SECOND | --hold) [--stalled N] [--content-bytes N]\n"
    "                [--warmup SECONDS] [--seconds SECONDS]\n";

Options parse_options(std::span<char*> arguments) {
  Options options;
  const std::map<std::string_view, std::size_t*> counts{{"--rooms", &options.rooms},
                                                        {"--sockets-per-room", &options.sockets_per_room},
                                                        {"--connections", &options.connections},
                                                        {"--in-flight", &options.in_flight},
                                                        {"--stalled", &options.stalled},
                                                        {"--content-bytes", &options.content_bytes}};
  const std::map<std::string_view, double*> reals{
      {"--rate", &options.rate}, {"--warmup", &options.warmup_seconds}, {"--seconds", &options.seconds}};
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name = arguments[i];
    if (name == "--hold") {
      options.hold = true;
      continue;
    }
    if (i + 1 == arguments.size()) throw std::runtime_error(usage);
    const std::string_view value = arguments[++i];
    if (const auto count = counts.find(name); count != counts.end()) {
      *count->second = parse_number<std::size_t>(value);
    } else if (const auto real = reals.find(name); real != reals.end()) {
      *real->second = parse_number<double>(value);
    } else if (name == "--plan") {
      options.plan = value;
    } else {
      throw std::runtime_error(usage);
    }
  }
  const int ways = (options.in_flight > 0 ? 1 : 0) + (options.rate > 0 ? 1 : 0) + (options.hold ? 1 : 0);
  if (ways != 1 || options.plan.empty() || options.rooms == 0 || options.sockets_per_room == 0) {
    throw std::runtime_error(usage);
  }
  return options;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int run(std::span<char*> arguments) {
  const Options options = parse_options(arguments);
  raise_descriptor_limit();
  Load load(options);
  load.open();
  if (options.hold) {
    load.hold();
  } else {
    load.run();
    load.report();
  }
  return 0;
}

}  // namespace
}  // namespace travelchat::bench

int main(int argc, char** argv) {
  try {
    return travelchat::bench::run(std::span(argv + 1, static_cast<std::size_t>(argc - 1)));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "travelchat-load: %s\n", e.what());
    return 1;
  }
}
