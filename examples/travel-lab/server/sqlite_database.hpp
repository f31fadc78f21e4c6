// The host's tables in the chat's SQLite file.
//
// All of it goes through SqliteStorage::write and ::read, which keep the rule that one connection writes.
#pragma once

#include "database.hpp"

#include <filesystem>
#include <memory>

namespace travel_lab {

// Makes the folder when it is absent (for its owner only), opens the database in it and brings the host's tables up to
// date. Throws std::runtime_error with a sentence for the operator.
std::unique_ptr<Database> open_sqlite(const std::filesystem::path& folder, DatabaseLog log = {});
// Where it is in the folder.
inline std::filesystem::path sqlite_file(const std::filesystem::path& folder) {
  return folder / "travelchat.db";
}

}  // namespace travel_lab
