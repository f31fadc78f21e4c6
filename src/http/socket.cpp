#include "http/socket.hpp"

#include <boost/asio/socket_base.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace travelchat::http {
namespace {

// A TLS record carries at most this much.
constexpr std::size_t record_bytes = 16 * 1024;

Socket::State tls_state(ssl_st* session, int outcome) noexcept {
  const int reason = SSL_get_error(session, outcome);
  // An error queue that is not emptied would be taken for the next connection's error.
  ERR_clear_error();
  switch (reason) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return Socket::State::blocked;
    case SSL_ERROR_ZERO_RETURN:
      return Socket::State::end;
    default:
      return Socket::State::failed;
  }
}

}  // namespace

RawSocket& RawSocket::operator=(RawSocket&& other) noexcept {
  std::swap(fd, other.fd);
  std::swap(tls, other.tls);
  return *this;
}

RawSocket::~RawSocket() {
  if (fd >= 0) ::close(fd);
}

Socket::Socket(boost::asio::io_context& context, RawSocket raw)
    : tcp_(context.get_executor()), tls_(std::move(raw.tls)) {
  boost::system::error_code ec;
  tcp_.assign(boost::asio::ip::tcp::v4(), raw.fd, ec);
  if (!ec) raw.fd = -1;
}

Socket::Outcome Socket::read(char* at, std::size_t size) noexcept {
  if (tls_) {
    const int n = SSL_read(tls_.get(), at, static_cast<int>(std::min<std::size_t>(size, 1u << 30)));
    if (n > 0) return {static_cast<std::size_t>(n), State::ok};
    return {0, tls_state(tls_.get(), n)};
  }
  for (;;) {
    const auto n = ::recv(tcp_.native_handle(), at, size, MSG_DONTWAIT);
    if (n > 0) return {static_cast<std::size_t>(n), State::ok};
    if (n == 0) return {0, State::end};
    if (errno == EINTR) continue;
    return {0, errno == EAGAIN || errno == EWOULDBLOCK ? State::blocked : State::failed};
  }
}

Socket::Outcome Socket::write(const ::iovec* buffers, std::size_t count) noexcept {
  if (!tls_) {
    ::msghdr message{};
    message.msg_iov = const_cast<::iovec*>(buffers);
    message.msg_iovlen = count;
    std::size_t wanted = 0;
    for (std::size_t i = 0; i < count; ++i) wanted += buffers[i].iov_len;
    for (;;) {
      const auto n = ::sendmsg(tcp_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n >= 0) {
        const auto bytes = static_cast<std::size_t>(n);
        return {bytes, bytes == wanted ? State::ok : State::blocked};
      }
      if (errno == EINTR) continue;
      return {0, errno == EAGAIN || errno == EWOULDBLOCK ? State::blocked : State::failed};
    }
  }
  // Small buffers share a record. What a blocked call tried to send must stand again at the front of the next one, as
  // OpenSSL demands: it does, because buffers leave only once they are sent, and `begun_bytes` are never dropped.
  std::array<char, record_bytes> record;
  std::size_t total = 0;
  std::size_t index = 0;
  std::size_t offset = 0;
  while (index < count) {
    std::size_t filled = 0;
    std::size_t next_index = index;
    std::size_t next_offset = offset;
    while (next_index < count && filled < record.size()) {
      const std::size_t n = std::min(buffers[next_index].iov_len - next_offset, record.size() - filled);
      std::memcpy(record.data() + filled, static_cast<const char*>(buffers[next_index].iov_base) + next_offset, n);
      filled += n;
      next_offset += n;
      if (next_offset == buffers[next_index].iov_len) {
        ++next_index;
        next_offset = 0;
      }
    }
    if (filled == 0) break;
    const int n = SSL_write(tls_.get(), record.data(), static_cast<int>(filled));
    if (n <= 0) {
      begun_bytes_ = filled;
      return {total, tls_state(tls_.get(), n)};
    }
    begun_bytes_ = 0;
    total += static_cast<std::size_t>(n);
    for (auto left = static_cast<std::size_t>(n); left > 0;) {
      const std::size_t step = std::min(left, buffers[index].iov_len - offset);
      left -= step;
      offset += step;
      if (offset == buffers[index].iov_len) {
        ++index;
        offset = 0;
      }
    }
  }
  return {total, State::ok};
}

void Socket::shutdown_write() noexcept {
  if (!tcp_.is_open()) return;
  if (tls_) {
    SSL_shutdown(tls_.get());
    ERR_clear_error();
  }
  ::shutdown(tcp_.native_handle(), SHUT_WR);
}

void Socket::widen_send_buffer() noexcept {
  int size = 0;
  socklen_t length = sizeof(size);
  if (::getsockopt(tcp_.native_handle(), SOL_SOCKET, SO_SNDBUF, &size, &length) != 0) return;
  // The kernel doubles the size that is set.
  size = size / 2 + 64 * 1024;
  ::setsockopt(tcp_.native_handle(), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

void Socket::close() noexcept {
  boost::system::error_code ec;
  tcp_.close(ec);
}

RawSocket Socket::release() noexcept {
  boost::system::error_code ec;
  const int fd = tcp_.release(ec);
  return {ec ? -1 : fd, std::move(tls_)};
}

}  // namespace travelchat::http
