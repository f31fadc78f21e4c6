// Where the rows are: in a PostgreSQL database that nodes share, or in a SQLite file of this process alone.
#pragma once

#include "postgres_database.hpp"
#include "sqlite_database.hpp"

namespace travel_lab {

// Throws std::exception with a sentence for the operator.
inline std::unique_ptr<Database> open_database(const std::filesystem::path& data, const std::string& storage,
                                               DatabaseLog log = {}) {
  return storage.empty() ? open_sqlite(data, std::move(log)) : open_postgres(storage, std::move(log));
}

}  // namespace travel_lab
