// A storage in one SQLite file (WAL, synchronous=FULL).
//
// One process owns a file at a time: a second one gets `errc::storage_locked`. Inside the process one connection writes
// and checkpoints; the readers never do (SQLite before 3.51.3 can corrupt a WAL when two connections checkpoint or
// write at once).
#pragma once

#include <travelchat/storage.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

struct sqlite3;

namespace travelchat {

struct SqliteStorageOptions {
  // The database file; created with its schema when absent, for its owner alone to read and write (0600, whatever the
  // umask). A file that is there keeps its mode. SQLite gives the files beside it (-wal, -shm) the mode of this one.
  // Its folder must exist.
  std::filesystem::path path = {};
  // Reading connections, at most 1,024, opened when first needed; chat tokens and `ping` have one more. 0 is taken
  // as 1.
  std::size_t max_readers = 4;
  // A checkpoint is tried when the WAL has grown past this many bytes: not within a commit, but the next one waits
  // until it is over. Less means more of them, and more time for all of them together. At least 1, at most 1 TiB.
  std::size_t checkpoint_bytes = std::size_t{64} << 20;
  // Told, for an operator to read, why `open` fails before it returns, and later why a transaction or a read failed.
  // Called from any thread that uses the storage, several at once; must not use it. Empty: nobody is told.
  std::function<void(std::string_view)> log = {};
};

class SqliteStorage : public Storage, public StorageUpkeep {
 public:
  // Opens, migrates and takes ownership of the file. Throws OptionError for an option that is not valid. Errors:
  // `errc::storage_locked` (another process, or another SqliteStorage of this one, has it),
  // `errc::storage_incompatible` (made by a newer version, or not such a database), `errc::storage_full`,
  // `errc::storage_failed`. The log is told more.
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
