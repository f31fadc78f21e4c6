// One open WebSocket: reads its peer's frames, keeps its heartbeat, and lets what its subscription delivers leave
// through an outbox.
//
// A socket is cheap while nothing happens: no timer, no buffer and no coroutine of its own, one wait for readiness.
// Belongs to its shard's thread; kept alive by that wait and by its subscription.
#pragma once

#include "transport/frame_reader.hpp"
#include "transport/outbox.hpp"
#include "transport/request_checks.hpp"
#include "transport/server.hpp"
#include "transport/shard.hpp"
#include "transport/socket.hpp"

#include <travelchat/engine.hpp>
#include <travelchat/host.hpp>
#include <travelchat/subscriber.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace travelchat::transport {

// A request for a socket whose handshake is in order.
struct Upgrade {
  explicit Upgrade(Server::Place of) noexcept : place(std::move(of)) {}

  Server::Place place;
  RawSocket socket;
  bool is_inbox = false;
  bool speaks_v1 = false;  // the subprotocol was offered
  bool origin_ok = false;
  std::string accept_key;
  std::string early_bytes;     // what came behind the request
  std::optional<Query> query;  // nullopt: malformed
  std::optional<std::string> chat_token;
  RequestCredentials credentials;
};

// Decides who it is, hands it to the shard where it belongs, and opens it there; a refused one is opened and closed
// with its code. On the shard of the connection.
void open_web_socket(Shard& shard, Upgrade upgrade);

class WebSocket : public Connection, public Subscriber, private FrameSink {
 public:
  WebSocket(Shard& shard, Server::Place place, RawSocket socket);
  ~WebSocket() override;

  // Sends the 101, and then what `opened` does; reads from then on.
  void open(const Upgrade& upgrade);

  // Starts the closing handshake; `code` 1005 closes without one. Nothing is delivered afterwards.
  void close(std::uint16_t code, std::string_view reason = {});

  void tick(const Now& now) override;
  void drain() final;
  void cut() final { gone(); }
  void outbox_drained() final;
  void outbox_broken() final { gone(); }

  // ---- Subscriber ----
  void close(errc reason) noexcept final;

 protected:
  // The 101 is on its way.
  virtual void opened() = 0;
  // A text message of the peer.
  virtual void received(std::string_view text) = 0;
  // It is over: let go of everything. Called once.
  virtual void closed() noexcept = 0;

  bool is_open() const noexcept { return stage_ == Stage::open; }
  // Tells the peer that its message was not acceptable; closes when that goes on.
  void refuse(const error_code& error);
  // Whole frames. Closes with 4408 when the peer does not keep up.
  void send(Buffer frames);
  void expire_at(std::optional<TimePoint> time) noexcept { expires_at_ = time.value_or(TimePoint::max()); }

 private:
  enum class Stage : std::uint8_t { open, closing, ending, gone };

  void on_message(std::string_view text) final;
  void on_ping(std::string_view payload) final;
  void on_close(std::uint16_t code) final;

  void wait();
  void read();
  void take(std::span<char> bytes);
  void end_output();
  void gone();

  Server::Place place_;
  Socket socket_;
  Outbox outbox_;
  FrameReader reader_;
  TimePoint expires_at_ = TimePoint::max();
  SteadyTime heard_;
  SteadyTime next_ping_;
  SteadyTime deadline_{};                      // of the closing handshake
  std::array<std::uint32_t, 4> refused_at_{};  // milliseconds of the steady clock, a ring
  std::uint8_t refused_ = 0;
  Stage stage_ = Stage::open;
};

// A frame for a client, as a buffer of its own.
Buffer make_text_frame(std::string_view payload);

}  // namespace travelchat::transport
