// travelchat-server: the chat library with Travel Lab's organizations, advisors, clients and trips around it.
#include "accounts.hpp"
#include "clock.hpp"
#include "database.hpp"
#include "demo_data.hpp"
#include "directory.hpp"
#include "fair_pool.hpp"
#include "log.hpp"
#include "login_throttle.hpp"
#include "open_database.hpp"
#include "options.hpp"
#include "push_subscriptions.hpp"
#include "routes.hpp"
#include "secrets.hpp"
#include "sessions.hpp"
#include "static_files.hpp"
#include "travel_lab_host.hpp"
#include "vapid.hpp"
#include "web_push_sender.hpp"
#include "worker_pool.hpp"

#include <travelchat/beast_server.hpp>
#include <travelchat/engine.hpp>
#include <travelchat/nats_backplane.hpp>

#include <sodium.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace travel_lab {
namespace {

// Each verification holds 64 MiB while it runs; one that waits behind 64 others would wait for seconds.
constexpr std::size_t password_threads = 2;
constexpr std::size_t max_queued_passwords = 64;
constexpr std::size_t row_read_threads = 2;
constexpr std::size_t max_queued_rows = 1'024;

// Every socket is a file.
void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// Returns the signal. From then on a second one ends the process at once, by the signal's default action.
int wait_for_stop() {
  const sigset_t signals = stop_signals();
  int received = 0;
  sigwait(&signals, &received);
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  return received;
}

// For --demo: loads the demonstration into an empty database, and refuses one that holds real data.
std::vector<DemoLogin> prepare_demo(Database& database, std::size_t clients) {
  travelchat::error_code ec;
  database.exclusively([&] { ec = load_demo(database, clients, current_time()); });
  if (ec) throw std::runtime_error("cannot load the demonstration: " + std::string(travelchat::describe(ec).message));
  auto logins = find_demo_logins(database);
  if (!logins) throw std::runtime_error("cannot read the demonstration's logins");
  if (logins->empty()) throw std::runtime_error("--demo needs a data folder of its own: this one holds other data");
  return *std::move(logins);
}

void tell_of_demo_accounts(Database& database, Log& log) {
  const auto logins = find_demo_logins(database);
  if (!logins) throw std::runtime_error("cannot read the demonstration's logins");
  if (logins->empty()) return;
  log.write(LogLevel::warn, "demo_accounts_refused",
            {{"accounts", logins->size()},
             {"message",
              "this database holds accounts of --demo, whose passwords and share links everybody knows: without --demo "
              "they cannot sign in and their links are closed; set-password makes one an account like any other"}});
}

LogLevel to_level(travelchat::LogLevel level) noexcept {
  switch (level) {
    case travelchat::LogLevel::debug:
      return LogLevel::debug;
    case travelchat::LogLevel::info:
      return LogLevel::info;
    case travelchat::LogLevel::warning:
      return LogLevel::warn;
    case travelchat::LogLevel::error:
      break;
  }
  return LogLevel::error;
}

// The server on the engine uses the same log.
travelchat::EngineOptions engine_options(const ServeOptions& options, Log& log) {
  travelchat::EngineOptions engine;
  engine.log = [&log](const travelchat::LogRecord& record) {
    log.write(to_level(record.level), record.event, {{"subject", record.subject}, {"detail", record.detail}});
  };
  engine.shards = options.io_threads;
  engine.typing_timeout = options.typing_timeout;
  engine.token_lifetime = options.token_lifetime;
  engine.max_kept_changes = options.max_kept_changes;
  engine.max_change_age = std::chrono::ceil<std::chrono::hours>(options.max_change_age);
  return engine;
}

// Null: this node is alone.
std::unique_ptr<travelchat::Backplane> make_backplane(const ServeOptions& options, Log& log) {
  if (options.backplane.empty()) return nullptr;
  travelchat::NatsBackplaneOptions nats;
  nats.servers = options.backplane;
  if (options.backplane_key_file) nats.key = read_secret_file(*options.backplane_key_file, "backplane key");
  nats.log = [&log](std::string_view line) { log.write(LogLevel::warn, "backplane", {{"message", line}}); };
  return travelchat::make_nats_backplane(std::move(nats));
}

// The first line.
std::string read_token(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string token;
  std::getline(in, token);
  if (token.ends_with('\r')) token.pop_back();
  return token;
}

travelchat::BeastServerOptions server_options(const ServeOptions& options) {
  travelchat::BeastServerOptions server;
  server.address = options.address;
  server.port = options.port;
  if (options.tls_certificate) {
    server.tls = {*options.tls_certificate, *options.tls_key,
                  std::chrono::duration_cast<std::chrono::seconds>(options.hsts_max_age)};
  }
  server.allowed_origins = options.allowed_origins;
  server.trusted_proxies = options.trusted_proxies;
  server.max_outbox_bytes = options.max_outbox_bytes;
  server.max_connections = options.max_connections;
  server.handshake_timeout = options.handshake_timeout;
  server.header_timeout = options.header_timeout;
  server.body_timeout = options.body_timeout;
  server.idle_timeout = options.idle_timeout;
  server.host_timeout = options.host_timeout;
  server.ping_interval = options.ping_interval;
  server.silence_timeout = options.silence_timeout;
  server.rate_limits = options.rate_limits ? options.limits : travelchat::RateLimits::off();
  server.metrics = options.metrics;
  if (options.metrics_token_file) server.metrics_token = read_token(*options.metrics_token_file);
  return server;
}

void log_requests(travelchat::BeastServer& server, Log& log) {
  server.access_log([&log](const travelchat::AccessRecord& record) {
    log.write(LogLevel::debug, "request",
              {{"method", record.method},
               {"path", record.path},
               {"status", record.status},
               {"bytes", record.bytes},
               {"microseconds", record.duration.count()},
               {"remote", record.remote_address},
               {"closeCode", record.close_code}});
  });
}

// Prints the URLs of the pages, or of the routes where no pages are served.
void print_demo(const std::string& url, bool has_pages, const Directory& directory,
                const std::vector<DemoLogin>& logins) {
  std::cout << "\nDemonstration. Sign in "
            << (has_pages ? "at " + url + "/login" : "with POST " + url + R"(/api/login {"email","password"})")
            << " as one of\n";
  for (const DemoLogin& login : logins) {
    const Advisor* advisor = directory.find_advisor(login.advisor_id);
    if (advisor == nullptr) continue;
    const Organization* organization = directory.find_organization(advisor->org_id);
    std::cout << "  " << advisor->email << "  " << login.password << "  (" << advisor->full_name << ", "
              << (organization == nullptr ? std::string() : organization->name) << ")\n";
  }
  const auto trips = shared_demo_trips(directory, logins);
  if (!trips.empty()) {
    std::cout << "or open a client's trip:\n  " << url << (has_pages ? "/trip/" : "/api/trip-view/")
              << trips.front()->id << "?token=" << trips.front()->share_token << '\n';
  }
  std::cout << "All logins and trips: " << url << "/api/demo\n" << std::flush;
}

// Checked here, because OpenSSL's message for a missing file does not help.
void require_readable(const std::filesystem::path& file) {
  if (access(file.c_str(), R_OK) != 0) {
    throw std::runtime_error("cannot read " + file.string() + ": " + std::generic_category().message(errno));
  }
}

int serve(const ServeOptions& options) {
  for (const auto& file :
       {options.tls_certificate, options.tls_key, options.push_ca_file, options.metrics_token_file}) {
    if (file) require_readable(*file);
  }
  Log log(options.log_level);
  const std::optional<StaticFiles> web = options.web ? std::optional(StaticFiles::load(*options.web)) : std::nullopt;
  std::optional<JwtVerifier> jwt;
  if (options.jwt_secret_file)
    jwt = JwtVerifier::from_file(*options.jwt_secret_file, options.jwt_audience, options.jwt_max_lifetime);

  const auto opened = open_database(options.data, options.storage, [&log](std::string_view line) {
    log.write(LogLevel::warn, "storage", {{"message", line}});
  });
  Database& database = *opened;
  std::vector<DemoLogin> demo_logins;
  if (options.demo_clients) {
    demo_logins = prepare_demo(database, *options.demo_clients);
  } else {
    tell_of_demo_accounts(database, log);
  }

  // The database uses the engine's storage, so everything that uses it is made after the engine and destroyed before
  // it.
  travelchat::ChatEngine engine(database.release_chat(), engine_options(options, log), make_backplane(options, log));
  LiveDirectory directory(database, options.demo_clients ? DemoAccounts::admitted : DemoAccounts::refused);
  Sessions sessions(database, options.session_lifetime, options.session_idle_timeout);
  sessions.when_ended([&engine](const std::string& id) { engine.end_session(id); });
  if (sessions.load(current_time())) throw std::runtime_error("cannot read the database");
  const bool has_tls = options.tls_certificate.has_value();
  TravelLabHost host(directory, sessions, std::move(jwt), has_tls || options.secure_cookies, log);
  LoginThrottle throttle(options.rate_limits ? LoginThrottle::Limits{} : LoginThrottle::Limits{.tries = 0});

  // In this order, so that the pools finish their jobs before the server is destroyed.
  PushSubscriptions push_subscriptions(database);
  std::optional<WebPushSender> push;
  if (options.push) {
    push.emplace(push_subscriptions,
                 database.is_shared() ? Vapid::load(database, options.push_contact)
                                      : Vapid::load(options.data / "push-key.pem", options.push_contact),
                 WebPushOptions{.ca_file = options.push_ca_file, .allow_private = options.push_allow_private}, log);
    host.notify_through(*push);
  }
  travelchat::BeastServer server(engine, host, server_options(options));
  FairPool passwords(password_threads, max_queued_passwords);
  WorkerPool row_writes(1, max_queued_rows);
  host.note_uses_on(row_writes);
  std::optional<WorkerPool> row_reads;
  if (database.is_shared()) host.reread_on(row_reads.emplace(row_read_threads, max_queued_rows));
  const Site site{directory,
                  sessions,
                  host,
                  throttle,
                  passwords,
                  row_writes,
                  push ? &push_subscriptions : nullptr,
                  push ? &*push : nullptr,
                  web ? &*web : nullptr,
                  options.demo_clients ? &demo_logins : nullptr,
                  log};
  add_routes(server, site);
  if (log.is_enabled(LogLevel::debug)) log_requests(server, log);

  const std::string host_text =
      options.address.find(':') == std::string::npos ? options.address : '[' + options.address + ']';
  if (const auto ec = server.start()) {
    throw std::runtime_error("cannot listen on " + host_text + ":" + std::to_string(options.port) + ": " +
                             ec.message());
  }
  const std::string url = (has_tls ? "https://" : "http://") + host_text + ':' + std::to_string(server.port());
  log.write(LogLevel::info, "started",
            {{"url", url},
             {"ioThreads", engine.shard_count()},
             {"data", options.storage.empty() ? options.data.string() : describe_postgres(options.storage)}});
  std::cout << "travelchat ready " << url << '\n' << std::flush;
  if (options.demo_clients) print_demo(url, options.web.has_value(), *directory.current(), demo_logins);

  const int signal = wait_for_stop();
  log.write(LogLevel::info, "stopping", {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"}});
  server.stop();
  if (push) push->stop();
  directory.stop();
  engine.close();
  log.write(LogLevel::info, "stopped");
  return 0;
}

int run(int argument_count, char** arguments) {
  // Before the first thread, so that every thread inherits it and `wait_for_stop` gets the signals.
  const sigset_t signals = stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  umask(077);
  raise_file_limit();
  if (sodium_init() < 0) throw std::runtime_error("libsodium does not work here");

  const auto command = parse_options({arguments + 1, arguments + argument_count});
  if (const auto* exit = std::get_if<Exit>(&command)) {
    (exit->status == 0 ? std::cout : std::cerr) << exit->text << '\n';
    return exit->status;
  }
  if (const auto* advisor = std::get_if<AddAdvisorOptions>(&command)) return add_advisor(*advisor);
  if (const auto* trip = std::get_if<AddTripOptions>(&command)) return add_trip(*trip);
  if (const auto* advisor = std::get_if<SetPasswordOptions>(&command)) return set_password(*advisor);
  if (const auto* advisor = std::get_if<AdvisorAccessOptions>(&command)) return set_access(*advisor);
  if (const auto* whose = std::get_if<EndSessionsOptions>(&command)) return end_sessions(*whose);
  if (const auto* epoch = std::get_if<NewEpochOptions>(&command)) return new_epoch(*epoch);
  return serve(std::get<ServeOptions>(command));
}

}  // namespace
}  // namespace travel_lab

int main(int argument_count, char** arguments) {
  try {
    return travel_lab::run(argument_count, arguments);
  } catch (const std::exception& error) {
    std::cerr << "travelchat-server: " << error.what() << '\n';
    return 1;
  }
}
