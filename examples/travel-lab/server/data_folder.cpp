#include "data_folder.hpp"

#include "database.hpp"

#include <stdexcept>
#include <string>
#include <utility>

namespace travel_lab {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& file, const travelchat::error_code& ec) {
  const travelchat::errc code = travelchat::describe(ec).code;
  std::string reason(travelchat::describe(ec).message);
  if (code == travelchat::errc::storage_locked) reason = "in use by another process; stop that one first";
  if (code == travelchat::errc::storage_full) reason = "the disk is full";
  if (code == travelchat::errc::storage_failed) reason = "cannot be opened or written";
  if (code == travelchat::errc::storage_incompatible) reason = "made by a newer version, or by another program";
  throw std::runtime_error("the database " + file.string() + ": " + reason);
}

}  // namespace

std::unique_ptr<travelchat::SqliteStorage> open_data(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  std::error_code made;
  if (fs::create_directories(folder, made)) fs::permissions(folder, fs::perms::owner_all, made);
  if (made) throw std::runtime_error("cannot make the data folder " + folder.string() + ": " + made.message());

  const fs::path file = folder / "travelchat.db";
  auto storage = travelchat::SqliteStorage::open({.path = file});
  if (!storage) refuse(file, storage.error());
  if (const auto ec = migrate(**storage)) refuse(file, ec);
  return *std::move(storage);
}

}  // namespace travel_lab
