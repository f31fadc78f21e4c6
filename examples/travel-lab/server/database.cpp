#include "database.hpp"

#include "clock.hpp"

#include <sqlite3.h>

#include <array>

namespace travel_lab {
namespace {

using travelchat::errc;
using travelchat::error_code;

[[noreturn]] void fail(int code) {
  throw DatabaseError((code & 0xff) == SQLITE_FULL ? errc::storage_full : errc::storage_failed);
}

void check(int code) {
  if (code != SQLITE_OK) fail(code);
}

// Entry n brings the tables from version n to n + 1. Never change one that has been released; append.
constexpr std::array migrations = {
    R"(
CREATE TABLE organizations (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

CREATE TABLE advisors (
  id TEXT PRIMARY KEY,
  org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  email TEXT NOT NULL UNIQUE,          -- lower case
  full_name TEXT NOT NULL,
  password_hash TEXT NOT NULL          -- libsodium's argon2id string
) STRICT, WITHOUT ROWID;
CREATE INDEX advisors_by_org ON advisors (org_id);

CREATE TABLE clients (
  id TEXT PRIMARY KEY,
  org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  advisor_id TEXT NOT NULL REFERENCES advisors (id),
  full_name TEXT NOT NULL,
  email TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX clients_by_org ON clients (org_id);
CREATE INDEX clients_by_advisor ON clients (advisor_id);

CREATE TABLE trips (
  id TEXT PRIMARY KEY,
  org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  advisor_id TEXT NOT NULL REFERENCES advisors (id),
  client_id TEXT REFERENCES clients (id) ON DELETE CASCADE,
  title TEXT NOT NULL,
  destination TEXT NOT NULL,
  starts_on TEXT NOT NULL,             -- YYYY-MM-DD
  ends_on TEXT NOT NULL,
  summary TEXT NOT NULL,
  share_enabled INTEGER NOT NULL,
  share_token TEXT NOT NULL,
  created_at INTEGER NOT NULL          -- Unix milliseconds, as every time here
) STRICT, WITHOUT ROWID;
CREATE INDEX trips_by_org ON trips (org_id);
CREATE INDEX trips_by_advisor ON trips (advisor_id);
CREATE INDEX trips_by_client ON trips (client_id);

CREATE TABLE sessions (
  digest BLOB PRIMARY KEY,             -- SHA-256 of the cookie's value
  advisor_id TEXT NOT NULL REFERENCES advisors (id) ON DELETE CASCADE,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_advisor ON sessions (advisor_id, expires_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Filled by --demo only: logins that anybody may know.
CREATE TABLE demo_logins (
  position INTEGER PRIMARY KEY,
  advisor_id TEXT NOT NULL REFERENCES advisors (id) ON DELETE CASCADE,
  password TEXT NOT NULL
) STRICT;
CREATE INDEX demo_logins_by_advisor ON demo_logins (advisor_id);
)",
    R"(
CREATE TABLE push_subscriptions (
  endpoint TEXT PRIMARY KEY,           -- a secret: whoever knows it can send there
  advisor_id TEXT NOT NULL REFERENCES advisors (id) ON DELETE CASCADE,
  p256dh BLOB NOT NULL,                -- the browser's public key, an uncompressed point of P-256
  auth BLOB NOT NULL,                  -- and its authentication secret, 16 bytes
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX push_subscriptions_by_advisor ON push_subscriptions (advisor_id, created_at);
)"};

void execute(sqlite3* database, const char* sql) {
  check(sqlite3_exec(database, sql, nullptr, nullptr, nullptr));
}

}  // namespace

Statement::Statement(sqlite3* database, const char* sql) {
  check(sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr));
}

Statement::~Statement() {
  sqlite3_finalize(statement_);
}

void Statement::reset() noexcept {
  sqlite3_reset(statement_);
}

bool Statement::next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) fail(code);
  return false;
}

std::string Statement::text(int column) const {
  const auto* data = sqlite3_column_text(statement_, column);
  if (data == nullptr) return {};
  return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::optional<std::string> Statement::optional_text(int column) const {
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::nullopt;
  return text(column);
}

std::int64_t Statement::integer(int column) const noexcept {
  return sqlite3_column_int64(statement_, column);
}

std::span<const std::uint8_t> Statement::bytes(int column) const noexcept {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

void Statement::bind(int position, std::string_view value) {
  // A null pointer would be stored as NULL.
  check(sqlite3_bind_text64(statement_, position, value.data() != nullptr ? value.data() : "", value.size(),
                            SQLITE_STATIC, SQLITE_UTF8));
}

void Statement::bind(int position, const std::optional<std::string>& value) {
  if (value) {
    bind(position, std::string_view(*value));
  } else {
    check(sqlite3_bind_null(statement_, position));
  }
}

void Statement::bind(int position, std::int64_t value) {
  check(sqlite3_bind_int64(statement_, position, value));
}

void Statement::bind(int position, std::span<const std::uint8_t> value) {
  check(sqlite3_bind_blob64(statement_, position, value.data(), value.size(), SQLITE_STATIC));
}

error_code write_rows(travelchat::SqliteStorage& storage, const std::function<void(sqlite3*)>& work) {
  try {
    return storage.write([&work](sqlite3* database) {
      work(database);
      return true;
    });
  } catch (const DatabaseError& failure) {
    return failure.reason();
  }
}

error_code read_rows(travelchat::SqliteStorage& storage, const std::function<void(sqlite3*)>& work) {
  try {
    return storage.read(work);
  } catch (const DatabaseError& failure) {
    return failure.reason();
  }
}

error_code migrate(travelchat::SqliteStorage& storage) {
  return write_rows(storage, [](sqlite3* database) {
    execute(database,
            "CREATE TABLE IF NOT EXISTS host_migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT "
            "NULL) STRICT");
    std::int64_t version = 0;
    {
      Statement newest(database, "SELECT coalesce(max(version), 0) FROM host_migrations");
      if (newest.run().next()) version = newest.integer(0);
    }
    constexpr auto known = static_cast<std::int64_t>(migrations.size());
    if (version > known) throw DatabaseError(errc::storage_incompatible);
    Statement record(database, "INSERT INTO host_migrations (version, applied_at) VALUES (?, ?)");
    for (; version < known; ++version) {
      execute(database, migrations[static_cast<std::size_t>(version)]);
      record.execute(version + 1, std::int64_t{current_time().time_since_epoch().count()});
    }
  });
}

}  // namespace travel_lab
