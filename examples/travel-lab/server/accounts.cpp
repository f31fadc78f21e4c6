#include "accounts.hpp"

#include "clock.hpp"
#include "database.hpp"
#include "directory.hpp"
#include "open_database.hpp"
#include "passwords.hpp"
#include "secrets.hpp"
#include "sqlite_database.hpp"

#include <travelchat/validate.hpp>

#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <iostream>
#include <optional>
#include <string>

namespace travel_lab {
namespace {

int refuse(std::string_view reason) {
  std::cerr << "travelchat-server: " << reason << '\n';
  return 1;
}

bool is_email(std::string_view email) {
  const std::size_t at = email.find('@');
  return at != std::string_view::npos && at > 0 && at + 1 < email.size() && email.size() <= 254 &&
         email.find_first_of(" \t\r\n") == std::string_view::npos && travelchat::is_valid_utf8(email);
}

// The terminal's settings before echo was turned off; a signal handler restores them, too.
termios visible{};

// While it lives, the terminal does not show what is typed. One at a time.
class HiddenInput {
 public:
  HiddenInput() {
    tcgetattr(STDIN_FILENO, &visible);
    sigset_t ending;
    sigemptyset(&ending);
    for (const int number : {SIGINT, SIGTERM}) {
      std::signal(number, end_visibly);
      sigaddset(&ending, number);
    }
    // main.cpp has blocked these signals, because the server waits for them with sigwait.
    pthread_sigmask(SIG_UNBLOCK, &ending, nullptr);
    termios quiet = visible;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
  }
  HiddenInput(const HiddenInput&) = delete;
  HiddenInput& operator=(const HiddenInput&) = delete;
  ~HiddenInput() {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &visible);
    for (const int number : {SIGINT, SIGTERM}) std::signal(number, SIG_DFL);
  }

 private:
  static void end_visibly(int number) {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &visible);
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
};

std::string read_line(const char* prompt) {
  if (prompt != nullptr) std::cerr << prompt << std::flush;
  std::string line;
  std::getline(std::cin, line);
  if (prompt != nullptr) std::cerr << '\n';
  return line;
}

// nullopt: the password was refused, and the reason printed.
std::optional<std::string> read_password() {
  std::string password;
  if (isatty(STDIN_FILENO) != 0) {
    const HiddenInput hidden;
    password = read_line("Password: ");
    if (read_line("The same again: ") != password) {
      refuse("the two are not the same");
      return std::nullopt;
    }
  } else {
    password = read_line(nullptr);
  }
  if (password.size() < 8 || password.size() > max_password_bytes) {
    refuse("a password has 8 to " + std::to_string(max_password_bytes) + " bytes, on standard input or typed");
    return std::nullopt;
  }
  return password;
}

// The first cell of the first row; empty when there is none.
std::string look_up(Connection& connection, const char* sql, std::string_view key) {
  Statement rows(connection, sql);
  return rows.run(key).next() ? rows.text(0) : std::string();
}

}  // namespace

int add_advisor(const AddAdvisorOptions& options) {
  const std::string email = fold_case(options.email);
  const std::string name = travelchat::clean_name(options.full_name);
  const std::string organization = travelchat::clean_name(options.organization);
  if (!is_email(email)) return refuse("\"" + options.email + "\" is not an e-mail address");
  if (name.empty() || organization.empty()) return refuse("a name is empty");
  const auto password = read_password();
  if (!password) return 1;

  const auto database = open_database(options.data, options.storage);
  const std::string password_hash = hash_password(*password);
  bool is_taken = false;
  const auto ec = database->write([&](Connection& connection) {
    // Another process may add the same organization at the same time.
    Statement(connection, "INSERT INTO organizations (id, name) VALUES (?, ?) ON CONFLICT (name) DO NOTHING")
        .execute(random_id(), organization);
    const std::string org_id = look_up(connection, "SELECT id FROM organizations WHERE name = ?", organization);
    Statement insert(connection,
                     "INSERT INTO advisors (id, org_id, email, full_name, password_hash) VALUES (?, ?, ?, ?, ?) "
                     "ON CONFLICT (email) DO NOTHING RETURNING id");
    is_taken = !insert.run(random_id(), org_id, email, name, password_hash).next();
    if (is_taken) throw DatabaseError(travelchat::errc::forbidden);  // undoes the organization
  });
  if (is_taken) return refuse("there already is an advisor with the e-mail " + email);
  if (ec) return refuse(travelchat::describe(ec).message);
  std::cout << "Added " << name << " <" << email << "> of " << organization << '\n';
  return 0;
}

