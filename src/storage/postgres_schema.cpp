#include "storage/postgres_schema.hpp"

#include "storage/postgres_sql.hpp"

#include <array>
#include <map>
#include <thread>

namespace travelchat::postgres {

namespace {

constexpr std::int64_t newest_version = 1;
constexpr std::chrono::milliseconds poll_pause{100};
// A statement that changes a table waits this long for its lock, with every writer behind it in the queue, then makes
// way and tries again; this often, which is some two minutes.
constexpr const char* ddl_lock_timeout = "500ms";
constexpr int ddl_attempts = 150;
// Numbering makes way even sooner, and holds what it has locked for a moment only: in a deadlock with a host's marks it
// must be the first to give up, before the server ends one of the two.
constexpr const char* numbering_lock_timeout = "50ms";
constexpr int numbered_at_once = 1'000;

Failure refusal(std::string message) {
  return {{}, std::move(message), false, true};
}

std::string counted(std::int64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

// ---- What the tables must look like ----

enum class Kind { text, time, boolean, bigint };

struct Column {
  const char* table;
  const char* name;
  Kind kind;
  bool is_required;  // in a table that is there already; the others are added
};

constexpr std::array columns = {
    Column{"conversations", "id", Kind::text, true},
    Column{"conversations", "org_id", Kind::text, true},
    Column{"conversations", "client_id", Kind::text, true},
    Column{"conversations", "created_at", Kind::time, false},
    Column{"conversations", "last_message_at", Kind::time, false},
    Column{"conversations", "last_seq", Kind::bigint, false},
    Column{"conversations", "rev", Kind::bigint, false},
    Column{"conversations", "unread_count", Kind::bigint, false},
    Column{"conversations", "unseen_count", Kind::bigint, false},
    Column{"conversations", "read_seq", Kind::bigint, false},
    Column{"conversations", "seen_seq", Kind::bigint, false},
    Column{"messages", "id", Kind::text, true},
    Column{"messages", "conversation_id", Kind::text, true},
    Column{"messages", "org_id", Kind::text, true},
    Column{"messages", "sender_type", Kind::text, true},
    Column{"messages", "sender_id", Kind::text, true},
    Column{"messages", "sender_name", Kind::text, true},
    Column{"messages", "content", Kind::text, true},
    Column{"messages", "is_read", Kind::boolean, false},
    Column{"messages", "created_at", Kind::time, false},
    Column{"messages", "seen_at", Kind::time, false},
    Column{"messages", "attachment_url", Kind::text, false},
    Column{"messages", "attachment_type", Kind::text, false},
    Column{"messages", "attachment_name", Kind::text, false},
    Column{"messages", "client_message_id", Kind::text, false},
    Column{"messages", "seq", Kind::bigint, false},
    Column{"messages", "rev", Kind::bigint, false},
    Column{"messages", "created_rev", Kind::bigint, false},
    Column{"message_reactions", "id", Kind::text, true},
    Column{"message_reactions", "message_id", Kind::text, true},
    Column{"message_reactions", "conversation_id", Kind::text, true},
    Column{"message_reactions", "org_id", Kind::text, true},
    Column{"message_reactions", "reactor_type", Kind::text, true},
    Column{"message_reactions", "reactor_id", Kind::text, true},
    Column{"message_reactions", "reactor_name", Kind::text, true},
    Column{"message_reactions", "emoji", Kind::text, true},
    Column{"message_reactions", "created_at", Kind::time, false},
    Column{"message_reactions", "rev", Kind::bigint, false},
    Column{"client_chat_tokens", "id", Kind::text, true},
    Column{"client_chat_tokens", "client_id", Kind::text, true},
    Column{"client_chat_tokens", "org_id", Kind::text, true},
    Column{"client_chat_tokens", "trip_id", Kind::text, true},
    Column{"client_chat_tokens", "token", Kind::text, true},
    Column{"client_chat_tokens", "expires_at", Kind::time, true},
    Column{"client_chat_tokens", "created_at", Kind::time, false},
    Column{"client_chat_tokens", "conversation_id", Kind::text, false},
};

// The references that tables of ours have to the host's, as the host's own schema says them.
struct Reference {
  const char* table;
  const char* column;
  const char* host_table;
  const char* on_delete;
};
constexpr std::array references = {
    Reference{"conversations", "org_id", "organizations", ""},
    Reference{"conversations", "client_id", "clients", " ON DELETE CASCADE"},
    Reference{"messages", "org_id", "organizations", ""},
    Reference{"message_reactions", "org_id", "organizations", ""},
    Reference{"client_chat_tokens", "client_id", "clients", " ON DELETE CASCADE"},
    Reference{"client_chat_tokens", "org_id", "organizations", ""},
};

struct Index {
  const char* name;
  const char* table;
  bool is_unique;
  const char* on;
};
constexpr Index by_seq{"travelchat_messages_by_seq", "messages", true, "(conversation_id, seq)"};
constexpr std::array later_indexes = {
    Index{"travelchat_conversations_by_client", "conversations", true, "(org_id, client_id)"},
    Index{"travelchat_messages_by_client_message_id", "messages", true,
          "(conversation_id, client_message_id, sender_type, sender_id) WHERE client_message_id IS NOT NULL"},
    Index{"travelchat_reactions_by_reactor", "message_reactions", true, "(message_id, reactor_type, reactor_id)"},
    // For the cascade from a conversation.
    Index{"travelchat_reactions_by_conversation", "message_reactions", false, "(conversation_id)"},
    Index{"travelchat_tokens_by_token", "client_chat_tokens", true, "(token)"},
    Index{"travelchat_tokens_by_trip", "client_chat_tokens", false, "(conversation_id, trip_id)"},
    Index{"travelchat_tokens_by_expiry", "client_chat_tokens", false, "(expires_at)"},
};

// ---- Looking ----

std::string find_schema(Connection& database) {
  // The first name that is found along the search_path says where; all of them belong together.
  const Result row = database.execute(
      "SELECT n.nspname FROM unnest(ARRAY['travelchat_schema', 'conversations', 'messages', 'message_reactions',"
      " 'client_chat_tokens']) WITH ORDINALITY k(name, place)"
      " JOIN pg_class c ON c.oid = to_regclass(k.name) JOIN pg_namespace n ON n.oid = c.relnamespace"
      " ORDER BY k.place LIMIT 1");
  if (!row.empty()) return std::string(row[0].text(0));
  const Result current = database.execute("SELECT current_schema()");
  if (current[0].is_null(0)) throw refusal("no schema of the search_path exists, so there is no place for the tables");
  return std::string(current[0].text(0));
}

// 0: not migrated yet.
std::int64_t schema_version(Connection& database) {
  if (database.execute("SELECT to_regclass('travelchat_schema')::text")[0].is_null(0)) return 0;
  const Result row = database.execute("SELECT coalesce(max(version), 0) FROM travelchat_schema");
  const std::int64_t version = row[0].integer(0);
  if (version > newest_version) {
    throw refusal("the database was made by a newer version (" + std::to_string(version) + ", this one knows " +
                  std::to_string(newest_version) + ")");
  }
  return version;
}

struct FoundColumn {
  std::string type;  // as format_type says it, without a length
  std::int64_t precision = -1;
  bool must_be_given = false;  // NOT NULL without a default
};
// By table; one that does not exist has no entry.
using FoundTables = std::map<std::string, std::map<std::string, FoundColumn>>;

FoundTables find_tables(Connection& database, const std::string& schema) {
  const Result rows = database.execute(
      "SELECT c.relname, a.attname, format_type(a.atttypid, NULL), a.atttypmod::bigint,"
      " a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''"
      " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
      " WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1::text) AND c.relkind IN ('r', 'p')"
      " AND c.relname IN ('conversations', 'messages', 'message_reactions', 'client_chat_tokens')",
      Parameters(schema));
  FoundTables found;
  for (int i = 0; i < rows.size(); ++i) {
    found[std::string(rows[i].text(0))][std::string(rows[i].text(1))] = {std::string(rows[i].text(2)),
                                                                         rows[i].integer(3), rows[i].boolean(4)};
  }
  return found;
}

bool fits(const FoundColumn& column, Kind kind) {
  switch (kind) {
    case Kind::text:
      return column.type == "text" || column.type == "character varying";
    case Kind::time:
      return (column.type == "timestamp without time zone" || column.type == "timestamp with time zone") &&
             (column.precision < 0 || column.precision >= 3);
    case Kind::boolean:
      return column.type == "boolean";
    case Kind::bigint:
      return column.type == "bigint";
  }
  return false;
}

constexpr const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::text:
      return "varchar or text";
    case Kind::time:
      return "timestamp with milliseconds";
    case Kind::boolean:
      return "boolean";
    case Kind::bigint:
      return "bigint";
  }
  return "";
}

void check_shape(const FoundTables& found) {
  for (const Column& column : columns) {
    const auto table = found.find(column.table);
    if (table == found.end()) continue;
    const std::string name = std::string(column.table) + "." + column.name;
    const auto present = table->second.find(column.name);
    if (present == table->second.end()) {
      if (column.is_required) throw refusal("the table " + std::string(column.table) + " has no column " + column.name);
    } else if (!fits(present->second, column.kind)) {
      throw refusal("the column " + name + " is " + present->second.type + "; it must be " + name_of(column.kind));
    }
  }
  for (const auto& [table, present] : found) {
    for (const auto& [name, column] : present) {
      const bool is_ours =
          std::any_of(columns.begin(), columns.end(),
                      [&, &table = table, &name = name](const auto& c) { return c.table == table && c.name == name; });
      if (!is_ours && column.must_be_given) {
        throw refusal("the column " + table + "." + name +
                      " must be given with every row (NOT NULL without a default), and the chat does not know it");
      }
    }
  }
}

void refuse_if_any(Connection& database, const std::string& count_sql, const char* table, const std::string& why) {
  const std::int64_t count = database.execute(count_sql)[0].integer(0);
  if (count > 0) throw refusal(counted(count, "row") + " of " + table + " cannot be adopted: " + why);
}

// What is in the tables must have a place in the chat. Reads them whole, without a lock that a writer would notice.
void check_rows(Connection& database, const FoundTables& found) {
  const auto has = [&](const char* table) { return found.contains(table); };
  const std::string no_uuid = " !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'";
  const std::string not_a_role = " NOT IN ('advisor', 'client')";
  for (const char* table : {"conversations", "messages", "message_reactions"}) {
    if (!has(table)) continue;
    refuse_if_any(database, "SELECT count(*) FROM " + std::string(table) + " WHERE id" + no_uuid, table,
                  "the id is not a lower-case UUID");
  }
  if (has("conversations")) {
    refuse_if_any(database, "SELECT count(*) FROM conversations WHERE org_id IS NULL OR client_id IS NULL",
                  "conversations", "org_id or client_id is null");
    refuse_if_any(database,
                  "SELECT coalesce(sum(n - 1), 0)::bigint FROM"
                  " (SELECT count(*) AS n FROM conversations GROUP BY org_id, client_id HAVING count(*) > 1) d",
                  "conversations", "another one has the same org_id and client_id; merge them first");
  }
  if (has("messages")) {
    refuse_if_any(database, "SELECT count(*) FROM messages WHERE sender_type IS NULL OR sender_type" + not_a_role,
                  "messages", "sender_type is neither advisor nor client");
  }
  if (has("message_reactions")) {
    refuse_if_any(database,
                  "SELECT count(*) FROM message_reactions WHERE reactor_type IS NULL OR reactor_type" + not_a_role,
                  "message_reactions", "reactor_type is neither advisor nor client");
  }
  for (const char* table : {"conversations", "messages"}) {
    if (!has(table)) continue;
    const Result unique = database.execute(
        "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'id'"
        " WHERE i.indrelid = to_regclass($1::text) AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1"
        " AND i.indkey[0] = a.attnum AND i.indpred IS NULL)",
        Parameters(table));
    if (!unique[0].boolean(0)) throw refusal("the table " + std::string(table) + " has no primary key (id)");
  }
}

// ---- Changing ----

// Runs `work` in a transaction until it gets its locks.
template <class Work>
void with_short_locks(Connection& database, const Target& target, const char* lock_timeout, const char* what,
                      Work work) {
  for (int attempt = 1;; ++attempt) {
    try {
      database.execute("BEGIN");
      database.execute("SELECT set_config('lock_timeout', $1, true)", Parameters(lock_timeout));
      work();
      database.execute("COMMIT");
      return;
    } catch (const Failure& failure) {
      if (failure.lost) throw;
      database.roll_back();
      if ((failure.sqlstate != "55P03" && !failure.is_class("40")) || attempt == ddl_attempts) throw;
      if (attempt % 10 == 1) target.log(std::string("waiting for a lock: ") + what);
    }
    std::this_thread::sleep_for(poll_pause);
  }
}

// A reference where the host has such a table with such a key.
void add_references(Connection& database, const FoundTables& found) {
  for (const Reference& reference : references) {
    if (found.contains(reference.table)) continue;
    const Result target = database.execute(
        "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'id'"
        " WHERE i.indrelid = to_regclass($1::text) AND i.indisunique AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum"
        " AND a.atttypid IN ('varchar'::regtype, 'text'::regtype) AND i.indpred IS NULL)",
        Parameters(reference.host_table));
    if (!target[0].boolean(0)) continue;
    database.execute("ALTER TABLE " + std::string(reference.table) + " ADD FOREIGN KEY (" + reference.column +
                     ") REFERENCES " + reference.host_table + " (id)" + reference.on_delete);
  }
}

void create_index(Connection& database, const Index& index, bool concurrently) {
  database.execute("CREATE " + std::string(index.is_unique ? "UNIQUE " : "") + "INDEX " +
                   (concurrently ? "CONCURRENTLY " : "") + index.name + " ON " + index.table + " " + index.on);
}

// Without keeping writers waiting. What an attempt that was interrupted left behind is invalid and goes first.
void build_index(Connection& database, const Target& target, const Index& index) {
  for (int attempt = 1;; ++attempt) {
    const Result present = database.execute(
        "SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass($1::text)", Parameters(index.name));
    if (!present.empty() && present[0].boolean(0)) return;
    if (!present.empty()) database.execute("DROP INDEX CONCURRENTLY " + std::string(index.name));
    target.log(std::string("building the index ") + index.name);
    try {
      create_index(database, index, true);
      return;
    } catch (const Failure& failure) {
      // A writer has brought a second row; the reactions' triggers see to it that it was the last.
      const bool is_reactions = std::string_view(index.table) == "message_reactions" && attempt < 3;
      if (failure.sqlstate == "23505" && is_reactions) {
        database.execute(sql::reactions);
      } else if (failure.sqlstate == "23505") {
        throw refusal("rows of " + std::string(index.table) + " are there twice: " + failure.message);
      } else if (!failure.is_class("40") || attempt == ddl_attempts) {
        throw;
      }
    }
  }
}

void number_messages(Connection& database, const Target& target) {
  const std::int64_t total =
      database.execute("SELECT count(*) FROM conversations WHERE last_seq IS NULL")[0].integer(0);
  if (total == 0) return;
  target.log("numbering the messages of " + counted(total, "conversation"));
  auto told = Clock::now();
  std::optional<std::string> after = "";
  while (after) {
    with_short_locks(database, target, numbering_lock_timeout, "numbering messages", [&] {
      const Result row = database.execute(
          "SELECT travelchat_number($1::text, " + std::to_string(numbered_at_once) + ")", Parameters(*after));
      after = row[0].optional_text(0);
    });
    if (after && Clock::now() - told > std::chrono::seconds{5}) {
      told = Clock::now();
      const Result left = database.execute("SELECT count(*) FROM conversations WHERE last_seq IS NULL");
      target.log(counted(left[0].integer(0), "conversation") + " of " + std::to_string(total) + " left to number");
    }
  }
}

void hide_tokens(Connection& database) {
  while (
      database.execute("SELECT EXISTS (SELECT FROM client_chat_tokens WHERE conversation_id IS NULL)")[0].boolean(0)) {
    database.execute(sql::tokens);
  }
}

void migrate(Connection& database, const Target& target) {
  const FoundTables found = find_tables(database, target.schema);
  check_shape(found);
  check_rows(database, found);
  if (!found.empty()) target.log("adopting the tables of schema " + target.schema);

  const auto is_new = [&](const Index& index) { return !found.contains(index.table); };
  // Triggers and columns come at once: whoever writes from then on is followed.
  with_short_locks(database, target, ddl_lock_timeout, "adding columns", [&] {
    database.execute_script(sql::tables);
    add_references(database, found);
    database.execute_script(sql::columns);
    database.execute_script(sql::functions);
    database.execute_script(sql::numbering);
    database.execute_script(sql::triggers);
    const auto create = [&](const Index& index) {
      const Result present = database.execute("SELECT to_regclass($1::text)::text", Parameters(index.name));
      if (is_new(index) && present[0].is_null(0)) create_index(database, index, false);
    };
    create(by_seq);
    for (const Index& index : later_indexes) create(index);
  });
  // The numbering needs it, to find a conversation's messages.
  build_index(database, target, by_seq);
  number_messages(database, target);
  database.execute(sql::reactions);
  for (const Index& index : later_indexes) build_index(database, target, index);
  hide_tokens(database);
  database.execute("INSERT INTO travelchat_schema (version) VALUES (1) ON CONFLICT DO NOTHING");
  if (!found.empty()) target.log("the tables are adopted");
}

// Held by the session, and asked for rather than waited for: a transaction that waits holds up the building of an index
// in the process that it waits for.
class MigrationLock {
 public:
  MigrationLock(Connection& database, const Target& target) : database_(database), schema_(target.schema) {
    for (bool told = false; !ask("pg_try_advisory_lock"); told = true) {
      if (!told) target.log("another process is migrating the database; waiting for it");
      std::this_thread::sleep_for(poll_pause);
    }
  }
  MigrationLock(const MigrationLock&) = delete;
  MigrationLock& operator=(const MigrationLock&) = delete;

  void release() { ask("pg_advisory_unlock"); }

 private:
  bool ask(const std::string& function) {
    return database_
        .execute("SELECT " + function + "(hashtext('travelchat'), hashtext($1::text))", Parameters(schema_))[0]
        .boolean(0);
  }

  Connection& database_;
  const std::string& schema_;
};

}  // namespace

void prepare_database(Target& target, Clock::time_point connect_by) {
  {
    Connection database(target, Use::migrate, connect_by);
    target.schema = find_schema(database);
  }
  // A session of its own, which looks nowhere but in that schema; its end releases the lock, however it comes.
  Connection database(target, Use::migrate, connect_by);
  if (schema_version(database) == newest_version) return;
  MigrationLock lock(database, target);
  if (schema_version(database) != newest_version) migrate(database, target);
  lock.release();
}

}  // namespace travelchat::postgres
