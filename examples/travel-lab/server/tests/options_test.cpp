#include "options.hpp"

#include <unistd.h>
#include <catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

using namespace std::chrono_literals;
using namespace travel_lab;

class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { unsetenv(name_); }

 private:
  const char* name_;
};

class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text) {
    std::string pattern = (std::filesystem::temp_directory_path() / "travelchat-options-XXXXXX").string();
    const int descriptor = mkstemp(pattern.data());
    REQUIRE(descriptor >= 0);
    close(descriptor);
    path_ = pattern;
    std::ofstream(path_) << text;
  }
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;
  ~ConfigFile() { std::filesystem::remove(path_); }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

ServeOptions serve(std::vector<std::string> arguments) {
  auto parsed = parse_options(std::move(arguments));
  if (const auto* exit = std::get_if<Exit>(&parsed)) FAIL(exit->text);
  return std::get<ServeOptions>(parsed);
}

std::string refusal(std::vector<std::string> arguments) {
  const auto parsed = parse_options(std::move(arguments));
  REQUIRE(std::holds_alternative<Exit>(parsed));
  const Exit& exit = std::get<Exit>(parsed);
  CHECK(exit.status == 2);
  CHECK(exit.text.find('\n') == std::string::npos);
  return exit.text;
}

}  // namespace

TEST_CASE("without options the server listens on the loopback address, port 8080") {
  const ServeOptions options = serve({});
  CHECK(options.address == "127.0.0.1");
  CHECK(options.port == 8080);
  CHECK(options.data == "travelchat-data");
  CHECK_FALSE(options.demo_clients);
  CHECK(options.rate_limits);
}

TEST_CASE("the command line wins over the environment and the environment over the file") {
  const ConfigFile config("io-threads = 1\nheader-timeout = 0.25\ndata = \"from-file\"\nrate-limits = \"off\"\n");
  const Environment threads("TRAVELCHAT_IO_THREADS", "2");
  const Environment data("TRAVELCHAT_DATA", "from-environment");
  const ServeOptions options = serve({"--config", config.path(), "--io-threads", "3"});
  CHECK(options.io_threads == 3);
  CHECK(options.data == "from-environment");
  CHECK(options.header_timeout == 250ms);
  CHECK_FALSE(options.rate_limits);
}

TEST_CASE("the file may be named in the environment") {
  const ConfigFile config("listen = \"[::1]:0\"\nallowed-origin = [\"https://a.example\", \"https://b.example\"]\n");
  const Environment name("TRAVELCHAT_CONFIG", config.path().c_str());
  const ServeOptions options = serve({});
  CHECK(options.address == "::1");
  CHECK(options.port == 0);
  CHECK(options.allowed_origins == std::vector<std::string>{"https://a.example", "https://b.example"});
}

TEST_CASE("the option --demo takes a number of clients behind an equals sign, or 20") {
  CHECK(serve({"--demo"}).demo_clients == 20u);
  CHECK(serve({"--demo=2000"}).demo_clients == 2000u);
  CHECK(serve({"--demo", "--data", "x"}).demo_clients == 20u);
  const ConfigFile config("demo = 7\n");
  CHECK(serve({"--config", config.path()}).demo_clients == 7u);
  CHECK(refusal({"--demo=none"}).find("--demo") != std::string::npos);
  CHECK(refusal({"--demo=0"}).find("--demo") != std::string::npos);
}

TEST_CASE("an option that is given twice counts as it was given last") {
  const ServeOptions options = serve({"--demo", "--data", "script", "--demo=5", "--data", "user"});
  CHECK(options.data == "user");
  CHECK(options.demo_clients == 5u);
}

TEST_CASE("the option --allowed-origin can be repeated, and has commas in the environment") {
  CHECK(serve({"--allowed-origin", "https://a.example", "--allowed-origin", "http://b:1"}).allowed_origins.size() == 2);
  const Environment origins("TRAVELCHAT_ALLOWED_ORIGIN", "https://a.example,https://b.example,https://c.example");
  CHECK(serve({}).allowed_origins.size() == 3);
  CHECK(refusal({"--allowed-origin", "a.example"}).find("a.example") != std::string::npos);
  CHECK(refusal({"--allowed-origin", "https://a.example/path"}).find("/path") != std::string::npos);
}

