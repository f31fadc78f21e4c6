// What the WebSockets on one event loop share: their limits and times, their counts, and the frames that each is sent
// at every `ping_interval`.
//
// Owned by the server; everything but the counts belongs to the loop's thread.
#pragma once

#include "http/event_loop.hpp"
#include "http/outbox.hpp"
#include "websocket/counters.hpp"
#include "websocket/frame_reader.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

namespace travelchat::websocket {

// The application above fills it in, see BeastServerOptions.
struct SocketOptions {
  FrameLimits frames;
  std::size_t max_outbox_bytes = 0;
  std::chrono::milliseconds ping_interval{0};
  std::chrono::milliseconds silence_timeout{0};
  std::chrono::milliseconds close_timeout{0};
};

class SocketLoop : public http::EventLoop {
 public:
  // `alive`: whole frames with the event of that name. Pages need it because browsers do not show them pings.
  SocketLoop(http::Server& server, boost::asio::io_context& context, const SocketOptions& options, http::Buffer alive)
      : http::EventLoop(server, context),
        options_(options),
        alive_(std::move(alive)),
        heartbeat_(std::make_shared<const std::string>(std::string(ping_frame) + *alive_)) {}

  const SocketOptions& socket_options() const noexcept { return options_; }
  Counters& socket_counters() noexcept { return counters_; }
  const Counters& socket_counters() const noexcept { return counters_; }

  // A ping and `alive`. One buffer for all, so it costs no more than the ping alone.
  const http::Buffer& heartbeat() const noexcept { return heartbeat_; }
  // For sockets on external connections, whose owner sends the pings.
  const http::Buffer& alive() const noexcept { return alive_; }

 private:
  const SocketOptions options_;
  const http::Buffer alive_;
  const http::Buffer heartbeat_;
  Counters counters_;
};

}  // namespace travelchat::websocket
