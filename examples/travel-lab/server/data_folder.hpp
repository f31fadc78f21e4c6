// The folder that holds the database.
#pragma once

#include <travelchat/sqlite_storage.hpp>

#include <filesystem>
#include <memory>

namespace travel_lab {

// Makes the folder when it is absent (for its owner only), opens the database in it and brings the host's tables up to
// date. Throws std::runtime_error with a sentence for the operator.
std::unique_ptr<travelchat::SqliteStorage> open_data(const std::filesystem::path& folder);

}  // namespace travel_lab
