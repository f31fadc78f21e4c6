#include "http/outbox.hpp"
#include "http/event_loop.hpp"
#include "http/exchange.hpp"
#include "http/server.hpp"
#include "websocket/frame_reader.hpp"

#include "catch.hpp"
#include "wire/socket_text.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

using namespace travelchat;
using namespace travelchat::http;
using travelchat::websocket::frame_boundary;

namespace {

// An outbox brings no request.
class SilentServer final : public Server {
 public:
  explicit SilentServer(boost::asio::io_context& context) : Server(Options{}, std::make_shared<const Logger>()) {
    add_loop(std::make_unique<EventLoop>(*this, context));
  }

 private:
  void dispatch(Exchange) override {}
  Sharing sharing_of(const Request&, std::string_view, const TargetPath&) const override { return Sharing::none; }
};

// An outbox on one end of a socket pair, whose other end is read by the test.
class Sender final : public OutboxOwner, public std::enable_shared_from_this<Sender> {
 public:
  Sender(EventLoop& loop, int fd, TlsSession tls = nullptr)
      : socket(loop.context(), RawSocket(fd, std::move(tls))), outbox(loop, socket, *this) {}
  std::shared_ptr<void> outbox_lifetime() override { return shared_from_this(); }
  void outbox_drained() override { drained.set_value(); }
  void outbox_broken() override { broken.set_value(); }

  Socket socket;
  Outbox outbox;
  std::promise<void> drained;
  std::promise<void> broken;
};

struct Fixture {
  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard =
      boost::asio::make_work_guard(context);
  std::shared_ptr<Server> server = std::make_shared<SilentServer>(context);
  EventLoop& loop = server->loop(0);
  std::thread thread{[this] { context.run(); }};
  std::shared_ptr<Sender> sender;
  int peer = -1;

  explicit Fixture(ssl_ctx_st* tls = nullptr) {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    peer = ends[1];
    run([&] { sender = std::make_shared<Sender>(loop, ends[0], tls ? make_tls_session(*tls, ends[0]) : nullptr); });
  }

  ~Fixture() {
    run([&] {
      sender->socket.close();
      sender.reset();
    });
    // What waited for the kernel lets go of the sender.
    next_round();
    guard.reset();
    thread.join();
    if (peer >= 0) ::close(peer);
  }

  // Runs `work` on the loop's thread, as one round of its loop.
  template <class Work>
  void run(Work work) {
    std::promise<void> done;
    boost::asio::post(loop.context(), [&] {
      work();
      done.set_value();
    });
    done.get_future().get();
  }

  // Returns after what the last `run` asked to be flushed was. Its flush may stand behind the first of these, which was
  // posted while that round ended, but not behind the second.
  void next_round() {
    run([] {});
    run([] {});
  }

  std::string read(std::size_t limit = SIZE_MAX) {
    std::string all;
    std::string buffer(64 * 1024, '\0');
    while (all.size() < limit) {
      const auto n = ::recv(peer, buffer.data(), std::min(buffer.size(), limit - all.size()), MSG_DONTWAIT);
      if (n <= 0) break;
      all.append(buffer, 0, static_cast<std::size_t>(n));
    }
    return all;
  }

  // Reads until `size` bytes are there, waiting for them.
  std::string read_exactly(std::size_t size) {
    std::string all(size, '\0');
    std::size_t have = 0;
    ::timeval patience{20, 0};
    ::setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ::fcntl(peer, F_SETFL, 0);
    while (have < size) {
      const auto n = ::recv(peer, all.data() + have, size - have, 0);
      if (n <= 0) break;
      have += static_cast<std::size_t>(n);
    }
    all.resize(have);
    return all;
  }

