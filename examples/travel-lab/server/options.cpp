#include "options.hpp"

#include "postgres_database.hpp"

#include <travelchat/beast_server.hpp>
#include <travelchat/version.hpp>

#include <arpa/inet.h>
#include <toml++/toml.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>

namespace travel_lab {
namespace {

using std::chrono::milliseconds;

constexpr const char* version_text = "travelchat-server " TRAVELCHAT_VERSION_STRING;
constexpr std::size_t default_demo_clients = 20;
constexpr std::size_t max_demo_clients = 50'000;  // the number of names in the demonstration

// A mistake of the operator's; the text is one sentence.
class OptionError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool is_ip_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> ignored{};
  return inet_pton(AF_INET, text.c_str(), ignored.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), ignored.data()) == 1;
}

// HOST:PORT, where HOST is an IP address (IPv6 in brackets) or "localhost".
void set_listen(const std::string& text, ServeOptions& options) {
  const std::size_t colon = text.rfind(':');
  std::string host = text.substr(0, colon == std::string::npos ? text.size() : colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  const auto port =
      colon == std::string::npos ? std::nullopt : parse_number<std::uint16_t>(std::string_view(text).substr(colon + 1));
  if (!is_ip_address(host) || !port) {
    throw CLI::ValidationError("--listen", "\"" + text + "\" is not HOST:PORT, like 127.0.0.1:8080 or [::1]:0");
  }
  options.address = host;
  options.port = *port;
}

// No message repeats the URL: it may hold a password.
void set_storage(const std::string& url, ServeOptions& options) {
  constexpr const char* shape = "not a URL like postgres://user@host:5432/database";
  if (!url.starts_with("postgres://") && !url.starts_with("postgresql://")) {
    throw CLI::ValidationError("--storage", shape);
  }
  try {
    describe_postgres(url);
  } catch (const std::invalid_argument&) {
    throw CLI::ValidationError("--storage", shape);
  }
  options.storage = url;
}

void set_backplane(const std::string& urls, ServeOptions& options) {
  options.backplane.clear();
  for (std::size_t begin = 0; begin <= urls.size();) {
    const std::size_t end = std::min(urls.find(',', begin), urls.size());
    const std::string url = urls.substr(begin, end - begin);
    constexpr std::string_view scheme = "nats://";
    if (url.starts_with("tls://")) {
      throw CLI::ValidationError("--backplane", "no TLS to NATS; see docs/library.md for a leaf node that does it");
    }
    if (!url.starts_with(scheme) || url.size() == scheme.size()) {
      throw CLI::ValidationError("--backplane", "not URLs like nats://host:4222,nats://other:4222");
    }
    options.backplane.push_back(url);
    begin = end + 1;
  }
}

// The command line as CLI11 sees it. Bound to its members, so it does not move.
class CommandLine {
 public:
  CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  void parse(std::vector<std::string> arguments) {
    std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
    app_.parse(std::move(arguments));
    if (!config_.empty()) read_config();
    check();
  }
  std::string help() const { return app_.help(); }

  Command command() const;

  ServeOptions serve;
  AddAdvisorOptions advisor;
  AddTripOptions trip;

 private:
  CLI::Option* option(const std::string& name, CLI::callback_t callback, const std::string& type,
                      const std::string& description, const std::string& shown_default = {});
  void path(const std::string& name, std::optional<std::filesystem::path>& target, const std::string& description);
  void seconds(const std::string& name, milliseconds& target, double smallest, const std::string& description);
  void count(const std::string& name, std::size_t& target, std::size_t smallest, std::size_t largest,
             const std::string& description);
  void on_off(const std::string& name, bool& target, const std::string& description);
  void limit(const std::string& name, travelchat::RateLimit& target, const std::string& description);
  void list(const std::string& name, std::vector<std::string>& target, const std::string& type,
            const std::string& description);
  void read_config();
  void check() const;

  CLI::App app_{"The Travel Lab chat server: advisors and clients talk in real time."};
  std::string email_;  // of the subcommands that are about one advisor
  bool is_about_all_ = false;
  CLI::App* add_advisor_ = nullptr;
  CLI::App* add_trip_ = nullptr;
  CLI::App* set_password_ = nullptr;
  CLI::App* disable_advisor_ = nullptr;
  CLI::App* enable_advisor_ = nullptr;
  CLI::App* end_sessions_ = nullptr;
  CLI::App* new_epoch_ = nullptr;
  std::string config_;
  std::set<std::string> lists_;  // options that the file may give as an array
};

std::string environment_name(const std::string& option) {
  std::string name = "TRAVELCHAT_";
  for (const char c : option.substr(2)) name += c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return name;
}

CLI::Option* CommandLine::option(const std::string& name, CLI::callback_t callback, const std::string& type,
                                 const std::string& description, const std::string& shown_default) {
  CLI::Option* added = app_.add_option(name, std::move(callback), description)->envname(environment_name(name));
  added->type_name(type)->take_last();  // the last one counts, so that a script can be called with further options
  if (!shown_default.empty()) added->default_str(shown_default);
  return added;
}

void CommandLine::path(const std::string& name, std::optional<std::filesystem::path>& target,
                       const std::string& description) {
  option(
      name, [&target](const CLI::results_t& given) { return target = given.at(0), true; }, "PATH", description);
}

void CommandLine::seconds(const std::string& name, milliseconds& target, double smallest,
                          const std::string& description) {
  constexpr double largest = 366.0 * 24 * 3600;
  option(
      name,
      [&target, name, smallest](const CLI::results_t& given) {
        const auto number = parse_number<double>(given.at(0));
        if (!number || !(*number >= smallest && *number <= largest)) {
          throw CLI::ValidationError(name, "\"" + given.at(0) + "\" is not a number of seconds from " +
                                               CLI::detail::to_string(smallest) + " to a year");
        }
        target = milliseconds{std::llround(*number * 1000)};
        return true;
      },
      "SECONDS", description,
      target.count() % 1000 == 0 ? std::to_string(target.count() / 1000)
                                 : CLI::detail::to_string(std::chrono::duration<double>(target).count()));
}

void CommandLine::count(const std::string& name, std::size_t& target, std::size_t smallest, std::size_t largest,
                        const std::string& description) {
  option(
      name,
      [&target, name, smallest, largest](const CLI::results_t& given) {
        const auto number = parse_number<std::size_t>(given.at(0));
        if (!number || *number < smallest || *number > largest) {
          throw CLI::ValidationError(name, "\"" + given.at(0) + "\" is not a number from " + std::to_string(smallest) +
                                               " to " + std::to_string(largest));
        }
        target = *number;
        return true;
      },
      "N", description, std::to_string(target));
}

void CommandLine::on_off(const std::string& name, bool& target, const std::string& description) {
  option(
      name,
      [&target, name](const CLI::results_t& given) {
        if (given.at(0) != "on" && given.at(0) != "off") {
          throw CLI::ValidationError(name, "\"" + given.at(0) + "\" is neither on nor off");
        }
        target = given.at(0) == "on";
        return true;
      },
      "on|off", description, target ? "on" : "off");
}

std::string limit_text(const travelchat::RateLimit& limit) {
  return std::to_string(limit.count) + '/' +
         CLI::detail::to_string(std::chrono::duration<double>(limit.window).count());
}

void CommandLine::limit(const std::string& name, travelchat::RateLimit& target, const std::string& description) {
  option(
      name,
      [&target, name](const CLI::results_t& given) {
        const std::string& text = given.at(0);
        constexpr std::size_t most = 10'000;  // a time is stored for each of them
        const std::size_t slash = text.find('/');
        const auto times = parse_number<std::size_t>(std::string_view(text).substr(0, slash));
        const auto window =
            slash == text.npos ? std::nullopt : parse_number<double>(std::string_view(text).substr(slash + 1));
        if (text == "0") {
          target.count = 0;
          return true;
        }
        if (!times || *times > most || !window || !(*window >= 0.01 && *window <= 24 * 3600)) {
          throw CLI::ValidationError(name, "\"" + text + "\" is not TIMES/SECONDS, like 20/10, or 0 for no limit");
        }
        target = {*times, milliseconds{std::llround(*window * 1000)}};
        return true;
      },
      "TIMES/SECONDS", description, limit_text(target));
}

void CommandLine::list(const std::string& name, std::vector<std::string>& target, const std::string& type,
                       const std::string& description) {
  option(
      name, [&target](const CLI::results_t& given) { return target = given, true; }, type, description)
      ->delimiter(',')
      ->take_all()
      ->expected(1, -1)
      ->allow_extra_args(false);
  lists_.insert(name);
}

Command CommandLine::command() const {
  const auto about = [this](auto options) {
    options.data = serve.data;
    options.storage = serve.storage;
    return options;
  };
  if (add_advisor_->parsed()) return about(advisor);
  if (add_trip_->parsed()) return about(trip);
  if (set_password_->parsed()) return about(SetPasswordOptions{{}, {}, email_});
  if (disable_advisor_->parsed()) return about(AdvisorAccessOptions{{}, {}, email_, false});
  if (enable_advisor_->parsed()) return about(AdvisorAccessOptions{{}, {}, email_, true});
  if (end_sessions_->parsed()) {
    return about(EndSessionsOptions{{}, {}, is_about_all_ ? std::nullopt : std::optional(email_)});
  }
  if (new_epoch_->parsed()) return about(NewEpochOptions{});
  return serve;
}

CommandLine::CommandLine() {
  app_.name("travelchat-server");
  app_.set_version_flag("--version", version_text);
  app_.footer(
      "Every option can also be given in the environment (TRAVELCHAT_ and its name in capitals, _ for -) and in the\n"
      "TOML file of --config (its name without the dashes in front): the command line wins over the environment, and\n"
      "the environment over the file. Times are in seconds and may have a fraction.\n"
      "Everybody on a machine can read a command line: give a URL with a password in TRAVELCHAT_STORAGE and\n"
      "TRAVELCHAT_BACKPLANE or in a file that only this server's user can read. What --storage leaves out, libpq "
      "takes\n"
      "from where it always does (PGPASSWORD, ~/.pgpass, PGSSLMODE ...).\n"
      "Passwords of advisors are read from the terminal, twice and unseen, or as one line of standard input.\n"
      "Exit status: 0 stopped by SIGTERM or SIGINT, 1 cannot run, 2 wrong options.");

  option(
      "--listen", [this](const CLI::results_t& given) { return set_listen(given.at(0), serve), true; }, "HOST:PORT",
      "Address to listen on; port 0 takes a free one", "127.0.0.1:8080");
  option(
      "--data", [this](const CLI::results_t& given) { return serve.data = given.at(0), true; }, "DIR",
      "Folder of the SQLite database and the push key; made when absent", serve.data.string());
  option(
      "--storage", [this](const CLI::results_t& given) { return set_storage(given.at(0), serve), true; }, "URL",
      "PostgreSQL database (postgres://user@host/database) in place of that folder; see below for passwords");
  option(
      "--backplane", [this](const CLI::results_t& given) { return set_backplane(given.at(0), serve), true; },
      "URL[,URL]", "NATS servers (nats://host:4222) by which several nodes on one --storage wake each other");
  path("--backplane-key-file", serve.backplane_key_file,
       "File with a secret (32 bytes or more), the same at every node, by which nodes know each other's messages");
  option(
      "--demo",
      [this](const CLI::results_t& given) {
        const bool is_bare = given.empty() || given.at(0).empty();
        const auto clients = is_bare ? default_demo_clients : parse_number<std::size_t>(given.at(0));
        if (!clients || *clients < 1 || *clients > max_demo_clients) {
          throw CLI::ValidationError("--demo", "\"" + given.at(0) + "\" is not a number of clients from 1 to " +
                                                   std::to_string(max_demo_clients));
        }
        serve.demo_clients = *clients;
        return true;
      },
      "[=CLIENTS]", "Fill an empty database with a demonstration (20 clients), and print its logins")
      ->expected(0, 1);
  path("--web", serve.web, "Folder of web pages to serve; none without it");
  count("--io-threads", serve.io_threads, 0, 256, "I/O threads; 0 is one for each processor");
  option(
      "--log-level",
      [this](const CLI::results_t& given) {
        static const std::map<std::string, LogLevel> levels = {{"debug", LogLevel::debug},
                                                               {"info", LogLevel::info},
                                                               {"warn", LogLevel::warn},
                                                               {"error", LogLevel::error},
                                                               {"off", LogLevel::off}};
        const auto found = levels.find(given.at(0));
        if (found == levels.end()) {
          throw CLI::ValidationError("--log-level", "\"" + given.at(0) + "\" is none of debug, info, warn, error, off");
        }
        serve.log_level = found->second;
        return true;
      },
      "LEVEL", "debug (each request), info, warn, error or off; JSON lines on standard error", "info");

  option(
      "--metrics",
      [this](const CLI::results_t& given) {
        using Access = travelchat::MetricsAccess;
        static const std::map<std::string, Access> known = {{"everyone", Access::everyone},
                                                            {"loopback", Access::loopback},
                                                            {"token", Access::token},
                                                            {"nobody", Access::nobody}};
        const auto found = known.find(given.at(0));
        if (found == known.end()) {
          throw CLI::ValidationError("--metrics",
                                     "\"" + given.at(0) + "\" is none of everyone, loopback, token, nobody");
        }
        serve.metrics = found->second;
        return true;
      },
      "WHO",
      "Who is answered by GET /metrics: everyone, loopback (this machine itself, through no proxy), token (see the "
      "next) or "
      "nobody",
      "everyone");
  path("--metrics-token-file", serve.metrics_token_file,
       "File with the Bearer token (16 characters or more) that --metrics token asks for");

  path("--tls-cert", serve.tls_certificate, "TLS certificate chain (PEM); serves https and wss");
  path("--tls-key", serve.tls_key, "Its private key (PEM)");
  seconds("--hsts-max-age", serve.hsts_max_age, 0,
          "With --tls-cert, how long browsers shall come over https only; 0 does not tell them");
  on_off("--secure-cookies", serve.secure_cookies, "Session cookies for https only; always on with --tls-cert");
  list("--allowed-origin", serve.allowed_origins, "ORIGIN",
       "Further origin (https://host[:port]) that may open sockets and write; repeatable");
  list("--trusted-proxy", serve.trusted_proxies, "ADDRESS[/BITS]",
       "Proxy or network of proxies in front, whose X-Forwarded-For and -Proto say who asks, and how; repeatable");
  path("--jwt-secret-file", serve.jwt_secret_file,
       "File with the HS256 secret (32 bytes or more) of Bearer tokens; none are taken without it");
  option(
      "--jwt-audience", [this](const CLI::results_t& given) { return serve.jwt_audience = given.at(0), true; }, "TEXT",
      "The \"aud\" that a Bearer token must have", serve.jwt_audience);
  seconds("--jwt-max-lifetime", serve.jwt_max_lifetime, 1,
          "A Bearer token that is good for longer than this is refused");
  option(
      "--session-hours",
      [this](const CLI::results_t& given) {
        const auto hours = parse_number<double>(given.at(0));
        if (!hours || !(*hours > 0 && *hours <= 366 * 24)) {
          throw CLI::ValidationError("--session-hours",
                                     "\"" + given.at(0) + "\" is not a number of hours up to a year");
        }
        serve.session_lifetime = milliseconds{std::llround(*hours * 3'600'000)};
        return true;
      },
      "HOURS", "How long an advisor stays signed in", "168");
  option(
      "--session-idle-hours",
      [this](const CLI::results_t& given) {
        const auto hours = parse_number<double>(given.at(0));
        if (!hours || !(*hours > 0 && *hours <= 366 * 24)) {
          throw CLI::ValidationError("--session-idle-hours",
                                     "\"" + given.at(0) + "\" is not a number of hours up to a year");
        }
        serve.session_idle_timeout = milliseconds{std::llround(*hours * 3'600'000)};
        return true;
      },
      "HOURS", "An advisor who has asked for nothing for this long is signed out", "24");
  seconds("--token-lifetime", serve.token_lifetime, 1, "How long a client's chat token lives");

  on_off("--push", serve.push, "Notifications on advisors' browsers (Web Push); connects to their push services");
  option(
      "--push-contact", [this](const CLI::results_t& given) { return serve.push_contact = given.at(0), true; }, "URI",
      "Whom push services can write to, mailto:… or https://…; Apple's delivers nothing without it");
  path("--push-ca-file", serve.push_ca_file, "Certificate authorities (PEM) trusted for push besides the system's");
  on_off("--push-allow-private", serve.push_allow_private,
         "For tests only: also push to private addresses, so that whoever signs in can reach this server's network");

  on_off("--rate-limits", serve.rate_limits, "All limits below, and those on typing, connections and logins");
  limit("--limit-messages", serve.limits.messages, "Messages of a participant; 0 here and below: no limit");
  limit("--limit-reactions", serve.limits.reactions, "Reactions that a participant sets or removes");
  limit("--limit-marks", serve.limits.marks, "\"Read\" and \"seen\" of a participant");
  limit("--limit-pages", serve.limits.pages, "Pages of messages, lists and counts that a participant asks for");
  limit("--limit-openings", serve.limits.openings, "Conversations and sockets that a participant opens");
  limit("--limit-chat-tokens", serve.limits.chat_tokens, "Chat tokens that an address asks for");
  limit("--limit-unknown-tokens", serve.limits.unknown_tokens, "Wrong chat tokens that an address comes with");
  count("--sockets-per-participant", serve.limits.sockets_per_participant, 0, 10'000,
        "Sockets of a participant in a conversation; 0: no limit");
  count("--max-kept-changes", serve.max_kept_changes, 0, 1'000'000'000,
        "Reactions and marks of a conversation's newest revisions that are kept for resuming clients; 0: all");
  seconds("--max-change-age", serve.max_change_age, 0, "How long they are kept at the most; 0: for ever");
  count("--max-connections", serve.max_connections, 1, 10'000'000, "Connections at once; further ones wait");
  count("--max-connections-per-address", serve.limits.connections_per_address, 0, 10'000'000,
        "Of one remote address that is no trusted proxy's; further ones are closed; 0 is no limit");
  count("--max-outbox-bytes", serve.max_outbox_bytes, 4'096, std::size_t{1} << 30,
        "Bytes that may wait for a slow socket before it is closed");
  seconds("--handshake-timeout", serve.handshake_timeout, 0.01, "For a TLS handshake");
  seconds("--header-timeout", serve.header_timeout, 0.01, "For the headers of a request");
  seconds("--body-timeout", serve.body_timeout, 0.01, "For its body");
  seconds("--idle-timeout", serve.idle_timeout, 0.01, "Between two requests of a connection");
  seconds("--host-timeout", serve.host_timeout, 0, "For accounts and trips to be found, then 503; 0 is for ever");
  seconds("--ping-interval", serve.ping_interval, 0.01, "Between the pings of a socket");
  seconds("--silence-timeout", serve.silence_timeout, 0.01, "A socket that is silent for this long is dropped");
  seconds("--typing-timeout", serve.typing_timeout, 0.01, "Typing that is not repeated ends after this");

  app_.add_option("--config", config_, "TOML file with any of these options")
      ->envname(environment_name("--config"))
      ->type_name("FILE");

  add_advisor_ = app_.add_subcommand(
      "add-advisor", "Make an advisor (and the organization, if new) and exit; reads the password, see below");
  add_advisor_->fallthrough();
  add_advisor_->add_option("--org", advisor.organization, "Name of the organization")->required()->type_name("NAME");
  add_advisor_->add_option("--email", advisor.email, "E-mail to sign in with")->required()->type_name("EMAIL");
  add_advisor_->add_option("--name", advisor.full_name, "Full name")->required()->type_name("NAME");

  add_trip_ =
      app_.add_subcommand("add-trip", "Make a shared trip (and the client, if new), print its link's path, and exit");
  add_trip_->fallthrough();
  add_trip_->add_option("--advisor", trip.advisor_email, "E-mail of the advisor")->required()->type_name("EMAIL");
  add_trip_->add_option("--client", trip.client_name, "Full name of the client")->required()->type_name("NAME");
  add_trip_->add_option("--title", trip.title, "Title of the trip")->required()->type_name("TEXT");

  set_password_ = app_.add_subcommand(
      "set-password", "Give an advisor another password, end their sessions, and exit; reads it, see below");
  disable_advisor_ =
      app_.add_subcommand("disable-advisor", "Let an advisor sign in no more, end their sessions, and exit");
  enable_advisor_ = app_.add_subcommand("enable-advisor", "Let a disabled advisor sign in again, and exit");
  for (CLI::App* about_one : {set_password_, disable_advisor_, enable_advisor_}) {
    about_one->fallthrough();
    about_one->add_option("--email", email_, "E-mail of the advisor")->required()->type_name("EMAIL");
  }
  end_sessions_ = app_.add_subcommand("end-sessions", "Sign an advisor out everywhere, or everybody, and exit");
  end_sessions_->fallthrough();
  CLI::Option_group* whose = end_sessions_->add_option_group("whose");
  whose->add_option("--email", email_, "E-mail of the advisor")->type_name("EMAIL");
  whose->add_flag("--all", is_about_all_, "Everybody's sessions");
  whose->require_option(1);
  new_epoch_ = app_.add_subcommand(
      "new-epoch", "Say that the database was restored from a backup, so that clients load it anew, and exit");
  new_epoch_->fallthrough();
  app_.require_subcommand(0, 1);
}

std::string to_text(const toml::node& node, const std::string& key) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return CLI::detail::to_string(number->get());
  throw OptionError("\"" + key + "\" is neither text nor a number");
}

