#include "storage/postgres/schema.hpp"

#include "storage/postgres/sql.hpp"

#include <array>
#include <chrono>
#include <map>
#include <thread>

namespace travelchat::postgres {

namespace {

constexpr std::int64_t newest_version = 3;
constexpr std::chrono::milliseconds poll_pause{100};
// A statement that changes a table waits this long for its lock, with every writer behind it in the queue, then makes
// way and tries again; this often, which is some two minutes.
constexpr const char* ddl_lock_timeout = "500ms";
constexpr int ddl_attempts = 150;
// Numbering gives up even sooner: in a deadlock with a host's marks it must be the one that gives up, before the server
// ends one of the two.
constexpr const char* numbering_lock_timeout = "50ms";
constexpr int numbered_at_once = 1'000;

Failure refusal(std::string message) {
  return {{}, std::move(message), false, true};
}

std::string counted(std::int64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

// ---- What the tables must look like ----

enum class Kind { text, varchar, time, boolean, bigint };

struct Column {
  const char* table;
  const char* name;
  Kind kind;
  bool is_required;            // in a table that is there already; the others are added
  const char* reference = "";  // of one that is added
};

// A column that is new stands here and raises `newest_version`. None has a default while rows get it (columns.sql says
// those that come afterwards), so no table is rewritten and each statement holds its lock for a moment only.
//
// - `last_seq` is null until a conversation's messages have been numbered (numbering.sql); later rows start at 0.
// - `read_seq` and `seen_seq`: every message up to there is marked, so marking looks at the newer ones only.
// - `content_rev`: the newest revision that changed more of a message than its reactions and marks; null: none has.
// - A reaction's `rev` is its place in the message's list; null, for one that was there before, comes first.
// - A token's row without `conversation_id` still holds the token itself (tokens.sql).
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
    Column{"messages", "client_message_id", Kind::varchar, false},
    Column{"messages", "seq", Kind::bigint, false},
    Column{"messages", "rev", Kind::bigint, false},
    Column{"messages", "created_rev", Kind::bigint, false},
    Column{"messages", "content_rev", Kind::bigint, false},
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
    Column{"client_chat_tokens", "conversation_id", Kind::varchar, false,
           " REFERENCES @.conversations (id) ON DELETE CASCADE"},
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

// On a session that still has the search_path of the URL.
std::string find_schema(Connection& database) {
  Array schemas(Type::text);
  std::optional<std::string> first;
  const Result path = database.execute(
      "SELECT s::pg_catalog.text FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY k(s, place)"
      " ORDER BY place");
  for (int i = 0; i < path.size(); ++i) {
    const std::string_view schema = path[i].text(0);
    if (schema.starts_with("pg_")) continue;
    if (!first) first = schema;
    schemas.add(schema);
  }
  if (!first) {
    throw refusal(
        "no schema of the search_path exists that the role may use, so there is no place for the tables; create one, "
        "or "
        "GRANT USAGE, CREATE on one");
  }
  database.execute("SELECT pg_catalog.set_config('search_path'::pg_catalog.text, 'pg_catalog, pg_temp', false)");
  // The first name that is found says where; all of them belong together.
  const Result row = database.execute(
      "SELECT n.nspname FROM unnest($1::text[]) WITH ORDINALITY s(name, place)"
      " JOIN pg_namespace n ON n.nspname = s.name JOIN pg_class c ON c.relnamespace = n.oid"
      " JOIN unnest(ARRAY['travelchat_schema', 'conversations', 'messages', 'message_reactions', 'client_chat_tokens'])"
      " WITH ORDINALITY k(name, place) ON c.relname = k.name"
      " ORDER BY k.place, s.place LIMIT 1",
      Parameters(schemas));
  return row.empty() ? *first : std::string(row[0].text(0));
}

// Of a table or an index of the schema.
bool is_there(Connection& database, const std::string& name) {
  return !database.execute("SELECT to_regclass($1::text)::text", Parameters(database.qualified("@." + name)))[0]
              .is_null(0);
}

// 0: not migrated yet.
std::int64_t schema_version(Connection& database) {
  if (!is_there(database, "travelchat_schema")) return 0;
  const Result row = database.execute("SELECT coalesce(max(version), 0)::bigint FROM @.travelchat_schema");
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
    case Kind::varchar:
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
    case Kind::varchar:
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

// As a column is made.
constexpr const char* type_of(Kind kind) {
  switch (kind) {
    case Kind::text:
      return "text";
    case Kind::varchar:
      return "varchar";
    case Kind::time:
      return "timestamp";
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

// Checks that every row can be adopted by the chat. Reads the tables whole, without a lock that keeps writers waiting.
void check_rows(Connection& database, const FoundTables& found) {
  const auto has = [&](const char* table) { return found.contains(table); };
  const std::string no_uuid = " !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'";
  const std::string not_a_role = " NOT IN ('advisor', 'client')";
  for (const char* table : {"conversations", "messages", "message_reactions"}) {
    if (!has(table)) continue;
    refuse_if_any(database, "SELECT count(*) FROM @." + std::string(table) + " WHERE id" + no_uuid, table,
                  "the id is not a lower-case UUID");
  }
  if (has("conversations")) {
    refuse_if_any(database, "SELECT count(*) FROM @.conversations WHERE org_id IS NULL OR client_id IS NULL",
                  "conversations", "org_id or client_id is null");
    refuse_if_any(database,
                  "SELECT coalesce(sum(n - 1), 0)::bigint FROM"
                  " (SELECT count(*) AS n FROM @.conversations GROUP BY org_id, client_id HAVING count(*) > 1) d",
                  "conversations", "another one has the same org_id and client_id; merge them first");
  }
  if (has("messages")) {
    refuse_if_any(database, "SELECT count(*) FROM @.messages WHERE sender_type IS NULL OR sender_type" + not_a_role,
                  "messages", "sender_type is neither advisor nor client");
  }
  if (has("message_reactions")) {
    refuse_if_any(database,
                  "SELECT count(*) FROM @.message_reactions WHERE reactor_type IS NULL OR reactor_type" + not_a_role,
                  "message_reactions", "reactor_type is neither advisor nor client");
  }
  for (const char* table : {"conversations", "messages"}) {
    if (!has(table)) continue;
    const Result unique = database.execute(
        "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'id'"
        " WHERE i.indrelid = to_regclass($1::text) AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1"
        " AND i.indkey[0] = a.attnum AND i.indpred IS NULL)",
        Parameters(database.qualified("@." + std::string(table))));
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

// What a table lacks of the columns above.
void add_columns(Connection& database) {
  std::map<std::string, std::string> additions;  // by table
  for (const Column& column : columns) {
    if (column.is_required) continue;
    std::string& list = additions[column.table];
    if (!list.empty()) list += ", ";
    list += "ADD COLUMN IF NOT EXISTS " + std::string(column.name) + " " + type_of(column.kind) + column.reference;
  }
  for (const auto& [table, list] : additions) database.execute("ALTER TABLE @." + table + " " + list);
}

// A reference where the host has such a table with such a key.
void add_references(Connection& database, const FoundTables& found) {
  for (const Reference& reference : references) {
    if (found.contains(reference.table)) continue;
    const Result target = database.execute(
        "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'id'"
        " WHERE i.indrelid = to_regclass($1::text) AND i.indisunique AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum"
        " AND a.atttypid IN ('varchar'::regtype, 'text'::regtype) AND i.indpred IS NULL)",
        Parameters(database.qualified("@." + std::string(reference.host_table))));
    if (!target[0].boolean(0)) continue;
    database.execute("ALTER TABLE @." + std::string(reference.table) + " ADD FOREIGN KEY (" + reference.column +
                     ") REFERENCES @." + reference.host_table + " (id)" + reference.on_delete);
  }
}

void create_index(Connection& database, const Index& index, bool concurrently) {
  database.execute("CREATE " + std::string(index.is_unique ? "UNIQUE " : "") + "INDEX " +
                   (concurrently ? "CONCURRENTLY " : "") + index.name + " ON @." + index.table + " " + index.on);
}

// Builds it without keeping writers waiting. An invalid index that an interrupted attempt left is dropped first.
void build_index(Connection& database, const Target& target, const Index& index) {
  for (int attempt = 1;; ++attempt) {
    const Result present =
        database.execute("SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass($1::text)",
                         Parameters(database.qualified("@." + std::string(index.name))));
    if (!present.empty() && present[0].boolean(0)) return;
    if (!present.empty()) database.execute("DROP INDEX CONCURRENTLY @." + std::string(index.name));
    target.log(std::string("building the index ") + index.name);
    try {
      create_index(database, index, true);
      return;
    } catch (const Failure& failure) {
      // A writer has inserted a second reaction of one person; the reactions' triggers, which are in place by now,
      // prevent further ones.
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
      database.execute("SELECT count(*) FROM @.conversations WHERE last_seq IS NULL")[0].integer(0);
  if (total == 0) return;
  target.log("numbering the messages of " + counted(total, "conversation"));
  auto told = Clock::now();
  std::optional<std::string> after = "";
  while (after) {
    with_short_locks(database, target, numbering_lock_timeout, "numbering messages", [&] {
      const Result row = database.execute(
          "SELECT @.travelchat_number($1::text, " + std::to_string(numbered_at_once) + ")", Parameters(*after));
      after = row[0].optional_text(0);
    });
    if (after && Clock::now() - told > std::chrono::seconds{5}) {
      told = Clock::now();
      const Result left = database.execute("SELECT count(*) FROM @.conversations WHERE last_seq IS NULL");
      target.log(counted(left[0].integer(0), "conversation") + " of " + std::to_string(total) + " left to number");
    }
  }
}

void hide_tokens(Connection& database) {
  while (database.execute("SELECT EXISTS (SELECT FROM @.client_chat_tokens WHERE conversation_id IS NULL)")[0].boolean(
      0)) {
    database.execute(sql::tokens);
  }
}

// ---- Rights ----

// What the storage does to its tables when it runs; the chat's role needs no more, unless it is to migrate.
struct Needed {
  const char* table;
  const char* privileges;
};
constexpr std::array needed_privileges = {
    Needed{"conversations", "SELECT, INSERT, UPDATE"},
    Needed{"messages", "SELECT, INSERT, UPDATE"},
    Needed{"message_reactions", "SELECT, INSERT, UPDATE, DELETE"},
    Needed{"client_chat_tokens", "SELECT, INSERT, DELETE"},
    Needed{"travelchat_changes", "SELECT, INSERT, DELETE"},
    Needed{"travelchat_members", "SELECT, INSERT, UPDATE"},
    Needed{"travelchat_pruned", "SELECT, INSERT, UPDATE"},
    Needed{"travelchat_epoch", "SELECT, INSERT, UPDATE"},
    Needed{"travelchat_schema", "SELECT"},
};

// The functions of ours that triggers on the tables of the schema $1 run. A stranger can make functions with such
// names, but no triggers there.
#define TRAVELCHAT_ATTACHED_FUNCTIONS                                         \
  "(SELECT t.tgfoid FROM pg_trigger t JOIN pg_class tc ON tc.oid = t.tgrelid" \
  " JOIN pg_namespace tn ON tn.oid = tc.relnamespace"                         \
  " WHERE tn.nspname = $1::text AND NOT t.tgisinternal AND starts_with(t.tgname::text, 'travelchat_'))"

std::string user_of(Connection& database) {
  return std::string(database.execute("SELECT current_user::text")[0].text(0));
}

// Who owns the conversations, and with them all that the storage makes: a function with the rights of its owner must
// not have more of them than the owner of the tables, who could give it any code to run. Empty: there are no tables
// yet.
std::string owner_of_tables(Connection& database, const Target& target) {
  const Result owner = database.execute(
      "SELECT pg_get_userbyid(c.relowner)::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
      " WHERE n.nspname = $1::text AND c.relname = 'conversations'",
      Parameters(target.schema));
  return owner.empty() ? std::string() : std::string(owner[0].text(0));
}

// Throws when the session's role may not change what has to be changed.
void check_rights_to_migrate(Connection& database, const Target& target) {
  const std::string user = user_of(database);
  const Result foreign = database.execute(
      "SELECT c.relname::text, pg_get_userbyid(c.relowner)::text FROM pg_class c"
      " JOIN pg_namespace n ON n.oid = c.relnamespace"
      " WHERE n.nspname = $1::text AND c.relkind IN ('r', 'p') AND c.relname = ANY (ARRAY['conversations', 'messages',"
      " 'message_reactions', 'client_chat_tokens', 'travelchat_changes', 'travelchat_members', 'travelchat_pruned',"
      " 'travelchat_epoch', 'travelchat_schema'])"
      " AND NOT pg_has_role(c.relowner, 'USAGE')"
      " UNION ALL"
      " SELECT p.proname::text, pg_get_userbyid(p.proowner)::text FROM pg_proc p"
      " WHERE p.oid IN " TRAVELCHAT_ATTACHED_FUNCTIONS
      " AND NOT pg_has_role(p.proowner, 'USAGE')"
      " LIMIT 1",
      Parameters(target.schema));
  if (!foreign.empty()) {
    const std::string what(foreign[0].text(0));
    const std::string owner(foreign[0].text(1));
    throw refusal(what + " belongs to the role " + owner + ", and only its owner may change it: start once as " +
                  owner + ", or GRANT " + owner + " TO " + user);
  }
  std::vector<std::string> roles{user};
  if (const std::string owner = owner_of_tables(database, target); !owner.empty() && owner != user)
    roles.push_back(owner);
  for (const std::string& role : roles) {
    const Result may_create = database.execute(
        "SELECT has_schema_privilege($1::name, $2::text, 'CREATE') AND has_schema_privilege($1::name, $2::text, "
        "'USAGE')",
        Parameters(role, target.schema));
    if (!may_create[0].boolean(0)) {
      throw refusal("the role " + role + " may not make anything in the schema " + target.schema +
                    ": GRANT USAGE, CREATE ON SCHEMA " + target.schema + " TO " + role);
    }
  }
}

// Throws when the session's role lacks a right that the storage needs while it runs.
void check_rights_to_run(Connection& database) {
  for (const Needed& needed : needed_privileges) {
    // One by one: has_table_privilege is true when the role has any of several privileges.
    const Result may = database.execute(
        "SELECT bool_and(has_table_privilege($1::text, p)) FROM unnest(string_to_array($2::text, ', ')) p",
        Parameters(database.qualified("@." + std::string(needed.table)), needed.privileges));
    if (!may[0].boolean(0)) {
      throw refusal("the role " + user_of(database) + " lacks rights: GRANT " + needed.privileges + " ON " +
                    database.qualified("@." + std::string(needed.table)) + " TO " + user_of(database));
    }
  }
}

// What was made on tables that are another role's becomes that role's. What a third role made stays.
void give_to_owner(Connection& database, const Target& target) {
  const std::string owner = owner_of_tables(database, target);
  if (owner == user_of(database)) return;
  const Result ours = database.execute(
      "SELECT format('TABLE %s', c.oid::regclass) FROM pg_class c"
      " JOIN pg_namespace n ON n.oid = c.relnamespace"
      " WHERE n.nspname = $1::text AND c.relkind IN ('r', 'p') AND c.relname = ANY (ARRAY['messages',"
      " 'message_reactions', 'client_chat_tokens', 'travelchat_changes', 'travelchat_members', 'travelchat_pruned',"
      " 'travelchat_epoch', 'travelchat_schema'])"
      " AND c.relowner = current_user::regrole"
      " UNION ALL"
      " SELECT format('FUNCTION %s', p.oid::regprocedure) FROM pg_proc p"
      " JOIN pg_namespace n ON n.oid = p.pronamespace"
      " WHERE n.nspname = $1::text AND starts_with(p.proname::text, 'travelchat_')"
      " AND p.proowner = current_user::regrole",
      Parameters(target.schema));
  char* quoted = PQescapeIdentifier(database.handle(), owner.data(), owner.size());
  const std::string to = quoted != nullptr ? quoted : "";
  PQfreemem(quoted);
  for (int i = 0; i < ours.size(); ++i) database.execute("ALTER " + std::string(ours[i].text(0)) + " OWNER TO " + to);
}

// The statements that take from everybody but its owner the right to execute a SECURITY DEFINER function of ours. The
// default gives it to PUBLIC, ALTER DEFAULT PRIVILEGES may give it to others, and a restored dump may have lost what
// was said here.
std::vector<std::string> revocations(Connection& database, const Target& target) {
  const Result doors = database.execute(
      "SELECT format('REVOKE ALL ON FUNCTION %s FROM %s CASCADE', p.oid::regprocedure,"
      " CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)"
      " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
      " CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a"
      " WHERE n.nspname = $1::text AND starts_with(p.proname::text, 'travelchat_') AND p.prosecdef"
      " AND a.grantee <> p.proowner"
      " AND (pg_has_role(p.proowner, 'USAGE') OR p.oid IN " TRAVELCHAT_ATTACHED_FUNCTIONS ")",
      Parameters(target.schema));
  std::vector<std::string> statements;
  for (int i = 0; i < doors.size(); ++i) statements.emplace_back(doors[i].text(0));
  return statements;
}

void close_doors(Connection& database, const Target& target) {
  for (const std::string& statement : revocations(database, target)) database.execute(statement);
  // For a role that is not the owner, REVOKE only warns; so the result is checked.
  if (const auto left = revocations(database, target); !left.empty()) {
    throw refusal("others may run a function that has the rights of the tables' owner, who must take that from them: " +
                  left.front());
  }
}

// ---- Migrating ----

// The definitions that may be repeated, in one transaction.
void define(Connection& database, const Target& target, const FoundTables& found) {
  database.execute_script(sql::tables);
  add_references(database, found);
  add_columns(database);
  database.execute_script(sql::columns);
  database.execute_script(sql::functions);
  database.execute_script(sql::numbering);
  database.execute_script(sql::triggers);
  database.execute_script(sql::upkeep);
  database.execute("INSERT INTO @.travelchat_epoch (epoch) VALUES ($1::text) ON CONFLICT DO NOTHING",
                   Parameters(to_string(
                       make_uuid(std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now())))));
  give_to_owner(database, target);
  close_doors(database, target);
}

void adopt(Connection& database, const Target& target, const FoundTables& found) {
  check_shape(found);
  check_rows(database, found);
  if (!found.empty()) target.log("adopting the tables of schema " + target.schema);

  const auto is_new = [&](const Index& index) { return !found.contains(index.table); };
  // Triggers and columns come in one transaction, so that every later write is followed.
  with_short_locks(database, target, ddl_lock_timeout, "adding columns", [&] {
    define(database, target, found);
    const auto create = [&](const Index& index) {
      if (is_new(index) && !is_there(database, index.name)) create_index(database, index, false);
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
}

void migrate(Connection& database, const Target& target, std::int64_t version) {
  check_rights_to_migrate(database, target);
  const FoundTables found = find_tables(database, target.schema);
  if (version == 0) {
    adopt(database, target, found);
  } else {
    with_short_locks(database, target, ddl_lock_timeout, "bringing the schema up to date",
                     [&] { define(database, target, found); });
  }
  database.execute("INSERT INTO @.travelchat_schema (version) VALUES ($1::bigint) ON CONFLICT DO NOTHING",
                   Parameters(static_cast<std::uint64_t>(newest_version)));
  if (version == 0 && !found.empty()) target.log("the tables are adopted");
}

// Held by the session, and polled rather than waited for: a transaction that waits would hold up the index that the
// other process builds.
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
  // A session of its own, which knows that schema; its end releases the lock, however it comes.
  Connection database(target, Use::migrate, connect_by);
  try {
    const auto is_prepared = [&] {
      return schema_version(database) == newest_version && revocations(database, target).empty();
    };
    if (!is_prepared()) {
      MigrationLock lock(database, target);
      if (const auto version = schema_version(database); version != newest_version) migrate(database, target, version);
      close_doors(database, target);
      lock.release();
    }
    check_rights_to_run(database);
  } catch (const Failure& failure) {
    // 42501: insufficient_privilege
    if (failure.sqlstate != "42501") throw;
    throw refusal("the role lacks a right: " + failure.message);
  }
}

}  // namespace travelchat::postgres
