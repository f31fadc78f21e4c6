#include "database.hpp"

#include "clock.hpp"

#include <array>

namespace travel_lab {
namespace {

using travelchat::errc;
using travelchat::error_code;

// Entry n brings the tables from version n to n + 1. Never change one that has been released; append.
constexpr std::array migrations = {
    Definition{.sql = R"(
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
               .only_postgres = {}},
    Definition{.sql = R"(
CREATE TABLE push_subscriptions (
  endpoint TEXT PRIMARY KEY,           -- a secret: whoever knows it can send there
  advisor_id TEXT NOT NULL REFERENCES advisors (id) ON DELETE CASCADE,
  p256dh BLOB NOT NULL,                -- the browser's public key, an uncompressed point of P-256
  auth BLOB NOT NULL,                  -- and its authentication secret, 16 bytes
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX push_subscriptions_by_advisor ON push_subscriptions (advisor_id, created_at);
)",
               .only_postgres = {}},
    Definition{.sql = R"(
CREATE TABLE directory_version (
  version INTEGER NOT NULL
) STRICT;
INSERT INTO directory_version (version) VALUES (0);
)",
               // The transaction's number: it writes the row once, however many rows it changes.
               .only_postgres = R"(
CREATE FUNCTION mark_directory_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  this bigint := pg_current_xact_id()::text::bigint;
BEGIN
  UPDATE directory_version SET version = this WHERE version <> this;
  RETURN NULL;
END $$;
CREATE TRIGGER organizations_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON organizations
  EXECUTE FUNCTION mark_directory_change();
CREATE TRIGGER advisors_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON advisors
  EXECUTE FUNCTION mark_directory_change();
CREATE TRIGGER clients_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON clients
  EXECUTE FUNCTION mark_directory_change();
CREATE TRIGGER trips_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON trips
  EXECUTE FUNCTION mark_directory_change();

-- The key of web push (PEM), which all nodes share.
CREATE TABLE push_key (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  pem TEXT NOT NULL
);
)"},
    Definition{.sql = R"(
ALTER TABLE advisors ADD COLUMN disabled_at INTEGER;  -- NULL: signs in
ALTER TABLE sessions ADD COLUMN used_at INTEGER;      -- the last use that was written down; NULL: none yet
)",
               .only_postgres = {}}};

template <class Run>
error_code catching(const Run& run) {
  try {
    return run();
  } catch (const DatabaseError& failure) {
    return failure.reason();
  }
}

}  // namespace

error_code Database::write(const Work& work) {
  return catching([&] { return do_write(work); });
}

error_code Database::read(const Work& work) {
  return catching([&] { return do_read(work); });
}

void migrate(Connection& connection) {
  connection.define(
      {.sql = "CREATE TABLE IF NOT EXISTS host_migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) "
              "STRICT",
       .only_postgres = {}});
  std::int64_t version = 0;
  {
    Statement newest(connection, "SELECT coalesce(max(version), 0) FROM host_migrations");
    if (newest.run().next()) version = newest.integer(0);
  }
  constexpr auto known = static_cast<std::int64_t>(migrations.size());
  if (version > known) throw DatabaseError(errc::storage_incompatible);
  Statement record(connection, "INSERT INTO host_migrations (version, applied_at) VALUES (?, ?)");
  for (; version < known; ++version) {
    connection.define(migrations[static_cast<std::size_t>(version)]);
    record.execute(version + 1, std::int64_t{current_time().time_since_epoch().count()});
  }
}

}  // namespace travel_lab
