// TLS on a descriptor, without Asio's buffers: a connection holds an SSL object and nothing else, so it can move from
// one I/O thread to another, and OpenSSL gives its record buffers back while a connection is idle.
#pragma once

#include <travelchat/http.hpp>

#include <cstddef>
#include <memory>

struct ssl_st;
struct ssl_ctx_st;

namespace travelchat::http {

struct TlsDelete {
  void operator()(ssl_st* session) const noexcept;
  void operator()(ssl_ctx_st* context) const noexcept;
};
// Null: no TLS.
using TlsSession = std::unique_ptr<ssl_st, TlsDelete>;
using TlsContext = std::unique_ptr<ssl_ctx_st, TlsDelete>;

// Throws boost::system::system_error when the files cannot be used. TLS 1.3, and 1.2 with forward secrecy and
// authenticated encryption only; ALPN http/1.1.
TlsContext make_tls_context(const TlsOptions& options);
// The server's side of a connection on `fd`, which stays the caller's; the handshake runs within the first reads. Null
// when there is no memory.
TlsSession make_tls_session(ssl_ctx_st& context, int fd);
// Whether the handshake is over; true without TLS.
bool is_ready(const TlsSession& session) noexcept;
// Whether the last read stopped because the kernel would not take a handshake record.
bool wants_write(const TlsSession& session) noexcept;

}  // namespace travelchat::http
