#include "http/listener.hpp"

#include "http/server.hpp"
#include "http/session.hpp"

#include <boost/asio/post.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace travelchat::http {
namespace {

// After the system refused a descriptor or memory.
constexpr auto retry_after = std::chrono::milliseconds{100};

}  // namespace

Listener::Listener(EventLoop& loop) : loop_(loop), acceptor_(loop.context()), retry_(loop.context()) {}

error_code Listener::open(const std::string& address, std::uint16_t port) {
  namespace asio = boost::asio;
  error_code ec;
  const auto ip = asio::ip::make_address(address, ec);
  if (ec) return ec;
  const asio::ip::tcp::endpoint endpoint(ip, port);
  acceptor_.open(endpoint.protocol(), ec);
  if (!ec) acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
  // Accepted sockets inherit it.
  if (!ec) acceptor_.set_option(asio::ip::tcp::no_delay(true), ec);
  if (!ec) acceptor_.bind(endpoint, ec);
  if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
  if (!ec) acceptor_.non_blocking(true, ec);
  if (ec) {
    error_code ignored;
    acceptor_.close(ignored);
  }
  return ec;
}

std::uint16_t Listener::port() const {
  error_code ec;
  return acceptor_.local_endpoint(ec).port();
}

void Listener::run() {
  wait();
}

void Listener::close() {
  error_code ec;
  acceptor_.close(ec);
  retry_.cancel();
}

void Listener::resume() {
  if (!waiting_) accept();
}

void Listener::wait() {
  if (waiting_ || !acceptor_.is_open()) return;
  waiting_ = true;
  acceptor_.async_wait(boost::asio::socket_base::wait_read,
                       [self = shared_from_this(), server = loop_.server().shared_from_this()](const error_code& ec) {
                         self->waiting_ = false;
                         if (!ec) self->accept();
                       });
}

bool Listener::has_pending() {
  ::pollfd asked{acceptor_.native_handle(), POLLIN, 0};
  return ::poll(&asked, 1, 0) == 1;
}

void Listener::accept() {
  Server& server = loop_.server();
  server.slot_is_free();
  while (acceptor_.is_open()) {
    if (!server.try_take_slot()) {
      // An idle connection is closed only when another one waits for its slot; `resume` continues once it is free.
      if (has_pending())
        server.free_slot();
      else
        wait();
      return;
    }
    ConnectionSlot slot(server.shared_from_this());
    ::sockaddr_storage address{};
    ::socklen_t size = sizeof(address);
    const int fd = ::accept4(acceptor_.native_handle(), reinterpret_cast<::sockaddr*>(&address), &size,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK)
        wait();
      else
        pause();
      return;
    }
    RawSocket raw(fd, nullptr);
    const Address remote = Address::of(address);
    if (!slot.count(remote)) continue;
    if (server.tls() != nullptr) {
      raw.tls = make_tls_session(*server.tls(), fd);
      if (!raw.tls) continue;
    }
    EventLoop& loop = server.loop(next_loop_++ % server.loop_count());
    auto begin = [&loop, slot = std::move(slot), raw = std::move(raw), remote = remote.text()]() mutable {
      open_session(loop, std::move(slot), std::move(raw), std::move(remote));
    };
    if (&loop == &loop_)
      begin();
    else
      boost::asio::post(loop.context(), std::move(begin));
  }
}

void Listener::pause() {
  retry_.expires_after(retry_after);
  retry_.async_wait([self = shared_from_this(), server = loop_.server().shared_from_this()](const error_code& ec) {
    if (!ec) self->accept();
  });
}

}  // namespace travelchat::http
