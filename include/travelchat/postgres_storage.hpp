// A storage in a PostgreSQL database (13 or newer), which any number of processes may share.
//
// It lives in the tables of a Travel Lab host (conversations, messages, message_reactions, client_chat_tokens): it
// makes what is missing and adopts what is there, while older servers go on writing to it. docs/library.md says what is
// added.
#pragma once

#include <travelchat/storage.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

struct pg_conn;  // libpq's PGconn

namespace travelchat {

struct PostgresStorageOptions {
  // postgres://user:password@host:port/database, or `host=… dbname=…`; what is not in it comes from libpq's environment
  // (PGHOST, PGPASSFILE …). The tables are looked for along its search_path. A pooler in between must pool sessions,
  // not transactions.
  std::string url = {};
  // Connections that commit at once; a conversation's writes always share one. 0 is taken as 1.
  std::size_t lanes = 4;
  // Reading connections, opened when first needed. 0 is taken as 1.
  std::size_t max_readers = 4;
  // How long a commit waits for a database that has gone away, or for locks that others hold, before it fails.
  std::chrono::milliseconds patience = std::chrono::seconds{2};
  // How long `open` waits for the database to accept a connection; later ones wait for `patience` at most.
  std::chrono::milliseconds connect_timeout = std::chrono::seconds{5};
  // Told about migrations, lost connections and why a transaction failed, for an operator to read. Carries no password.
  // Called from any thread that uses the storage; must not use it. Empty: nobody is told.
  std::function<void(std::string_view)> log = {};
};

class PostgresStorage : public Storage, public StorageUpkeep {
 public:
  // Connects and migrates; waits while another process migrates, and while it adopts tables that are full. Throws
  // std::system_error, whose what() says what is wrong in words for an operator:
  // `errc::invalid_argument` (not a connection URL), `errc::storage_incompatible` (made by a newer version; tables of
  // another shape; rows that cannot be adopted, and how many; a server that is too old, a standby or not durable),
  // `errc::storage_full`, `errc::storage_failed`. A refused database has not been changed.
  static std::unique_ptr<PostgresStorage> open(PostgresStorageOptions options);

  // For a host that keeps its own tables in the same database. `work` runs on a connection of its own, with the URL's
  // settings, inside one transaction (READ COMMITTED) that commits when it returns true and rolls back when it returns
  // false or throws (the exception goes on to the caller); it must leave the transaction open and the connection
  // blocking. Nothing is retried. Fails with `errc::storage_failed` when the outcome of the commit is unknown, too.
  // What it writes to the storage's own tables counts as a host's writing. May block; any thread; `max_readers` at
  // once, the others wait.
  virtual error_code write(const std::function<bool(pg_conn*)>& work) = 0;
  // The same inside one read-only snapshot (REPEATABLE READ).
  virtual error_code read(const std::function<void(pg_conn*)>& work) = 0;

  bool has_other_writers() const noexcept override { return true; }
};

}  // namespace travelchat
