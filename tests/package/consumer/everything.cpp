// An embedder of all components: an engine on a SQLite file behind a server, asked over a socket, and a backplane; and
// what PostgreSQL's storage says of a database that is not there.
#include <travelchat/beast_server.hpp>
#include <travelchat/nats_backplane.hpp>
#include <travelchat/postgres_storage.hpp>
#include <travelchat/sqlite_storage.hpp>
#include <travelchat/validate.hpp>
#include <travelchat/wire.hpp>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <iostream>
#include <string>
#include <system_error>

namespace {

// An application without advisors, trips or clients.
class EmptyHost final : public travelchat::Host {
 public:
  void authenticate(travelchat::RequestCredentials,
                    travelchat::Reply<std::optional<travelchat::Advisor>> reply) override {
    reply(std::optional<travelchat::Advisor>());
  }
  void find_trip(std::string, travelchat::Reply<std::optional<travelchat::SharedTrip>> reply) override {
    reply(std::optional<travelchat::SharedTrip>());
  }
  void find_clients(std::string, std::vector<std::string>,
                    travelchat::Reply<std::vector<travelchat::ClientCard>> reply) override {
    reply(std::vector<travelchat::ClientCard>());
  }
  void search_clients(std::string, std::string, travelchat::Reply<std::vector<std::string>> reply) override {
    reply(std::vector<std::string>());
  }
  void notify(travelchat::PushNotification) override {}
};

std::string get(std::uint16_t port, const std::string& target) {
  boost::asio::io_context context;
  boost::asio::ip::tcp::socket socket(context);
  socket.connect({boost::asio::ip::make_address("127.0.0.1"), port});
  boost::asio::write(socket, boost::asio::buffer("GET " + target + " HTTP/1.1\r\nHost: 127.0.0.1:" +
                                                 std::to_string(port) + "\r\nConnection: close\r\n\r\n"));
  std::string answer;
  boost::system::error_code ec;
  boost::asio::read(socket, boost::asio::dynamic_buffer(answer), ec);
  return answer;
}

bool refuses_no_url() {
  try {
    travelchat::PostgresStorage::open({.url = "no=url"});
    return false;
  } catch (const std::system_error& refused) {
    return boost::system::error_code(refused.code()) == travelchat::errc::invalid_argument;
  }
}

bool speaks_json() {
  std::string json;
  travelchat::wire::append_string(travelchat::clean_name(" Ada\n"), json);
  const auto body = travelchat::wire::Body::parse("{\"name\":" + json + "}");
  return body && body->string("name").value() == "Ada";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto storage = travelchat::SqliteStorage::open({.path = argv[1]});
  if (!storage) {
    std::cerr << storage.error().message() << '\n';
    return 1;
  }
  const auto backplane = travelchat::make_nats_backplane({.servers = {"nats://127.0.0.1"}});
  travelchat::ChatEngine engine(std::move(*storage), {.shards = 1});
  EmptyHost host;
  travelchat::BeastServer server(engine, host, {.port = 0});
  if (const auto ec = server.start()) {
    std::cerr << ec.message() << '\n';
    return 1;
  }
  const std::string ready = get(server.port(), "/readyz");
  const std::string refused = get(server.port(), "/api/conversations");
  server.stop();
  engine.close();
  std::cout << "everything: " << ready.substr(0, ready.find('\r')) << ", " << refused.substr(0, refused.find('\r'))
            << '\n';
  const bool answers = ready.starts_with("HTTP/1.1 200 ") && refused.starts_with("HTTP/1.1 401 ");
  return answers && !backplane->is_up() && refuses_no_url() && speaks_json() ? 0 : 1;
}
