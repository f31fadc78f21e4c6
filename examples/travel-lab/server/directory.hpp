// The application's own data: organizations, advisors, clients, trips.
//
// Read from the host's tables in one snapshot and then constant: no route changes these rows, so every look-up is a
// hash look-up and no request waits for the database. Costs some hundred bytes a client. Any thread; what it returns
// lives as long as it does.
#pragma once

#include <travelchat/error.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace travel_lab {

class Connection;
class Database;

struct Organization {
  std::string id;
  std::string name;
};

// Whether an advisor may sign in, or be signed in.
enum class Access : std::uint8_t {
  granted,
  disabled,       // by the operator
  demonstration,  // an account of the demonstration, whose password is public, on a server that runs without --demo
};

struct Advisor {
  std::string id;
  std::string org_id;
  std::string email;
  std::string full_name;
  std::string password_hash;
  Access access = Access::disabled;
};

// What becomes of the accounts that --demo has made. Refused: they cannot sign in, and their share links are closed,
// because both are public.
enum class DemoAccounts : std::uint8_t { refused, admitted };

struct Client {
  std::string id;
  std::string org_id;
  std::string advisor_id;
  std::string full_name;
  std::optional<std::string> email;
  std::string folded_name;  // for searching and sorting, see `travelchat::fold_text`
};

struct Trip {
  std::string id;
  std::string org_id;
  std::string advisor_id;
  std::optional<std::string> client_id;
  std::string title;
  std::string destination;
  std::string starts_on;  // YYYY-MM-DD
  std::string ends_on;
  std::string summary;
  bool share_enabled = false;
  std::string share_token;
};

class Directory {
 public:
  static travelchat::result<Directory> load(Database& database, DemoAccounts demo_accounts);
  // A number that changes whenever a row of the directory has changed in a shared database.
  static std::int64_t read_version(Connection& connection);

  std::int64_t version() const noexcept { return version_; }

  // Each: nullptr when there is none.
  const Organization* find_organization(std::string_view id) const;
  const Advisor* find_advisor(std::string_view id) const;
  // `email` in any case.
  const Advisor* find_advisor_by_email(std::string_view email) const;
  const Client* find_client(std::string_view id) const;
  const Trip* find_trip(std::string_view id) const;

  // By name.
  std::span<const Client* const> clients_of(std::string_view org_id) const;
  // Newest first, each.
  std::span<const Trip* const> trips_of(std::string_view org_id) const;
  std::span<const Trip* const> trips_of_client(std::string_view client_id) const;
  // The client's newest trip; nullptr when there is none.
  const Trip* active_trip(std::string_view client_id) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  template <class T>
  using ById = std::unordered_map<std::string, T, Hash, std::equal_to<>>;

  std::int64_t version_ = 0;
  ById<Organization> organizations_;
  ById<Advisor> advisors_;
  ById<Client> clients_;
  ById<Trip> trips_;
  ById<const Advisor*> advisors_by_email_;
  ById<std::vector<const Client*>> clients_by_org_;
  ById<std::vector<const Trip*>> trips_by_org_;
  ById<std::vector<const Trip*>> trips_by_client_;
};

// How e-mail addresses stand in the database, and are compared: lower case for ASCII and for the letters of U+00C0 to
// U+017F (Latin-1 and Latin Extended-A); other text as it is.
std::string fold_case(std::string_view text);

// Where the generated portrait of an advisor or a client is served.
std::string avatar_path(std::string_view person_id);

}  // namespace travel_lab
