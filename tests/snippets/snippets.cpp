// What stands around each block of docs/library.md. Every page's blocks are here: see `extract`.
#include "count.hpp"

#include <travelchat/arguments.hpp>
#include <travelchat/beast_server.hpp>
#include <travelchat/engine.hpp>
#include <travelchat/memory_storage.hpp>
#include <travelchat/nats_backplane.hpp>
#include <travelchat/postgres_storage.hpp>
#include <travelchat/sqlite_storage.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

static_assert(blocks::library == 8 && blocks::README == 1 && blocks::total == 9,
              "a block is new: give it its place here");

namespace {

void check(bool holds, const char* what) {
  if (holds) return;
  std::cerr << what << '\n';
  std::exit(1);
}

int fail(const travelchat::error_code& error) {
  std::cerr << error.message() << '\n';
  return 1;
}
void log(const std::string& line) {
  std::cerr << line << '\n';
}

int sqlite() {
#include "library_1.inc"
  return 0;
}

int postgres() {
  // Nothing is told of a database that was never reached.
  const auto log_line = [](std::string_view) {};
#include "library_2.inc"
  return storage ? 0 : 1;
}

void nats() {
  auto storage = travelchat::make_memory_storage();
#include "library_3.inc"
}

boost::asio::awaitable<travelchat::Conversation> engine(travelchat::ChatEngine& engine) {
#include "library_4.inc"
  check(sent && sent->message.content == "Welcome!" && sent->message.sender_name == "Ana", "the message is another");
  co_return *chat;
}

void malformed() {
  std::string told;
  const auto log = [&](const char* line) { told = line; };
#include "library_5.inc"
  check(told.starts_with("org_id must be "), "the argument that is malformed was not named");
}

std::promise<std::string> printed;
void print(const travelchat::Message& message) {
  printed.set_value(message.content);
}

boost::asio::awaitable<void> subscriber(travelchat::ChatEngine& engine, travelchat::Conversation conversation) {
  using boost::asio::use_awaitable;
  const travelchat::Participant advisor{"org-1", travelchat::Role::advisor, "advisor-3", "Ana"};
  const auto* chat = &conversation;
  const std::uint64_t last_seen = 0;
#include "library_7.inc"
  check(printed.get_future().get() == "Welcome!", "the replay is another");
}

class EmptyHost final : public travelchat::Host {
  void authenticate(travelchat::RequestCredentials, travelchat::Reply<std::optional<travelchat::Advisor>> r) override {
    r(std::optional<travelchat::Advisor>());
  }
  void find_trip(std::string, travelchat::Reply<std::optional<travelchat::SharedTrip>> r) override {
    r(std::optional<travelchat::SharedTrip>());
  }
  void find_clients(std::string, std::vector<std::string>,
                    travelchat::Reply<std::vector<travelchat::ClientCard>> r) override {
    r(std::vector<travelchat::ClientCard>());
  }
  void search_clients(std::string, std::string, travelchat::Reply<std::vector<std::string>> r) override {
    r(std::vector<std::string>());
  }
  void notify(travelchat::PushNotification) override {}
};

int server(travelchat::ChatEngine& engine) {
  EmptyHost host;
#include "library_8.inc"
  boost::asio::io_context context;
  boost::asio::ip::tcp::socket socket(context);
  socket.connect({boost::asio::ip::make_address("127.0.0.1"), server.port()});
  const std::string request = "GET /api/hello/Ana HTTP/1.1\r\nHost: chat.example\r\nConnection: close\r\n\r\n";
  boost::asio::write(socket, boost::asio::buffer(request));
  std::string answer;
  boost::system::error_code end;
  boost::asio::read(socket, boost::asio::dynamic_buffer(answer), end);
  check(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("Hello, Ana"), "the route answers otherwise");
  return 0;
}

int options() {
  auto storage = travelchat::make_memory_storage();
#include "library_6.inc"
  return 1;
}

// Runs a coroutine on a thread of its own, as an application's would be.
template <class T>
T run(boost::asio::awaitable<T> coroutine) {
  boost::asio::io_context context;
  auto done = boost::asio::co_spawn(context, std::move(coroutine), boost::asio::use_future);
  context.run();
  return done.get();
}

}  // namespace

int main() {
  std::string folder = (std::filesystem::temp_directory_path() / "travelchat-snippets-XXXXXX").string();
  check(::mkdtemp(folder.data()) != nullptr, "no folder");
  std::filesystem::current_path(folder);
  check(sqlite() == 0, "SQLite");
  std::filesystem::current_path("/");
  std::filesystem::remove_all(folder);
  try {
    postgres();
  } catch (const std::system_error& unreachable) {
    log(unreachable.what());
  }
  nats();
  malformed();
  travelchat::ChatEngine chat(travelchat::make_memory_storage());
  run(subscriber(chat, run(engine(chat))));
  check(server(chat) == 0, "server");
  check(options() == 0, "options");
}
