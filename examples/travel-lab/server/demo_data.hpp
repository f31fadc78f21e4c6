// Demonstration data: two organizations, four advisors, clients with a shared trip each, and the conversations between
// them.
//
// What is written is the same for the same number of clients (a fixed seed); ids and share tokens are random, and times
// are relative to now.
#pragma once

#include "directory.hpp"

#include <travelchat/error.hpp>
#include <travelchat/types.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace travel_lab {

class Database;

// A login that anybody may know.
struct DemoLogin {
  std::string advisor_id;
  std::string password;
};

// Fills a database without organizations through the storage itself, before an engine owns it; another one stays as it
// is. Names and logins come last, in one transaction: a load that was interrupted leaves data to which nobody can sign
// in, and is done again. `now` ends the newest conversation. One process at a time, see `Database::exclusively`.
travelchat::error_code load_demo(Database& database, std::size_t clients, travelchat::TimePoint now);

// In the order in which they were made; empty when the database was not made by `load_demo`.
travelchat::result<std::vector<DemoLogin>> find_demo_logins(Database& database);

// The newest shared trip of every client of the demo's organizations, by organization in the order of the logins.
std::vector<const Trip*> shared_demo_trips(const Directory& directory, const std::vector<DemoLogin>& logins);

}  // namespace travel_lab
