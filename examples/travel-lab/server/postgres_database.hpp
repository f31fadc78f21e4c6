// The host's tables in the chat's PostgreSQL database, which other nodes use too.
//
// What runs with the chat goes through PostgresStorage::write and ::read. What must be there before the chat's tables,
// or must happen on one node only, has a connection of its own.
#pragma once

#include "database.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace travel_lab {

// Brings the host's tables up to date and then opens the chat's, both while no other node does. Throws std::exception
// with a sentence for the operator, which has no password in it.
std::unique_ptr<Database> open_postgres(const std::string& url, DatabaseLog log);

// "host:port/database", for logs. Throws std::invalid_argument, without the URL, when it is none.
std::string describe_postgres(const std::string& url);

}  // namespace travel_lab
