// A storage in one SQLite file (WAL, synchronous=FULL).
//
// One process owns a file at a time: a second one gets `errc::storage_locked`. Inside the process one connection writes
// and checkpoints; the readers never do (SQLite before 3.51.3 can corrupt a WAL when two connections checkpoint or
// write at once, so this is a rule and not a tuning).
#pragma once

#include <travelchat/storage.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>

struct sqlite3;

namespace travelchat {

struct SqliteStorageOptions {
  // The database file; created with its schema when absent. Its folder must exist.
  std::filesystem::path path;
  // Reading connections, opened when first needed. 0 is taken as 1.
  std::size_t max_readers = 4;
  // A checkpoint is tried outside the commit path when the WAL has grown past this many bytes.
  std::size_t checkpoint_bytes = std::size_t{64} << 20;
};

class SqliteStorage : public Storage {
 public:
  // Opens, migrates and takes ownership of the file. Errors: `errc::storage_locked` (another process, or another
  // SqliteStorage of this one, has it), `errc::storage_incompatible` (made by a newer version, or not such a database),
  // `errc::storage_full`, `errc::storage_failed`.
  static result<std::unique_ptr<SqliteStorage>> open(SqliteStorageOptions options);

  // For a host that keeps its own tables in the same file. `work` runs on the writing connection, inside one
  // transaction that commits when it returns true and rolls back when it returns false or throws (the exception goes on
  // to the caller). Waits for a running commit; may block. Any thread. Tables named `travelchat_*` belong to the
  // storage.
  virtual error_code write(const std::function<bool(sqlite3*)>& work) = 0;
  // The same on a reading connection, inside one snapshot.
  virtual error_code read(const std::function<void(sqlite3*)>& work) = 0;
};

}  // namespace travelchat
