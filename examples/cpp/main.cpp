// The smallest real embedding: a durable chat between one advisor and one client, in a program of yours.
#include <travelchat/beast_server.hpp>
#include <travelchat/sqlite_storage.hpp>
#include <travelchat/text_search.hpp>

#include <csignal>
#include <iostream>

namespace chat = travelchat;

// The chat asks who somebody is; the answers are yours. Here they are constant, so they are given at once; a look-up of
// your own may reply later and from any thread.
class Application final : public chat::Host {
 public:
  void authenticate(chat::RequestCredentials credentials, chat::Reply<std::optional<chat::Advisor>> reply) override {
    std::optional<chat::Advisor> advisor;
    if (credentials.authorization == "Bearer the-advisors-key") advisor = {"org", "ada", "Ada", {}, {}, false};
    reply(advisor);
  }
  void find_trip(std::string id, chat::Reply<std::optional<chat::SharedTrip>> reply) override {
    std::optional<chat::SharedTrip> trip;
    if (id == "lisbon") trip = {id, "org", "carl", "Lisbon", true, "the-share-token", "Carl", "Ada", {}};
    reply(trip);
  }
  void find_clients(std::string, std::vector<std::string>, chat::Reply<std::vector<chat::ClientCard>> reply) override {
    reply(std::vector{chat::ClientCard{"carl", "Carl", {}, chat::ActiveTrip{"lisbon", "Lisbon"}}});
  }
  void search_clients(std::string, std::string text, chat::Reply<std::vector<std::string>> reply) override {
    std::vector<std::string> found;
    if (chat::TextSearch(text).finds_in("Carl")) found.push_back("carl");
    reply(found);
  }
  void notify(chat::PushNotification notification) override { std::cout << notification.title << std::endl; }
};

int main(int argc, char** argv) {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);

  auto storage = chat::SqliteStorage::open({.path = argc > 1 ? argv[1] : "chat.db"});
  if (!storage) return std::cerr << storage.error().message() << '\n', 1;
  Application application;
  chat::ChatEngine engine(*std::move(storage));
  chat::BeastServerOptions options;
  options.port = 0;  // any free one
  chat::BeastServer server(engine, application, options);
  if (const auto ec = server.start()) return std::cerr << ec.message() << '\n', 1;
  std::cout << "travelchat ready http://127.0.0.1:" << server.port() << std::endl;
  int signal = 0;
  sigwait(&stop, &signal);
  server.stop();
}
