// The tables of the PostgreSQL storage, and how a database gets them or is adopted.
//
// The SQL is in src/storage/postgres/*.sql.
#pragma once

#include "storage/postgres/connection.hpp"

namespace travelchat::postgres {

// Finds the schema of the tables along the search_path and brings them to the newest version, one process at a time;
// then `target.schema` is set. Changes nothing when they are there already. Other programs may go on writing. Throws
// Failure; `refused` says that the database cannot be used and has not been changed.
void prepare_database(Target& target, Clock::time_point connect_by);

}  // namespace travelchat::postgres
