#include "storage/sqlite/schema.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

namespace travelchat::sqlite {

namespace {

// One entry for each version, applied in order and never changed once released. The version is kept in a table of its
// own, since `user_version` belongs to the host that keeps its tables in the same file.
//
// Keys are small integers that arrive in order or close to where the last ones went: so a commit writes few pages.
// - Messages are clustered by (conversation, seq), so a page of history is one range, and have no index on `rev`: what
//   changed since a revision follows from `created_rev`, which grows with `seq`, and from travelchat_changes.
// - `read_seq` and `seen_seq`: every message up to there is marked, so marking looks at the newer ones only.
// - A reaction's `rev` is its place in the message's list.
// - travelchat_changes holds what raised a revision without bringing a message: `kind` is a storage::LoggedKind, the
//   seqs are what it touched.
constexpr std::array migrations = {
    R"sql(
CREATE TABLE travelchat_conversations (
  pk INTEGER PRIMARY KEY,
  last_seq INTEGER NOT NULL,
  rev INTEGER NOT NULL,
  unread_count INTEGER NOT NULL,
  unseen_count INTEGER NOT NULL,
  read_seq INTEGER NOT NULL,
  seen_seq INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  last_message_at INTEGER,
  id BLOB NOT NULL UNIQUE,
  org_id TEXT NOT NULL,
  client_id TEXT NOT NULL,
  UNIQUE (org_id, client_id)
);

CREATE TABLE travelchat_messages (
  conversation_pk INTEGER NOT NULL REFERENCES travelchat_conversations (pk),
  seq INTEGER NOT NULL,
  created_rev INTEGER NOT NULL,
  rev INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  sender_type INTEGER NOT NULL,
  is_read INTEGER NOT NULL,
  seen_at INTEGER,
  id BLOB NOT NULL UNIQUE,
  sender_id TEXT NOT NULL,
  sender_name TEXT NOT NULL,
  client_message_id TEXT,
  attachment_url TEXT,
  attachment_type TEXT,
  attachment_name TEXT,
  content TEXT NOT NULL,
  PRIMARY KEY (conversation_pk, seq)
) WITHOUT ROWID;

CREATE UNIQUE INDEX travelchat_messages_by_client_message_id
  ON travelchat_messages (conversation_pk, client_message_id, sender_type, sender_id)
  WHERE client_message_id IS NOT NULL;

CREATE TABLE travelchat_reactions (
  conversation_pk INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  reactor_type INTEGER NOT NULL,
  reactor_id TEXT NOT NULL,
  rev INTEGER NOT NULL,
  emoji INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  id BLOB NOT NULL,
  reactor_name TEXT NOT NULL,
  PRIMARY KEY (conversation_pk, seq, reactor_type, reactor_id),
  FOREIGN KEY (conversation_pk, seq) REFERENCES travelchat_messages (conversation_pk, seq)
) WITHOUT ROWID;

CREATE TABLE travelchat_changes (
  conversation_pk INTEGER NOT NULL REFERENCES travelchat_conversations (pk),
  rev INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (conversation_pk, rev)
) WITHOUT ROWID;

CREATE TABLE travelchat_tokens (
  pk INTEGER PRIMARY KEY,
  conversation_pk INTEGER NOT NULL REFERENCES travelchat_conversations (pk),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  digest BLOB NOT NULL UNIQUE,
  trip_id TEXT NOT NULL
);
CREATE INDEX travelchat_tokens_by_trip ON travelchat_tokens (conversation_pk, trip_id);
CREATE INDEX travelchat_tokens_by_expiry ON travelchat_tokens (expires_at);
)sql",
    // - `pruned_rev`: the newest of the changes that were deleted.
    // - travelchat_epoch has one row; see Revisions.
    R"sql(
ALTER TABLE travelchat_conversations ADD COLUMN pruned_rev INTEGER NOT NULL DEFAULT 0;

CREATE TABLE travelchat_epoch (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  epoch BLOB NOT NULL
);
)sql",
    // - `content_rev`: the newest revision that changed more of a message than its reactions and marks.
    // - A conversation's client is a member also without a row; rows come with the first mark.
    R"sql(
ALTER TABLE travelchat_messages ADD COLUMN content_rev INTEGER;

CREATE TABLE travelchat_members (
  conversation_pk INTEGER NOT NULL REFERENCES travelchat_conversations (pk),
  type INTEGER NOT NULL,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  delivered_seq INTEGER NOT NULL,
  seen_seq INTEGER NOT NULL,
  PRIMARY KEY (conversation_pk, type, id)
) WITHOUT ROWID;
)sql",
};

constexpr std::int64_t newest = migrations.size();

// 0: the file has none of our tables yet.
std::int64_t schema_version(Database& database) {
  Statement exists(database, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'travelchat_schema'");
  if (!exists.run().next()) return 0;
  Statement version(database, "SELECT max(version) FROM travelchat_schema");
  Run row = version.run();
  return row.next() ? row.integer(0) : 0;
}

}  // namespace

error_code check_schema(Database& database) {
  if (schema_version(database) > newest) return errc::storage_incompatible;
  return {};
}

void migrate(Database& database) {
  std::int64_t version = schema_version(database);
  if (version == newest) return;
  Statement begin(database, "BEGIN IMMEDIATE");
  Statement commit(database, "COMMIT");
  Transaction transaction(database, begin);
  database.execute("CREATE TABLE IF NOT EXISTS travelchat_schema (version INTEGER PRIMARY KEY)");
  Statement record(database, "INSERT INTO travelchat_schema (version) VALUES (?)");
  for (; version < newest; ++version) {
    database.execute(migrations[static_cast<std::size_t>(version)]);
    record.execute(version + 1);
  }
  Statement begin_epoch(database, "INSERT OR IGNORE INTO travelchat_epoch (only_row, epoch) VALUES (1, ?)");
  begin_epoch.execute(make_uuid(std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now())));
  transaction.commit(commit);
}

}  // namespace travelchat::sqlite