  // Fills the kernel's buffer.
  void block() {
    run([&] {
      while (!sender->outbox.blocked()) {
        sender->outbox.append(std::string(64 * 1024, 'f'));
        sender->outbox.flush();
      }
    });
  }
};

// A certificate of its own, for nobody in particular.
TlsContext server_tls() {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), &X509_free);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  std::string folder = (std::filesystem::temp_directory_path() / "travelchat-outbox-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  TlsOptions options;
  options.certificate_chain = std::filesystem::path(folder) / "certificate.pem";
  options.private_key = std::filesystem::path(folder) / "key.pem";
  const auto write = [](const std::filesystem::path& to, auto put) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(to.c_str(), "w"), &std::fclose);
    REQUIRE(file);
    REQUIRE(put(file.get()) == 1);
  };
  write(options.certificate_chain, [&](std::FILE* file) { return PEM_write_X509(file, certificate.get()); });
  write(options.private_key,
        [&](std::FILE* file) { return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  TlsContext context = make_tls_context(options);
  std::filesystem::remove_all(folder);
  return context;
}

// The other end of a fixture's connection, as a client that blocks.
class TlsPeer {
 public:
  explicit TlsPeer(Fixture& fixture) : context_(SSL_CTX_new(TLS_client_method())), session_(SSL_new(context_.get())) {
    ::fcntl(fixture.peer, F_SETFL, 0);
    ::timeval patience{20, 0};
    ::setsockopt(fixture.peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    SSL_set_fd(session_.get(), fixture.peer);
    auto connected = std::async(std::launch::async, [&] { return SSL_connect(session_.get()); });
    for (bool is_ready = false; !is_ready;) {
      fixture.run([&] {
        char byte = 0;
        REQUIRE(fixture.sender->socket.read(&byte, 1).state == Socket::State::blocked);
        is_ready = fixture.sender->socket.is_ready();
      });
    }
    REQUIRE(connected.get() == 1);
  }

  // Less when the connection ends before.
  std::string read(std::size_t size) {
    std::string all(size, '\0');
    std::size_t have = 0;
    while (have < size) {
      const int n = SSL_read(session_.get(), all.data() + have, static_cast<int>(size - have));
      if (n <= 0) break;
      have += static_cast<std::size_t>(n);
    }
    all.resize(have);
    return all;
  }

 private:
  TlsContext context_;
  TlsSession session_;
};

std::string frame(std::size_t size, char fill) {
  std::string out;
  wire::append_text_frame(std::string(size, fill), out);
  return out;
}

}  // namespace

TEST_CASE("What one round appends leaves in one write at its end") {
  Fixture f;
  const auto shared = std::make_shared<const std::string>("shared ");
  f.run([&] {
    for (int i = 0; i < 3; ++i) f.sender->outbox.append(shared);
    f.sender->outbox.append(std::string("own"));
    CHECK(f.loop.counters().writes.value() == 0);
    CHECK(f.sender->outbox.pending_bytes() == 24);
  });
  f.next_round();
  CHECK(f.read() == "shared shared shared own");
  CHECK(f.loop.counters().writes.value() == 1);
  CHECK(f.loop.counters().outbox_bytes.value() == 0);
}

TEST_CASE("More buffers than one gathered write takes arrive in order") {
  Fixture f;
  std::string expected;
  f.run([&] {
    for (int i = 0; i < 1000; ++i) {
      const std::string part = std::to_string(i) + ",";
      expected += part;
      f.sender->outbox.append(part);
    }
  });
  f.next_round();
  CHECK(f.read() == expected);
}

TEST_CASE("What the kernel does not take waits until it does, and the owner hears of the end") {
  Fixture f;
  const std::string large(8 << 20, 'x');
  f.run([&] {
    f.sender->outbox.append(large);
    f.sender->outbox.append(std::string("end"));
    f.sender->outbox.notify_when_drained();
  });
  f.next_round();
  f.run([&] { CHECK(f.sender->outbox.pending_bytes() > 0); });
  CHECK(f.read_exactly(large.size() + 3) == large + "end");
  f.sender->drained.get_future().get();
  f.run([&] {
    CHECK(f.sender->outbox.empty());
    CHECK_FALSE(f.sender->outbox.blocked());
  });
}

TEST_CASE("Only what the kernel does not take counts towards the bound") {
  Fixture f;
  f.run([&] {
    f.sender->outbox.append(std::string(900, 'a'));
    // The kernel has room, so these 900 are no reason to refuse.
    CHECK_FALSE(f.sender->outbox.would_exceed(1000, 200));
    CHECK(f.sender->outbox.empty());
    // One buffer is let through when nothing waits before it, however large.
    CHECK_FALSE(f.sender->outbox.would_exceed(1000, 5000));
  });
  f.block();
  f.run([&] {
    const std::size_t pending = f.sender->outbox.pending_bytes();
    CHECK(pending > 0);
    CHECK(f.sender->outbox.would_exceed(pending + 99, 100));
    CHECK_FALSE(f.sender->outbox.would_exceed(pending + 100, 100));
  });
}

TEST_CASE("Dropping what has not left keeps the frame that has begun") {
  Fixture f;
  // The second frame is larger than what the kernel takes, so it is the one that is cut.
  const std::string first = frame(10, 'a');
  const std::string second = frame(8 << 20, 'b');
  const std::string third = frame(10, 'c');
  const std::string last = frame(5, 'z');
  f.run([&] {
    f.sender->outbox.append(first + second + third);
    f.sender->outbox.append(third);
    f.sender->outbox.flush();
    REQUIRE(f.sender->outbox.blocked());
    f.sender->outbox.drop_unsent(frame_boundary);
    f.sender->outbox.append(last);
    f.sender->outbox.seal();
    f.sender->outbox.append(third);
    f.sender->outbox.notify_when_drained();
  });
  CHECK(f.read_exactly(first.size() + second.size() + last.size()) == first + second + last);
  f.sender->drained.get_future().get();
  CHECK(f.loop.counters().outbox_bytes.value() == 0);
}

TEST_CASE("Dropping what has not left keeps what TLS has in a record, to the end of its last frame") {
  const TlsContext tls = server_tls();
  // Frames that share a record, that are longer than one, and that fill one exactly.
  for (const std::size_t size : {100, 1'000, 16'380, 40'000}) {
    CAPTURE(size);
    Fixture f(tls.get());
    TlsPeer peer(f);
    const std::string one = frame(size, 'a');
    const std::string last = frame(5, 'z');
    std::size_t kept = 0;
    f.run([&] {
      std::size_t appended = 0;
      while (!f.sender->outbox.blocked()) {
        for (int i = 0; i < 200; ++i) f.sender->outbox.append(one);
        appended += 200 * one.size();
        f.sender->outbox.flush();
      }
      const std::size_t before = f.sender->outbox.pending_bytes();
      REQUIRE(f.sender->socket.begun_bytes() > 0);
      f.sender->outbox.drop_unsent(frame_boundary);
      const std::size_t pending = f.sender->outbox.pending_bytes();
      CHECK(pending >= f.sender->socket.begun_bytes());
      CHECK(pending < f.sender->socket.begun_bytes() + one.size());
      kept = appended - before + pending;
      CHECK(kept % one.size() == 0);
      f.sender->outbox.append(last);
      f.sender->outbox.seal();
      f.sender->outbox.notify_when_drained();
    });
    std::string expected;
    while (expected.size() < kept) expected += one;
    CHECK((peer.read(kept + last.size()) == expected + last));
    f.sender->drained.get_future().get();
    CHECK(f.loop.counters().outbox_bytes.value() == 0);
  }
}

TEST_CASE("An owner hears of a broken connection, and nothing is kept for it") {
  Fixture f;
  ::close(std::exchange(f.peer, -1));
  f.run([&] { f.sender->outbox.append(std::string("nobody reads this")); });
  f.sender->broken.get_future().get();
  f.run([&] {
    const std::size_t pending = f.sender->outbox.pending_bytes();
    f.sender->outbox.append(std::string("nor this"));
    CHECK(f.sender->outbox.pending_bytes() == pending);
  });
}

TEST_CASE("An outbox that ends in the middle of a round is not flushed") {
  Fixture f;
  f.run([&] {
    f.sender->outbox.append(std::string("too late"));
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) == 0);
    ::close(std::exchange(f.peer, ends[1]));
    f.sender->socket.close();
    f.sender = std::make_shared<Sender>(f.loop, ends[0]);
    f.sender->outbox.append(std::string("in time"));
  });
  f.next_round();
  CHECK(f.read() == "in time");
}
