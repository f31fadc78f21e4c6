// Accepts connections on the first event loop and deals them to all loops in turn.
//
// Shared by the server and its own pending wait; touched by the first loop's thread, except where noted.
#pragma once

#include <travelchat/error.hpp>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace travelchat::http {

class Server;
class EventLoop;

class Listener : public std::enable_shared_from_this<Listener> {
 public:
  explicit Listener(EventLoop& loop);

  // Binds and listens. Before `run`, any thread.
  error_code open(const std::string& address, std::uint16_t port);
  std::uint16_t port() const;

  void run();
  void close();
  // Goes on after a slot became free.
  void resume();

 private:
  using Executor = boost::asio::io_context::executor_type;

  void wait();
  void accept();
  bool has_pending();
  void pause();

  EventLoop& loop_;
  boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, Executor> acceptor_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                    Executor>
      retry_;
  std::size_t next_loop_ = 0;
  bool waiting_ = false;
};

}  // namespace travelchat::http
