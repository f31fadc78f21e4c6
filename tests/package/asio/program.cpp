// An application that uses Asio by itself, besides the engine: its own context with a timer and a signal, a pool, and
// an operation of the engine's that completes on it.
#include <travelchat/engine.hpp>
#include <travelchat/memory_storage.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <csignal>
#include <iostream>

int main() {
  travelchat::ChatEngine engine(travelchat::make_memory_storage(), {.shards = 1});
  boost::asio::io_context context;
  bool opened = false;
  bool signalled = false;
  bool fired = false;
  boost::asio::signal_set signals(context, SIGUSR1);
  signals.async_wait([&](boost::system::error_code failed, int) { signalled = !failed; });
  boost::asio::steady_timer timer(context, std::chrono::milliseconds(1));
  timer.async_wait([&](boost::system::error_code failed) {
    fired = !failed;
    engine.async_open_conversation(
        "org", "client",
        boost::asio::bind_executor(context.get_executor(), [&](travelchat::result<travelchat::Conversation> chat) {
          opened = chat.has_value();
          std::raise(SIGUSR1);
        }));
  });
  auto work = boost::asio::make_work_guard(context);
  while (!signalled) context.run_one();
  bool posted = false;
  boost::asio::thread_pool pool(1);
  boost::asio::post(pool, [&] { posted = true; });
  pool.join();
  std::cout << "asio: " << fired << opened << signalled << posted << '\n';
  return fired && opened && signalled && posted ? 0 : 1;
}
