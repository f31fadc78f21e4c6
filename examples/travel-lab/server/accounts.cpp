#include "accounts.hpp"

#include "clock.hpp"
#include "core/validate.hpp"
#include "database.hpp"
#include "directory.hpp"
#include "open_database.hpp"
#include "passwords.hpp"
#include "secrets.hpp"

#include <iostream>
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
  std::string password;
  std::getline(std::cin, password);
  if (password.size() < 8 || password.size() > max_password_bytes) {
    return refuse("standard input must hold a password of 8 to " + std::to_string(max_password_bytes) + " bytes");
  }

  const auto database = open_database(options.data, options.storage);
  const std::string password_hash = hash_password(password);
  bool is_taken = false;
  const auto ec = database->write([&](Connection& connection) {
    // Somebody else may add the same at the same time.
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

}  // namespace travel_lab