int add_trip(const AddTripOptions& options) {
  const std::string client_name = travelchat::clean_name(options.client_name);
  const std::string title = travelchat::clean_name(options.title);
  if (client_name.empty() || title.empty()) return refuse("a name is empty");

  const auto database = open_database(options.data, options.storage);
  const std::string trip_id = random_id();
  const std::string share_token = random_hex(16);
  bool is_known = false;
  const auto ec = database->write([&](Connection& connection) {
    Statement advisors(connection, "SELECT id, org_id FROM advisors WHERE email = ?");
    const std::string email = fold_case(options.advisor_email);
    is_known = advisors.run(email).next();
    if (!is_known) return;
    const std::string advisor_id = advisors.text(0);
    const std::string org_id = advisors.text(1);

    Statement clients(connection, "SELECT id FROM clients WHERE org_id = ? AND full_name = ?");
    std::string client_id = clients.run(org_id, client_name).next() ? clients.text(0) : std::string();
    if (client_id.empty()) {
      client_id = random_id();
      Statement(connection, "INSERT INTO clients (id, org_id, advisor_id, full_name) VALUES (?, ?, ?, ?)")
          .execute(client_id, org_id, advisor_id, client_name);
    }
    Statement(connection,
              "INSERT INTO trips (id, org_id, advisor_id, client_id, title, destination, starts_on, ends_on, summary, "
              "share_enabled, share_token, created_at) VALUES (?, ?, ?, ?, ?, '', '', '', '', 1, ?, ?)")
        .execute(trip_id, org_id, advisor_id, client_id, title, share_token,
                 std::int64_t{current_time().time_since_epoch().count()});
  });
  if (ec) return refuse(travelchat::describe(ec).message);
  if (!is_known) return refuse("there is no advisor with the e-mail " + options.advisor_email);
  std::cout << "/trip/" << trip_id << "?token=" << share_token << '\n';
  return 0;
}

namespace {

// Changes an advisor in one transaction, and says what was done.
int change_advisor(Database& database, const std::string& email,
                   const std::function<void(Connection&, const std::string& id)>& change, std::string_view done) {
  std::string id;
  const auto ec = database.write([&](Connection& connection) {
    id = look_up(connection, "SELECT id FROM advisors WHERE email = ?", fold_case(email));
    if (!id.empty()) change(connection, id);
  });
  if (ec) return refuse(travelchat::describe(ec).message);
  if (id.empty()) return refuse("there is no advisor with the e-mail " + email);
  std::cout << done << " <" << email << ">\n";
  return 0;
}

void end_sessions_of(Connection& connection, const std::string& advisor_id) {
  Statement(connection, "DELETE FROM sessions WHERE advisor_id = ?").execute(advisor_id);
}

}  // namespace

int set_password(const SetPasswordOptions& options) {
  const auto password = read_password();
  if (!password) return 1;
  const auto database = open_database(options.data, options.storage);
  const std::string password_hash = hash_password(*password);
  return change_advisor(
      *database, options.email,
      [&](Connection& connection, const std::string& id) {
        Statement(connection, "UPDATE advisors SET password_hash = ? WHERE id = ?").execute(password_hash, id);
        // The password is no longer the demonstration's, which is public.
        Statement(connection, "DELETE FROM demo_logins WHERE advisor_id = ?").execute(id);
        end_sessions_of(connection, id);
      },
      "Set another password, and ended the sessions, of");
}

int set_access(const AdvisorAccessOptions& options) {
  const auto database = open_database(options.data, options.storage);
  if (options.may_sign_in) {
    return change_advisor(
        *database, options.email,
        [](Connection& connection, const std::string& id) {
          Statement(connection, "UPDATE advisors SET disabled_at = NULL WHERE id = ?").execute(id);
        },
        "Enabled");
  }
  return change_advisor(
      *database, options.email,
      [](Connection& connection, const std::string& id) {
        Statement(connection, "UPDATE advisors SET disabled_at = ? WHERE id = ? AND disabled_at IS NULL")
            .execute(std::int64_t{current_time().time_since_epoch().count()}, id);
        end_sessions_of(connection, id);
        // Push subscriptions end with the access, because notifications contain what clients write.
        Statement(connection, "DELETE FROM push_subscriptions WHERE advisor_id = ?").execute(id);
      },
      "Disabled, and ended the sessions of,");
}

int end_sessions(const EndSessionsOptions& options) {
  const auto database = open_database(options.data, options.storage);
  if (options.email) return change_advisor(*database, *options.email, end_sessions_of, "Ended the sessions of");
  const auto ec =
      database->write([](Connection& connection) { Statement(connection, "DELETE FROM sessions").execute(); });
  if (ec) return refuse(travelchat::describe(ec).message);
  std::cout << "Ended everybody's sessions\n";
  return 0;
}

int new_epoch(const NewEpochOptions& options) {
  // Refused, because a backup may have been restored into another folder.
  if (options.storage.empty() && !std::filesystem::exists(sqlite_file(options.data))) {
    return refuse("there is no database " + sqlite_file(options.data).string());
  }
  const auto database = open_database(options.data, options.storage);
  auto* const upkeep = dynamic_cast<travelchat::StorageUpkeep*>(&database->chat());
  const travelchat::Uuid epoch = travelchat::make_uuid(current_time());
  if (upkeep == nullptr) return refuse("this database keeps no epoch");
  if (const auto ec = upkeep->begin_epoch(epoch)) return refuse(travelchat::describe(ec).message);
  std::cout << "The epoch is " << travelchat::to_string(epoch) << '\n';
  return 0;
}

}  // namespace travel_lab