// Fills in what neither the command line nor the environment has given, through the same checks.
void CommandLine::read_config() {
  try {
    const toml::table table = toml::parse_file(config_);
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      CLI::Option* target = name == "config" ? nullptr : app_.get_option_no_throw("--" + name);
      if (target == nullptr || name == "help" || name == "version") throw OptionError("unknown key \"" + name + "\"");
      if (target->count() > 0) continue;
      if (const auto* list = node.as_array(); list != nullptr && lists_.contains("--" + name)) {
        for (const auto& element : *list) target->add_result(to_text(element, name));
      } else if (const auto* flag = node.as_boolean(); flag != nullptr && name == "demo") {
        if (!flag->get()) continue;
        target->add_result(std::to_string(default_demo_clients));
      } else {
        target->add_result(to_text(node, name));
      }
      if (target->count() > 0) target->run_callback();
    }
  } catch (const toml::parse_error& error) {
    throw OptionError(
        config_ + ": " + std::string(error.description()) +
        (error.source().begin.line > 0 ? " (line " + std::to_string(error.source().begin.line) + ")" : ""));
  } catch (const OptionError& error) {
    throw OptionError(config_ + ": " + error.what());
  } catch (const CLI::Error& error) {
    throw OptionError(config_ + ": " + error.what());
  }
}

