// A TCP connection, with or without TLS, read and written without blocking.
//
// Belongs to one io_context, whose thread alone may touch it; `release` takes it away so that another can have it.
#pragma once

#include "http/tls.hpp"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace travelchat::http {

// A descriptor and its TLS state on the way from one owner to the next. Closes the descriptor if none takes it.
struct RawSocket {
  RawSocket() noexcept = default;
  RawSocket(int descriptor, TlsSession session) noexcept : fd(descriptor), tls(std::move(session)) {}
  RawSocket(RawSocket&& other) noexcept : fd(std::exchange(other.fd, -1)), tls(std::move(other.tls)) {}
  RawSocket& operator=(RawSocket&& other) noexcept;
  ~RawSocket();

  int fd = -1;
  TlsSession tls;
};

class Socket {
 public:
  // The concrete executor keeps the object small and its calls direct.
  using Tcp = boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

  enum class State : std::uint8_t { ok, blocked, end, failed };
  struct Outcome {
    std::size_t bytes = 0;
    State state = State::ok;
  };

  // A socket that could not be registered with `context` stays closed.
  Socket(boost::asio::io_context& context, RawSocket raw);

  bool is_open() const noexcept { return tcp_.is_open(); }
  bool has_tls() const noexcept { return tls_ != nullptr; }
  // Whether its TLS handshake is over; true without TLS.
  bool is_ready() const noexcept { return http::is_ready(tls_); }

  Outcome read(char* at, std::size_t size) noexcept;
  // Takes what it can of the buffers, in order. `blocked`: not all of it.
  Outcome write(const ::iovec* buffers, std::size_t count) noexcept;
  // Bytes at the front of the unsent data that TLS has already put into a record: the next write must offer them again.
  std::size_t begun_bytes() const noexcept { return begun_bytes_; }

  // Completes with (error_code) when `read` may get on.
  template <class Handler>
  void wait_readable(Handler&& handler) {
    // A TLS handshake may have to write before it can read.
    tcp_.async_wait(wants_write(tls_) ? Tcp::wait_write : Tcp::wait_read, std::forward<Handler>(handler));
  }
  template <class Handler>
  void wait_writable(Handler&& handler) {
    tcp_.async_wait(Tcp::wait_write, std::forward<Handler>(handler));
  }
  // Completes with (error_code, size). Not with TLS. Cheaper than waiting and reading: no call to epoll in between.
  template <class Handler>
  void async_read_plain(char* at, std::size_t size, Handler&& handler) {
    tcp_.async_read_some(boost::asio::buffer(at, size), std::forward<Handler>(handler));
  }

  // Tells the peer that nothing more comes.
  void shutdown_write() noexcept;
  // Enlarges the kernel's send buffer, for a last frame behind a full queue.
  void widen_send_buffer() noexcept;
  void close() noexcept;
  // Nothing may be waiting on it.
  RawSocket release() noexcept;

 private:
  Tcp tcp_;
  TlsSession tls_;
  std::size_t begun_bytes_ = 0;
};

}  // namespace travelchat::http
