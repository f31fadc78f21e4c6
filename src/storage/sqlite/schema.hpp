// The tables of the SQLite storage, and how a file gets them.
#pragma once

#include "storage/sqlite/statement.hpp"

namespace travelchat::sqlite {

// Whether the file can be used: `errc::storage_incompatible` when a newer version made it. Changes nothing.
error_code check_schema(Database& database);

// Brings the file to the newest version, in one transaction. Needs `check_schema` first.
void migrate(Database& database);

}  // namespace travelchat::sqlite