TEST_CASE("proxies are trusted by address or by network, when they are named") {
  CHECK(serve({}).trusted_proxies.empty());
  CHECK(serve({"--trusted-proxy", "127.0.0.1,10.0.0.0/8"}).trusted_proxies.size() == 2);
  const ConfigFile config("trusted-proxy = [\"127.0.0.1\", \"fd00::/8\"]\n");
  CHECK(serve({"--config", config.path()}).trusted_proxies == std::vector<std::string>{"127.0.0.1", "fd00::/8"});
  CHECK(refusal({"--trusted-proxy", "proxy.example"}).find("proxy.example") != std::string::npos);
}

TEST_CASE("what holds a connection without end has a limit, which 0 takes away where that makes sense") {
  const ServeOptions plain = serve({});
  CHECK(plain.handshake_timeout == 10s);
  CHECK(plain.host_timeout == 30s);
  CHECK(plain.limits.connections_per_address == 1'000);
  CHECK(plain.hsts_max_age == 24h * 365);
  const ConfigFile config(
      "handshake-timeout = 2.5\nhost-timeout = 5\nmax-connections-per-address = 7\nhsts-max-age = 60\n");
  const ServeOptions given = serve({"--config", config.path()});
  CHECK(given.handshake_timeout == 2500ms);
  CHECK(given.host_timeout == 5s);
  CHECK(given.limits.connections_per_address == 7);
  CHECK(given.hsts_max_age == 60s);
  const ServeOptions none = serve({"--host-timeout", "0", "--max-connections-per-address", "0", "--hsts-max-age", "0"});
  CHECK(none.host_timeout == 0s);
  CHECK(none.limits.connections_per_address == 0);
  CHECK(none.hsts_max_age == 0s);
  CHECK(refusal({"--handshake-timeout", "0"}).find("--handshake-timeout") != std::string::npos);
  CHECK(refusal({"--host-timeout", "-1"}).find("--host-timeout") != std::string::npos);
}

TEST_CASE("the metrics are everyone's, or theirs whom the options name") {
  using Access = travelchat::MetricsAccess;
  CHECK(serve({}).metrics == Access::everyone);
  CHECK(serve({"--metrics", "loopback"}).metrics == Access::loopback);
  CHECK(serve({"--metrics", "nobody"}).metrics == Access::nobody);
  const ServeOptions with_token = serve({"--metrics", "token", "--metrics-token-file", "token"});
  CHECK(with_token.metrics == Access::token);
  CHECK(with_token.metrics_token_file == std::filesystem::path("token"));
  CHECK(refusal({"--metrics", "off"}).find("\"off\" is none of everyone, loopback, token, nobody") !=
        std::string::npos);
  for (const std::vector<std::string>& half : {std::vector<std::string>{"--metrics", "token"},
                                               {"--metrics-token-file", "token"},
                                               {"--metrics", "loopback", "--metrics-token-file", "token"}}) {
    CHECK(refusal(half).find("--metrics token and --metrics-token-file need each other") != std::string::npos);
  }
}

TEST_CASE("push is on and reaches public addresses only, unless somebody says otherwise") {
  const ServeOptions plain = serve({});
  CHECK(plain.push);
  CHECK(plain.push_contact.empty());
  CHECK_FALSE(plain.push_ca_file);
  CHECK_FALSE(plain.push_allow_private);
  const ConfigFile config("push = \"off\"\npush-ca-file = \"ca.pem\"\npush-contact = \"mailto:a@b.example\"\n");
  const Environment allow("TRAVELCHAT_PUSH_ALLOW_PRIVATE", "on");
  const ServeOptions options = serve({"--config", config.path(), "--push-contact", "https://travel.example/contact"});
  CHECK_FALSE(options.push);
  CHECK(options.push_contact == "https://travel.example/contact");
  CHECK(options.push_ca_file == "ca.pem");
  CHECK(options.push_allow_private);
  for (const char* contact : {"ops@travel.example", "mailto:", "http://travel.example", "https://"}) {
    CHECK(refusal({"--push-contact", contact}).find("--push-contact") != std::string::npos);
  }
}

TEST_CASE("a wrong option ends with status 2 and one line that names it") {
  CHECK(refusal({"--nonsense"}).find("--nonsense") != std::string::npos);
  CHECK(refusal({"--listen", "127.0.0.1"}).find("HOST:PORT") != std::string::npos);
  CHECK(refusal({"--listen", "127.0.0.1:99999"}).find("99999") != std::string::npos);
  CHECK(refusal({"--listen", "example.org:80"}).find("example.org") != std::string::npos);
  CHECK(refusal({"--io-threads", "many"}).find("many") != std::string::npos);
  CHECK(refusal({"--rate-limits", "maybe"}).find("maybe") != std::string::npos);
  CHECK(refusal({"--log-level", "loud"}).find("loud") != std::string::npos);
  CHECK(refusal({"--header-timeout", "-1"}).find("--header-timeout") != std::string::npos);
  CHECK(refusal({"--header-timeout", "nan"}).find("nan") != std::string::npos);
  CHECK(refusal({"--ping-interval", "40"}).find("--silence-timeout") != std::string::npos);
  CHECK(refusal({"--tls-cert", "cert.pem"}).find("--tls-key") != std::string::npos);
  CHECK(refusal({"add-advisor", "--org", "A"}).find("--email") != std::string::npos);
}

TEST_CASE("a wrong file ends with status 2 and one line that names it") {
  CHECK(refusal({"--config", "/nonexistent/travelchat.toml"}).find("/nonexistent/travelchat.toml") !=
        std::string::npos);
  for (const char* text : {"lsten = \"127.0.0.1:1\"", "io-threads = [1]", "io-threads = ", "header-timeout = \"soon\"",
                           "help = true", "config = \"other.toml\"", "[server]\nio-threads = 1"}) {
    CAPTURE(text);
    const ConfigFile config(text);
    CHECK(refusal({"--config", config.path()}).find(config.path()) != std::string::npos);
  }
}

TEST_CASE("subcommands take the data folder too, or the database") {
  const auto parsed =
      parse_options({"add-advisor", "--data", "here", "--org", "Org", "--email", "a@b.example", "--name", "A B"});
  REQUIRE(std::holds_alternative<AddAdvisorOptions>(parsed));
  CHECK(std::get<AddAdvisorOptions>(parsed).data == "here");
  const Environment storage("TRAVELCHAT_STORAGE", "postgres://db.example/chat");
  const auto trip = parse_options({"add-trip", "--advisor", "a@b.example", "--client", "C", "--title", "T"});
  REQUIRE(std::holds_alternative<AddTripOptions>(trip));
  CHECK(std::get<AddTripOptions>(trip).storage == "postgres://db.example/chat");
}

TEST_CASE("commands about an advisor name them, and ending sessions says whose") {
  const auto email_of = [](const auto& parsed, auto kind) {
    REQUIRE(std::holds_alternative<decltype(kind)>(parsed));
    return std::get<decltype(kind)>(parsed);
  };
  const auto password = parse_options({"set-password", "--data", "here", "--email", "a@b.example"});
  CHECK(email_of(password, SetPasswordOptions{}).email == "a@b.example");
  CHECK(email_of(password, SetPasswordOptions{}).data == "here");
  const auto disabled = parse_options({"disable-advisor", "--email", "a@b.example"});
  CHECK_FALSE(email_of(disabled, AdvisorAccessOptions{}).may_sign_in);
  const auto enabled = parse_options({"enable-advisor", "--email", "a@b.example"});
  CHECK(email_of(enabled, AdvisorAccessOptions{}).may_sign_in);
  const auto one = parse_options({"end-sessions", "--email", "a@b.example"});
  CHECK(email_of(one, EndSessionsOptions{}).email == "a@b.example");
  const auto all = parse_options({"end-sessions", "--all"});
  CHECK_FALSE(email_of(all, EndSessionsOptions{}).email);
  // Nobody's is not everybody's; and a password is no argument.
  refusal({"end-sessions"});
  refusal({"end-sessions", "--all", "--email", "a@b.example"});
  CHECK(refusal({"set-password"}).find("--email") != std::string::npos);
  refusal({"set-password", "--email", "a@b.example", "--password", "secret"});
}

TEST_CASE("sessions end by age and by idleness, and Bearer tokens are not good for ever") {
  CHECK(serve({}).session_lifetime == 168h);
  CHECK(serve({}).session_idle_timeout == 24h);
  CHECK(serve({"--session-idle-hours", "0.5"}).session_idle_timeout == 30min);
  CHECK(refusal({"--session-idle-hours", "0"}).find("--session-idle-hours") != std::string::npos);
  CHECK(serve({}).jwt_max_lifetime == 24h);
  CHECK(serve({"--jwt-max-lifetime", "600"}).jwt_max_lifetime == 600s);
  CHECK(refusal({"--jwt-max-lifetime", "0"}).find("--jwt-max-lifetime") != std::string::npos);
}

TEST_CASE("rows are in a SQLite file, or in the PostgreSQL database of --storage") {
  CHECK(serve({}).storage.empty());
  CHECK(serve({"--storage", "postgres://ada@db.example:5432/chat"}).storage == "postgres://ada@db.example:5432/chat");
  CHECK(serve({"--storage", "postgresql:///chat"}).storage == "postgresql:///chat");
  const ConfigFile config("storage = \"postgres://db.example/chat\"\nbackplane = \"nats://one.example:4222\"\n");
  CHECK(serve({"--config", config.path()}).storage == "postgres://db.example/chat");
  CHECK(serve({"--config", config.path()}).backplane == std::vector<std::string>{"nats://one.example:4222"});
}

TEST_CASE("several NATS servers are one backplane, which needs a database that nodes share") {
  const ServeOptions options =
      serve({"--storage", "postgres:///chat", "--backplane", "nats://one.example:4222,nats://ada:pw@two.example"});
  CHECK(options.backplane == std::vector<std::string>{"nats://one.example:4222", "nats://ada:pw@two.example"});
  CHECK(serve({"--storage", "postgres:///chat"}).backplane.empty());
  CHECK(refusal({"--backplane", "nats://one.example"}).find("--storage") != std::string::npos);
  CHECK(serve({"--storage", "postgres:///chat", "--backplane", "nats://one.example", "--backplane-key-file", "key"})
            .backplane_key_file == std::filesystem::path("key"));
  CHECK(refusal({"--backplane-key-file", "key"}).find("--backplane") != std::string::npos);
}

TEST_CASE("a wrong URL is refused without repeating it, for it may hold a password") {
  for (const char* url : {"", "mysql://ada:secret@db.example/chat", "travelchat.db", "postgres://ada:secret@[::1/x",
                          "postgres://ada:secret@db.example/chat?nonsense=1", "host=db.example password=secret"}) {
    CAPTURE(url);
    const std::string text = refusal({"--storage", url});
    CHECK(text.find("--storage") != std::string::npos);
    CHECK(text.find("postgres://user@host") != std::string::npos);
    CHECK(text.find("secret") == std::string::npos);
  }
  for (const char* urls : {"", "redis://secret@one.example", "nats://", "nats://one.example,", "one.example:4222",
                           "tls://ada:secret@one.example"}) {
    CAPTURE(urls);
    const std::string text = refusal({"--storage", "postgres:///chat", "--backplane", urls});
    CHECK(text.find("--backplane") != std::string::npos);
    CHECK(text.find("secret") == std::string::npos);
  }
  const ConfigFile config("storage = \"mysql://ada:secret@db.example/chat\"\n");
  CHECK(refusal({"--config", config.path()}).find("secret") == std::string::npos);
}

TEST_CASE("the options --help and --version end with status 0") {
  for (const char* option : {"--help", "--version"}) {
    const auto parsed = parse_options({option});
    REQUIRE(std::holds_alternative<Exit>(parsed));
    CHECK(std::get<Exit>(parsed).status == 0);
    CHECK(std::get<Exit>(parsed).text.find("travelchat") != std::string::npos);
  }
}

TEST_CASE("each limit is an option, and zero is none") {
  const ServeOptions defaults = serve({});
  CHECK(defaults.limits.reactions.count == 30);
  CHECK(defaults.limits.reactions.window == 10s);
  const ConfigFile config("limit-pages = \"7/0.5\"\nlimit-marks = 0\nsockets-per-participant = 9\n");
  const ServeOptions options = serve({"--config", config.path(), "--limit-messages", "3/60", "--limit-reactions", "0",
                                      "--max-kept-changes", "50", "--max-change-age", "7200"});
  CHECK(options.limits.messages.count == 3);
  CHECK(options.limits.messages.window == 60s);
  CHECK(options.limits.reactions.count == 0);
  CHECK(options.limits.pages.count == 7);
  CHECK(options.limits.pages.window == 500ms);
  CHECK(options.limits.marks.count == 0);
  CHECK(options.limits.sockets_per_participant == 9);
  CHECK(options.limits.openings.count == defaults.limits.openings.count);
  CHECK(options.max_kept_changes == 50);
  CHECK(options.max_change_age == 2h);
  for (const char* wrong : {"3", "3/", "/3", "x/1", "1/x", "-1/1", "3/0", "1/1/1", "20000/1"}) {
    CHECK(refusal({"--limit-unknown-tokens", wrong}).find("--limit-unknown-tokens") != std::string::npos);
  }
}

TEST_CASE("the command new-epoch says which database it is about") {
  const auto parsed = parse_options({"new-epoch", "--data", "restored"});
  CHECK(std::get<NewEpochOptions>(parsed).data == "restored");
  CHECK(std::get<NewEpochOptions>(parsed).storage.empty());
}