void CommandLine::check() const {
  if (serve.tls_certificate.has_value() != serve.tls_key.has_value()) {
    throw OptionError("--tls-cert and --tls-key need each other");
  }
  if ((serve.metrics == travelchat::MetricsAccess::token) != serve.metrics_token_file.has_value()) {
    throw OptionError("--metrics token and --metrics-token-file need each other");
  }
  if (serve.silence_timeout <= serve.ping_interval) {
    throw OptionError("--silence-timeout must be longer than --ping-interval");
  }
  for (const std::string& origin : serve.allowed_origins) {
    const bool has_scheme = origin.starts_with("http://") || origin.starts_with("https://");
    if (!has_scheme || origin.find('/', origin.find("//") + 2) != std::string::npos) {
      throw OptionError("--allowed-origin: \"" + origin + "\" is not like https://host or https://host:port");
    }
  }
  for (const std::string& proxy : serve.trusted_proxies) {
    if (find_problem(travelchat::BeastServerOptions{.trusted_proxies = {proxy}})) {
      throw OptionError("--trusted-proxy: \"" + proxy + "\" is not like 192.0.2.1 or 10.0.0.0/8");
    }
  }
  const auto names_somebody = [this](std::string_view scheme) {
    return serve.push_contact.starts_with(scheme) && serve.push_contact.size() > scheme.size();
  };
  if (!serve.push_contact.empty() && !names_somebody("mailto:") && !names_somebody("https://")) {
    throw OptionError("--push-contact: \"" + serve.push_contact + "\" is neither mailto:ADDRESS nor https://PAGE");
  }
  if (!serve.backplane.empty() && serve.storage.empty()) {
    throw OptionError(
        "--backplane needs --storage: nodes that do not share a database have nothing to tell each other");
  }
  if (serve.backplane_key_file && serve.backplane.empty()) {
    throw OptionError("--backplane-key-file needs --backplane");
  }
  if (serve.jwt_audience.empty()) throw OptionError("--jwt-audience is empty");
}

}  // namespace

Command parse_options(std::vector<std::string> arguments) {
  CommandLine line;
  try {
    line.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    std::string text = line.help();
    text.erase(text.find_last_not_of('\n') + 1);
    return Exit{0, std::move(text)};
  } catch (const CLI::CallForVersion&) {
    return Exit{0, version_text};
  } catch (const CLI::Error& error) {
    return Exit{2, std::string("travelchat-server: ") + error.what() + " (see --help)"};
  } catch (const OptionError& error) {
    return Exit{2, std::string("travelchat-server: ") + error.what() + " (see --help)"};
  }
  return line.command();
}

}  // namespace travel_lab
