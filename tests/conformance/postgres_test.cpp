// What the PostgreSQL storage does with a database that others use too: it adopts their tables, refuses what it cannot
// keep its promises on, and follows those who go on writing.

#include "fixture.hpp"
#include "later_version.hpp"
#include "postgres_server.hpp"

#include "core/digest.hpp"

#include <travelchat/postgres_storage.hpp>

#include <atomic>
#include <deque>
#include <fstream>
#include <future>
#include <set>
#include <system_error>
#include <thread>

namespace travelchat::conformance {

namespace {

// The tables of a Travel Lab application before it knew travelchat.
constexpr const char* host_tables = R"sql(
CREATE TABLE organizations (id varchar PRIMARY KEY, name text);
CREATE TABLE clients (id varchar PRIMARY KEY, org_id varchar NOT NULL REFERENCES organizations (id));
INSERT INTO organizations VALUES ('org-1'), ('org-2');
INSERT INTO clients SELECT 'client-' || n, 'org-1' FROM generate_series(1, 1000) n;
)sql";
constexpr const char* old_chat_tables = R"sql(
CREATE TABLE conversations (
  id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
  org_id varchar NOT NULL REFERENCES organizations (id),
  client_id varchar NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
  last_message_at timestamp NOT NULL DEFAULT now(),
  created_at timestamp DEFAULT now()
);
CREATE TABLE messages (
  id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
  conversation_id varchar NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  org_id varchar NOT NULL,
  sender_type text NOT NULL,
  sender_id varchar NOT NULL,
  sender_name text,
  content text NOT NULL,
  is_read boolean DEFAULT false,
  created_at timestamp DEFAULT now()
);
)sql";
// Those of an application that has built the chat of the specification itself.
constexpr const char* spec_chat_tables = R"sql(
ALTER TABLE messages ADD COLUMN seen_at timestamp, ADD COLUMN attachment_url text, ADD COLUMN attachment_type text,
  ADD COLUMN attachment_name text;
CREATE TABLE message_reactions (
  id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
  message_id varchar NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
  conversation_id varchar NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  org_id varchar NOT NULL REFERENCES organizations (id),
  reactor_type text NOT NULL,
  reactor_id varchar NOT NULL,
  reactor_name text NOT NULL,
  emoji text NOT NULL,
  created_at timestamp DEFAULT now()
);
CREATE TABLE client_chat_tokens (
  id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
  client_id varchar NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
  org_id varchar NOT NULL REFERENCES organizations (id),
  trip_id varchar NOT NULL,
  token varchar NOT NULL UNIQUE,
  expires_at timestamp NOT NULL,
  created_at timestamp DEFAULT now()
);
)sql";

// `count` conversations of which the first has a tenth of the messages; some without a time, many at the same one.
std::string fill(int conversations, int messages) {
  return "INSERT INTO conversations (org_id, client_id) SELECT 'org-1', 'client-' || n FROM generate_series(1, " +
         std::to_string(conversations) +
         ") n;"
         "INSERT INTO messages (conversation_id, org_id, sender_type, sender_id, sender_name, content, is_read, "
         "created_at)"
         " SELECT c.ids[CASE WHEN n % 10 = 0 THEN 1 ELSE 1 + (n * 7919) % " +
         std::to_string(conversations) +
         " END], 'org-1', CASE WHEN n % 3 = 0 THEN 'client' ELSE 'advisor' END, 'somebody', 'Somebody', 'text ' || n,"
         " n % 2 = 0, CASE WHEN n % 97 <> 0 THEN timestamp '2026-01-01' + ((n * 7907) % 50000) * interval '1 minute' "
         "END"
         " FROM generate_series(1, " +
         std::to_string(messages) + ") n, (SELECT array_agg(id ORDER BY client_id) AS ids FROM conversations) c;";
}

std::unique_ptr<PostgresStorage> open(const std::string& url, std::function<void(std::string_view)> log = {}) {
  PostgresStorageOptions options;
  options.url = url;
  options.log = std::move(log);
  return PostgresStorage::open(options);
}

// What a refused opening says; empty when it was not refused with that error.
std::string refusal(const std::string& url, errc expected) {
  try {
    open(url);
    return "";
  } catch (const std::system_error& refused) {
    return boost::system::error_code(refused.code()) == expected ? refused.what() : "";
  }
}

// All that is in the schema and every version of a row: the same again means that nothing has been written.
std::string everything(Session& session, const std::string& schema) {
  std::string sql = "SELECT md5(string_agg(x, ',' ORDER BY x)) FROM (";
  for (const char* table :
       {"conversations", "messages", "message_reactions", "client_chat_tokens", "travelchat_changes",
        "travelchat_members", "travelchat_schema", "travelchat_epoch", "travelchat_pruned"}) {
    sql += "SELECT '" + std::string(table) + "' || xmin::text || ctid::text AS x FROM " + table + " UNION ALL ";
  }
  sql += "SELECT 'class' || xmin::text || oid::text FROM pg_class WHERE relnamespace = '" + schema + "'::regnamespace";
  sql +=
      " UNION ALL SELECT 'trigger' || t.xmin::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
      " WHERE c.relnamespace = '" +
      schema + "'::regnamespace";
  sql += " UNION ALL SELECT 'proc' || xmin::text FROM pg_proc WHERE pronamespace = '" + schema + "'::regnamespace) x";
  return session.value(sql);
}

std::string shape(Session& session, const std::string& schema) {
  return session.value(
      "SELECT string_agg(table_name || '.' || column_name || ' ' || data_type, ',' ORDER BY table_name, column_name)"
      " FROM information_schema.columns WHERE table_schema = '" +
      schema + "'");
}

// An older server of the application: it writes as it always has, until it is told to end. It alone marks every third
// conversation, from `first` on: two servers that mark the messages of one at a time lock them in the order of their
// scans, and could deadlock with each other before there was any travelchat.
class OldServer {
 public:
  OldServer(const std::string& url, std::vector<std::string> conversations, std::size_t first)
      : session_(url),
        conversations_(std::move(conversations)),
        first_(first),
        thread_([this](std::stop_token stop) { run(stop); }) {}

  // Ends it. What went wrong, if anything.
  std::string stop() {
    thread_.request_stop();
    thread_.join();
    return failure_;
  }
  int written() const { return written_; }
  std::chrono::milliseconds longest() const { return longest_; }

 private:
  void run(const std::stop_token& stop) {
    for (unsigned n = 0; !stop.stop_requested() && failure_.empty(); ++n) {
      const std::size_t place = n * 31 % conversations_.size();
      const std::string id = "'" + conversations_[place] + "'";
      const std::string role = n % 2 == 0 ? "client" : "advisor";
      step("INSERT INTO messages (conversation_id, org_id, sender_type, sender_id, sender_name, content) VALUES (" +
           id + ", 'org-1', '" + role + "', 'old', 'Old', 'written meanwhile')");
      ++written_;
      step("UPDATE conversations SET last_message_at = now() WHERE id = " + id);
      if (place % 3 == first_) {
        step("UPDATE messages SET is_read = true WHERE conversation_id = " + id +
             " AND sender_type = 'client' AND is_read = false");
      }
    }
  }
  void step(const std::string& sql) {
    const auto start = std::chrono::steady_clock::now();
    if (const auto failed = session_.try_run(sql)) failure_ = *failed;
    longest_ = std::max(longest_, std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start));
  }

  Session session_;
  std::vector<std::string> conversations_;
  std::size_t first_;
  std::string failure_;
  int written_ = 0;
  milliseconds longest_{0};
  std::jthread thread_;
};

std::vector<std::string> ids_of(Session& session, const std::string& sql) {
  std::vector<std::string> ids;
  for (const auto& row : session.query(sql)) ids.push_back(row.front());
  return ids;
}

result<Written> commit_one(Storage& storage, const Write& write) {
  std::vector<result<Written>> results;
  if (const error_code failed = storage.commit({&write, 1}, results)) return failed;
  return results.front();
}

}  // namespace

TEST_CASE("postgres: a database of 100,000 messages is adopted while its old servers write") {
  Schema schema;
  Session session(schema.url());
  session.query(host_tables);
  session.query(old_chat_tables);
  session.query(fill(400, 100'000));
  session.query(
      "CREATE TABLE order_before AS SELECT id, row_number() OVER (PARTITION BY conversation_id"
      " ORDER BY created_at NULLS FIRST, id COLLATE \"C\") AS place FROM messages");
  const std::string file = session.value("SELECT pg_relation_filenode('messages')");
  const auto conversations = ids_of(session, "SELECT id FROM conversations ORDER BY client_id");

  std::deque<OldServer> servers;
  for (std::size_t i = 0; i < 3; ++i) servers.emplace_back(schema.url(), conversations, i);
  auto storage = open(schema.url());
  int written = 0;
  for (auto& server : servers) {
    CHECK(server.stop() == "");
    CHECK(server.longest() < seconds{20});  // nobody waits for the end of it
    written += server.written();
    WARN("the longest wait of an old server was " << server.longest().count() << " ms, for " << server.written()
                                                  << " messages");
  }
  CHECK(written > 0);
  CHECK(session.value("SELECT count(*) FROM messages") == std::to_string(100'000 + written));
  CHECK(count_wrong(session) == "0");
  // What was there keeps its order of time and comes before what was written meanwhile, unless that came before the
  // numbering and has an earlier place in time.
  CHECK(session.value("SELECT count(*) FROM messages m JOIN order_before b USING (id) WHERE m.seq < b.place") == "0");
  CHECK(session.value("SELECT count(*) FROM (SELECT m.seq < lag(m.seq) OVER (PARTITION BY m.conversation_id ORDER BY"
                      " b.place) AS back FROM messages m JOIN order_before b USING (id)) x WHERE back") == "0");
  CHECK(session.value("SELECT pg_relation_filenode('messages')") == file);  // the table was not rewritten

  const Uuid id = *parse_uuid(conversations.front());
  const auto row = storage->find_conversation(id);
  REQUIRE(row);
  REQUIRE(*row);
  const auto sent = commit_one(*storage, message_to(id, advisor(), "hello"));
  REQUIRE(sent);
  CHECK(sent->message->seq == (*row)->last_seq + 1);
  CHECK(sent->message->rev == (*row)->rev + 1);
  const auto page = storage->list_messages({id, std::nullopt, std::nullopt, 200});
  REQUIRE(page);
  CHECK(page->messages.size() == 200);
  CHECK(page->messages.back() == *sent->message);
}

TEST_CASE("postgres: an adoption that was interrupted at any step is finished by the next start") {
  Schema schema;
  Session session(schema.url());
  session.query(host_tables);
  session.query(old_chat_tables);
  session.query(spec_chat_tables);
  session.query(fill(50, 12'000));
  const auto conversations = ids_of(session, "SELECT id FROM conversations");
  std::vector<std::string> told;
  open(Schema().url(), [&](std::string_view text) { told.emplace_back(text); });
  CHECK(told.empty());  // nothing to adopt

  // Ends the adopting session whenever it says what it has not said before.
  std::set<std::string> interrupted_at;
  for (std::size_t interrupted = 0;; ++interrupted) {
    try {
      open(schema.url(), [&](std::string_view text) {
        if (!interrupted_at.emplace(text).second) return;
        session.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
            " AND objid::bigint = hashtext('" +
            schema.name() + "')::bigint & 4294967295)");
      });
      break;
    } catch (const std::system_error&) {
    }
    // Its old servers know nothing of all that.
    session.query(
        "INSERT INTO messages (conversation_id, org_id, sender_type, sender_id, sender_name, content) VALUES ('" +
        conversations[interrupted % conversations.size()] + "', 'org-1', 'client', 'old', 'Old', 'in between')");
  }
  const std::size_t interrupted = interrupted_at.size();
  CHECK(interrupted > 8);
  CHECK(session.value("SELECT count(*) FROM messages") == std::to_string(12'000 + interrupted));
  CHECK(count_wrong(session) == "0");
}

TEST_CASE("postgres: an index whose building broke off is built anew") {
  Schema schema;
  Session session(schema.url());
  session.query(host_tables);
  session.query(old_chat_tables);
  session.query(fill(3, 30));
  const std::string invalid =
      "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('travelchat_messages_by_seq') AND NOT indisvalid";
  Session writer(schema.url());
  std::atomic<bool> is_building{false};
  std::jthread killer([&](std::stop_token stop) {
    Session watch(schema.url());
    while (!stop.stop_requested()) {
      if (is_building && watch.value(invalid) == "1") {
        watch.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE"
            " 'CREATE UNIQUE INDEX CONCURRENTLY travelchat_messages_by_seq%' AND pid IN (SELECT pid FROM"
            " pg_locks WHERE relation = 'messages'::regclass)");
        return;
      }
      std::this_thread::sleep_for(milliseconds{5});
    }
  });
  const auto interrupted = [&] {
    open(schema.url(), [&](std::string_view text) {
      if (text != "building the index travelchat_messages_by_seq" || is_building) return;
      // The index waits for whoever writes at that moment.
      writer.query("BEGIN");
      writer.query(
          "INSERT INTO messages (conversation_id, org_id, sender_type, sender_id, content)"
          " SELECT id, 'org-1', 'client', 'old', 'slow' FROM conversations LIMIT 1");
      is_building = true;
    });
  };
  CHECK_THROWS_AS(interrupted(), std::system_error);
  writer.query("COMMIT");
  CHECK(session.value(invalid) == "1");
  open(schema.url());
  CHECK(session.value(invalid) == "0");
  CHECK(session.value("SELECT count(*) FROM messages") == "31");
  CHECK(count_wrong(session) == "0");
}

TEST_CASE("postgres: an adoption makes way for a transaction that uses the tables, and waits for it") {
  Schema schema;
  Session session(schema.url());
  session.query(host_tables);
  session.query(old_chat_tables);
  session.query(fill(3, 30));
  Session reader(schema.url());
  reader.query("BEGIN");
  reader.query("SELECT count(*) FROM messages");
  std::size_t waited = 0;
  open(schema.url(), [&](std::string_view text) {
    if (text != "waiting for a lock: adding columns") return;
    ++waited;
    // It has let go of everything, so others get through.
    session.query(
        "INSERT INTO messages (conversation_id, org_id, sender_type, sender_id, content)"
        " SELECT id, 'org-1', 'client', 'old', 'meanwhile' FROM conversations LIMIT 1");
    reader.query("COMMIT");
  });
  CHECK(waited == 1);
  CHECK(session.value("SELECT count(*) FROM messages") == "31");
  CHECK(count_wrong(session) == "0");
}

TEST_CASE("postgres: a second start changes nothing") {
  Schema schema;
  Session session(schema.url());
  session.query(host_tables);
  session.query(old_chat_tables);
  session.query(spec_chat_tables);
  session.query(fill(20, 500));
  open(schema.url());
  const std::string before = everything(session, schema.name());
  open(schema.url());
  CHECK(everything(session, schema.name()) == before);
}

TEST_CASE("postgres: processes that start together migrate once") {
  Schema schema;
  Session session(schema.url());
  session.query(host_tables);
  session.query(old_chat_tables);
  session.query(fill(50, 5'000));
  std::atomic<int> adopted{0};
  std::atomic<int> opened{0};
  {
    std::vector<std::jthread> nodes;
    for (int i = 0; i < 4; ++i) {
      nodes.emplace_back([&] {
        open(schema.url(), [&](std::string_view text) {
          if (text == "the tables are adopted") ++adopted;
        });
        ++opened;
      });
    }
  }
  CHECK(opened == 4);
  CHECK(adopted == 1);
  CHECK(count_wrong(session) == "0");
}

TEST_CASE("postgres: what cannot be adopted is refused by name and number, and left as it is") {
  struct Refusal {
    const char* change;
    const char* says;
  };
  const auto [change, says] = GENERATE(values<Refusal>({
      {"ALTER TABLE conversations ALTER COLUMN client_id TYPE integer USING 1", "conversations.client_id is integer"},
      {"ALTER TABLE messages ALTER COLUMN created_at TYPE text", "messages.created_at is text"},
      {"ALTER TABLE messages ALTER COLUMN created_at TYPE timestamp(0)", "messages.created_at is timestamp"},
      {"ALTER TABLE messages ADD COLUMN seq integer", "messages.seq is integer"},
      {"ALTER TABLE messages DROP COLUMN content", "messages has no column content"},
      {"ALTER TABLE messages ADD COLUMN tenant text NOT NULL DEFAULT 'x';"
       "ALTER TABLE messages ALTER COLUMN tenant DROP DEFAULT",
       "messages.tenant"},
      {"ALTER TABLE messages DROP CONSTRAINT messages_pkey", "messages has no primary key"},
      {"INSERT INTO conversations (id, org_id, client_id) VALUES ('one', 'org-1', 'client-900'),"
       " (upper(gen_random_uuid()::text), 'org-1', 'client-901')",
       "2 rows of conversations cannot be adopted: the id"},
      {"UPDATE messages SET id = 'm-1' WHERE id = (SELECT id FROM messages LIMIT 1)", "1 row of messages"},
      {"UPDATE messages SET sender_type = 'robot' WHERE content IN ('text 1', 'text 2', 'text 3')",
       "3 rows of messages cannot be adopted: sender_type"},
      {"INSERT INTO conversations (org_id, client_id) SELECT 'org-1', 'client-' || n FROM generate_series(1, 4) n",
       "4 rows of conversations cannot be adopted: another one has the same"},
      {"CREATE TABLE travelchat_schema (version integer PRIMARY KEY); INSERT INTO travelchat_schema VALUES (1000)",
       "newer version"},
  }));
  INFO(change);
  Schema schema;
  Session session(schema.url());
  session.query(host_tables);
  session.query(old_chat_tables);
  session.query(fill(5, 50));
  session.query("ALTER TABLE conversations DROP CONSTRAINT conversations_client_id_fkey");
  session.query(change);
  const std::string before = shape(session, schema.name());
  const std::string said = refusal(schema.url(), errc::storage_incompatible);
  INFO(said);
  CHECK(said.find(says) != std::string::npos);
  CHECK(shape(session, schema.name()) == before);
}

TEST_CASE("postgres: a session that would not be durable is refused") {
  Schema schema;
  const std::string said = refusal(schema.url() + "%20-csynchronous_commit%3Doff", errc::storage_incompatible);
  CHECK(said.find("synchronous_commit") != std::string::npos);
  CHECK(Session(schema.url())
            .value("SELECT count(*) FROM information_schema.tables WHERE table_schema = '" + schema.name() + "'") ==
        "0");
}

TEST_CASE("postgres: a server without fsync and a standby are refused, and a session stays durable") {
  {
    PostgresServer server;
    Schema schema(server.url());
    const auto storage = open(schema.url());
    Session session(server.admin_url());
    // A reload reaches the sessions that are there, but for what they have pinned.
    const auto setting = [&] {
      std::string value;
      REQUIRE_FALSE(storage->read([&](pg_conn* connection) {
        PGresult* const row = PQexec(connection, "SHOW synchronous_commit");
        value = PQgetvalue(row, 0, 0);
        PQclear(row);
      }));
      return value;
    };
    CHECK(setting() == "on");
    session.query("ALTER SYSTEM SET synchronous_commit = 'off'");
    session.query("SELECT pg_reload_conf()");
    while (Session(server.url()).value("SHOW synchronous_commit") != "off") {
    }
    CHECK(setting() == "on");
    CHECK(refusal(schema.url(), errc::storage_incompatible).find("synchronous_commit") != std::string::npos);
    session.query("ALTER SYSTEM SET synchronous_commit = 'on'");
    session.query("ALTER SYSTEM SET fsync = 'off'");
    session.query("SELECT pg_reload_conf()");
    while (Session(server.url()).value("SHOW fsync") != "off") {
    }
    CHECK(refusal(schema.url(), errc::storage_incompatible).find("fsync") != std::string::npos);
    session.query("ALTER SYSTEM RESET ALL");
    const std::string data = session.value("SHOW data_directory");
    std::ofstream(data + "/standby.signal").close();
    server.restart_at_once();
    CHECK(refusal(schema.url(), errc::storage_incompatible).find("standby") != std::string::npos);
    std::filesystem::remove(data + "/standby.signal");
    server.restart_at_once();
    CHECK(open(schema.url()));
  }
}

TEST_CASE("postgres: an option that is not valid is refused by its name") {
  Schema schema;
  const auto refused = [&](auto set) {
    PostgresStorageOptions options;
    options.url = schema.url();
    set(options);
    try {
      PostgresStorage::open(options);
    } catch (const OptionError& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  using Options = PostgresStorageOptions;
  CHECK(refused([](Options& o) { o.url.clear(); }).starts_with("url must not be empty"));
  CHECK(refused([](Options& o) { o.url += '\0'; }) == "url must not hold a NUL");
  CHECK(refused([](Options& o) { o.lanes = 1'025; }) == "lanes must be at most 1024");
  CHECK(refused([](Options& o) { o.max_readers = std::size_t(-1); }) == "max_readers must be at most 1024");
  CHECK(refused([](Options& o) { o.patience = milliseconds{0}; }) == "patience must be longer than 0");
  CHECK(refused([](Options& o) { o.connect_timeout = milliseconds{-1}; }) == "connect_timeout must be longer than 0");
  CHECK(Session(schema.url())
            .value("SELECT count(*) FROM information_schema.tables WHERE table_schema = '" + schema.name() + "'") ==
        "0");
  CHECK(refused([](Options&) {}) == "none");
}

TEST_CASE("postgres: what is wrong with the address is said without the password") {
  CHECK(refusal("postgres://me:secret%zz@localhost/x", errc::invalid_argument).find("secret") == std::string::npos);
  CHECK_FALSE(refusal("postgres://me:secret%zz@localhost/x", errc::invalid_argument).empty());
  const std::string shared = shared_postgres();
  const std::string place = shared.substr(shared.find('@'));
  // Refused by a server that is there, so at once.
  const auto start = std::chrono::steady_clock::now();
  const std::string denied = refusal("postgres://travelchat:secret" + place, errc::storage_failed);
  CHECK(std::chrono::steady_clock::now() - start < seconds{4});
  CHECK(denied.find("password authentication failed") != std::string::npos);
  CHECK(denied.find("secret") == std::string::npos);
  CHECK(
      refusal(shared_postgres() + "?options=-csearch_path%3Dnowhere", errc::storage_incompatible).find("search_path") !=
      std::string::npos);
}

TEST_CASE("postgres: the tables are found along the search path and completed where they are") {
  Schema first;
  Schema second;
  Session session(second.url());
  session.query(host_tables);
  session.query(old_chat_tables);
  auto storage = open(first.url() + "," + second.name());
  CHECK(session.value("SELECT count(*) FROM pg_class WHERE relnamespace = '" + first.name() + "'::regnamespace") ==
        "0");
  CHECK(session.value("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = '" + second.name() +
                      "'::regnamespace") == "11");
  const TimePoint now{seconds{1'764'000'000}};
  REQUIRE(commit_one(*storage, OpenConversation{make_uuid(now), "org-1", "client-1", now}));
  // A writer that names the schema and looks elsewhere is followed as well.
  Session elsewhere(shared_postgres());
  elsewhere.query("INSERT INTO " + second.name() +
                  ".messages (conversation_id, org_id, sender_type, sender_id, content) SELECT id, 'org-1', 'client',"
                  " 'c', 'hi' FROM " +
                  second.name() + ".conversations");
  CHECK(count_wrong(session) == "0");
}

TEST_CASE("postgres: with the host's tables there, a chat is for its clients and goes with them") {
  Schema schema;
  Session session(schema.url());
  session.query(host_tables);
  auto storage = open(schema.url());
  const TimePoint now{seconds{1'764'000'000}};
  const OpenConversation stranger{make_uuid(now), "org-1", "client-0", now};
  const OpenConversation known{make_uuid(now), "org-1", "client-1", now};
  const std::vector<Write> writes{stranger, known};
  std::vector<result<Written>> results;
  REQUIRE_FALSE(storage->commit(writes, results));
  CHECK(failed_with(results[0], errc::not_found));
  REQUIRE(results[1]);
  REQUIRE(commit_one(*storage, message_to(known.conversation_id, client(), "hello")));
  REQUIRE(
      commit_one(*storage, PutToken{{}, {"org-1", "client-1", "trip", known.conversation_id, now + seconds{9}}, now}));
  session.query("DELETE FROM clients WHERE id = 'client-1'");
  CHECK_FALSE(*storage->find_conversation(known.conversation_id));
  CHECK(session.value("SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM client_chat_tokens)") == "0");
  CHECK(
      failed_with(commit_one(*storage, message_to(known.conversation_id, client(), "still there?")), errc::not_found));
}

TEST_CASE("postgres: what a later version has written is taken as far as this one knows it") {
  Schema schema;
  Session session(schema.url());
  auto storage = open(schema.url());
  const TimePoint now{seconds{1'764'000'000}};
  const Uuid id = commit_one(*storage, OpenConversation{make_uuid(now), "org-1", "client-1", now})->conversation.id;
  REQUIRE(commit_one(*storage, message_to(id, client(), "one")));
  REQUIRE(commit_one(*storage, message_to(id, client(), "two")));
  const std::string name = "'" + to_string(id) + "'";
  // 3: of no message; 4: of a message, in a way that has no name here; 5: a mark.
  session.query("SET travelchat.engine = 'on'");
  session.query("INSERT INTO travelchat_changes (conversation_id, rev, kind, first_seq, last_seq, at) VALUES (" + name +
                ", 3, 9, 0, 0, now()), (" + name + ", 4, 7, 2, 2, now()), (" + name + ", 5, 2, 1, 2, now())");
  session.query("UPDATE messages SET content = 'edited', rev = 4, content_rev = 4 WHERE seq = 2");
  session.query("UPDATE conversations SET rev = 5");
  session.query("INSERT INTO travelchat_members VALUES (" + name + ", 'client', 'client-2', 'Dora', 0, 0)");
  check_later_changes(*storage, id);
  // A further client is a member like the first.
  CHECK(commit_one(*storage, message_to(id, client("client-2"), "three")));
  CHECK(commit_one(*storage, MarkConversation{id, client("client-2"), now}));
  check_later_member(*storage, id, 3);
}

TEST_CASE("postgres: a host that writes by itself is followed") {
  Schema schema;
  Session session(schema.url());
  auto storage = open(schema.url());
  session.query("INSERT INTO conversations (org_id, client_id) VALUES ('org-1', 'client-1')");
  const Uuid id = *parse_uuid(session.value("SELECT id FROM conversations"));
  const auto insert = [&](const std::string& sender, const std::string& content) {
    return session.value(
        "INSERT INTO messages (conversation_id, org_id, sender_type, sender_id, sender_name, content)"
        " VALUES ('" +
        to_string(id) + "', 'org-1', '" + sender + "', 'x', 'X', '" + content + "') RETURNING id");
  };
  const std::string first = insert("client", "one");
  insert("advisor", "two");
  REQUIRE(commit_one(*storage, message_to(id, client(), "three")));
  insert("client", "four");

  SECTION("its messages take their places") {
    const auto page = storage->list_messages({id, std::nullopt, std::nullopt, 200});
    REQUIRE(page->messages.size() == 4);
    for (std::uint64_t n = 0; n < 4; ++n) {
      CHECK(page->messages[n].seq == n + 1);
      CHECK(page->messages[n].rev == n + 1);
    }
    const auto row = *storage->find_conversation(id);
    CHECK(row->last_seq == 4);
    CHECK(row->unread_count == 3);
    CHECK(row->last_message_at == page->messages[3].created_at);
  }
  SECTION("its marks are one revision each") {
    session.query("UPDATE messages SET is_read = true WHERE sender_type = 'client'");
    session.query("UPDATE messages SET is_read = true WHERE sender_type = 'client'");
    session.query("UPDATE messages SET seen_at = now() WHERE sender_type = 'advisor' AND seen_at IS NULL");
    const auto list = storage->list_changes(id, 4, 100);
    REQUIRE(list->changes.size() == 2);
    REQUIRE(list->changes[0].mark);
    CHECK(list->changes[0].mark->viewer == Role::advisor);
    CHECK(list->changes[0].rev == 5);
    REQUIRE(list->changes[1].mark);
    CHECK(list->changes[1].mark->viewer == Role::client);
    CHECK(list->changes[1].rev == 6);
    CHECK((*storage->find_conversation(id))->unread_count == 0);
    const auto page = storage->list_messages({id, std::nullopt, 4, 200});
    REQUIRE(page->messages.size() == 4);
    CHECK(page->messages[0].rev == 5);
    CHECK(page->messages[1].rev == 6);
    // Nothing is left for a mark of ours.
    CHECK_FALSE(commit_one(*storage, MarkConversation{id, advisor(), {}})->changed);
    session.query("UPDATE messages SET is_read = false WHERE id = '" + first + "'");
    const auto marked = commit_one(*storage, MarkConversation{id, advisor(), {}});
    CHECK(marked->count == 1);
  }
  SECTION("its reactions replace each other, whether it deletes first or forgets to") {
    const auto react = [&](const std::string& emoji) {
      session.query(
          "INSERT INTO message_reactions (message_id, conversation_id, org_id, reactor_type, reactor_id,"
          " reactor_name, emoji) VALUES ('" +
          first + "', '" + to_string(id) + "', 'org-1', 'advisor', 'a', 'A', '" + emoji + "')");
    };
    react("\U0001F44D");
    react("\U0001F602");
    session.query("DELETE FROM message_reactions");
    react("\u2764\uFE0F");
    const auto list = storage->list_changes(id, 4, 100);
    REQUIRE(list->changes.size() == 4);
    for (std::uint64_t n = 0; n < 4; ++n) {
      CHECK(list->changes[n].rev == 5 + n);
      REQUIRE(list->changes[n].message);
      REQUIRE(list->changes[n].message->reactions.size() == 1);
      CHECK(list->changes[n].message->reactions[0].emoji == Emoji::heart);
    }
    session.query("UPDATE message_reactions SET emoji = '\U0001F622'");
    const auto taken = commit_one(
        *storage,
        PutReaction{make_uuid({}), id, *parse_uuid(first), {"org-1", Role::advisor, "a", "A"}, std::nullopt, {}});
    CHECK(taken->changed);
    CHECK(taken->reactions.empty());
    CHECK(taken->conversation.rev == 10);
  }
  SECTION("what it deletes counts no more") {
    session.query("DELETE FROM messages WHERE id = '" + first + "'");
    CHECK((*storage->find_conversation(id))->unread_count == 2);
    const auto page = storage->list_messages({id, std::nullopt, std::nullopt, 2});
    CHECK(page->has_more);
    const auto rest = storage->list_messages({id, page->messages.front().seq, std::nullopt, 2});
    CHECK(rest->messages.size() == 1);
    CHECK_FALSE(rest->has_more);
    CHECK(storage->list_messages({id, std::nullopt, 1, 10})->messages.size() == 3);
    return;  // its seq is missing from now on
  }
  SECTION("an insert that meets its own id takes no seq") {
    session.query(
        "INSERT INTO messages (id, conversation_id, org_id, sender_type, sender_id, sender_name, content) VALUES"
        " ('" +
        first + "', '" + to_string(id) + "', 'org-1', 'client', 'x', 'X', 'again') ON CONFLICT DO NOTHING");
  }
  SECTION("what is no message is refused") {
    CHECK(session
              .try_run("INSERT INTO messages (id, conversation_id, org_id, sender_type, sender_id, sender_name,"
                       " content) VALUES ('m-1', '" +
                       to_string(id) + "', 'org-1', 'client', 'x', 'X', 'y')")
              ->find("must be a lower-case UUID") != std::string::npos);
    CHECK(session
              .try_run("INSERT INTO messages (conversation_id, org_id, sender_type, sender_id, sender_name, content)"
                       " VALUES ('" +
                       to_string(id) + "', 'org-1', 'robot', 'x', 'X', 'y')")
              ->find("must be advisor or client") != std::string::npos);
    CHECK(session.try_run("INSERT INTO conversations (id, org_id, client_id) VALUES ('c-1', 'org-1', 'client-2')")
              ->find("must be a lower-case UUID") != std::string::npos);
  }
  CHECK(count_wrong(session) == "0");
}

TEST_CASE("postgres: tokens that lay open are hashed, and go on working") {
  Schema schema;
  Session session(schema.url());
  session.query(host_tables);
  session.query(old_chat_tables);
  session.query(spec_chat_tables);
  session.query(fill(3, 9));
  const auto put = [&](const std::string& token, const std::string& client, const std::string& expires) {
    session.query("INSERT INTO client_chat_tokens (client_id, org_id, trip_id, token, expires_at) VALUES ('" + client +
                  "', 'org-1', 'trip-1', '" + token + "', now() + interval '" + expires + "')");
  };
  put("live", "client-1", "1 hour");
  put("over", "client-1", "-1 hour");
  put("nowhere", "client-9", "1 hour");  // has no conversation
  session.query("ALTER TABLE client_chat_tokens ALTER COLUMN expires_at DROP NOT NULL");
  session.query(
      "INSERT INTO client_chat_tokens (client_id, org_id, trip_id, token) VALUES ('client-1', 'org-1', 't', 'x')");
  auto storage = open(schema.url());
  put("later", "client-2", "1 hour");  // by an old server that runs on
  const auto now = std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
  for (const auto& [token, client] : {std::pair("live", "client-1"), std::pair("later", "client-2")}) {
    const auto claims = storage->find_token(sha256(token), now);
    REQUIRE(claims);
    REQUIRE(*claims);
    CHECK((*claims)->client_id == client);
    CHECK((*claims)->trip_id == "trip-1");
  }
  CHECK(session.value("SELECT count(*) FROM client_chat_tokens") == "2");
  CHECK(session.value("SELECT count(*) FROM client_chat_tokens WHERE token !~ '^[0-9a-f]{64}$'") == "0");
}

TEST_CASE("postgres: of reactions that a race had doubled, the newest is adopted") {
  Schema schema;
  Session session(schema.url());
  session.query(host_tables);
  session.query(old_chat_tables);
  session.query(spec_chat_tables);
  session.query(fill(1, 1));
  for (const auto& [emoji, day] :
       {std::pair("\U0001F44D", "2"), std::pair("\u2764", "3"), std::pair("\U0001F602", "1")}) {
    session.query(
        "INSERT INTO message_reactions (message_id, conversation_id, org_id, reactor_type, reactor_id,"
        " reactor_name, emoji, created_at) SELECT id, conversation_id, org_id, 'client', 'c', 'C', '" +
        std::string(emoji) + "', '2026-01-0" + day + "' FROM messages");
  }
  auto storage = open(schema.url());
  const Uuid id = *parse_uuid(session.value("SELECT id FROM conversations"));
  const auto page = storage->list_messages({id, std::nullopt, std::nullopt, 10});
  REQUIRE(page->messages.size() == 1);
  REQUIRE(page->messages[0].reactions.size() == 1);
  CHECK(page->messages[0].reactions[0].emoji == Emoji::heart);
}

TEST_CASE("postgres: who looks a token up, or pings, does not wait for reads of any number") {
  Schema schema;
  auto storage = open(schema.url());
  std::vector<result<Written>> results;
  const auto now = std::chrono::floor<milliseconds>(std::chrono::system_clock::now());
  const std::vector<Write> opening{OpenConversation{make_uuid(now), "org-1", "client-1", now}};
  REQUIRE_FALSE(storage->commit(opening, results));
  const Uuid id = results.front().value().conversation.id;
  Session host(schema.url());
  host.query("BEGIN");
  host.query("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE");
  const std::size_t readers = PostgresStorageOptions{}.max_readers;
  std::vector<std::future<bool>> reads;
  for (std::size_t i = 0; i <= readers; ++i) {
    reads.push_back(std::async(std::launch::async, [&] {
      return storage->list_messages({id, std::nullopt, std::nullopt, 20}).has_value();
    }));
  }
  const std::string waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'messages'::regclass";
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  while (host.value(waiting) != std::to_string(readers) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  CHECK(host.value(waiting) == std::to_string(readers));
  auto looks = std::async(std::launch::async, [&] {
    const auto token = storage->find_token(sha256("nobody's"), now);
    return !storage->ping() && token && !token->has_value();
  });
  CHECK(looks.wait_for(std::chrono::seconds{10}) == std::future_status::ready);
  host.query("COMMIT");
  CHECK(looks.get());
  for (auto& read : reads) CHECK(read.get());
}

TEST_CASE("postgres: a host's own work commits or leaves nothing") {
  Schema schema;
  Session session(schema.url());
  auto storage = open(schema.url());
  const auto insert = [](pg_conn* connection, const char* sql) {
    PGresult* const done = PQexec(connection, sql);
    const bool succeeded = PQresultStatus(done) == PGRES_COMMAND_OK;
    PQclear(done);
    return succeeded;
  };
  REQUIRE_FALSE(storage->write([&](pg_conn* c) { return insert(c, "CREATE TABLE notes (text text)"); }));
  REQUIRE_FALSE(storage->write([&](pg_conn* c) { return insert(c, "INSERT INTO notes VALUES ('kept')"); }));
  REQUIRE_FALSE(storage->write([&](pg_conn* c) { return !insert(c, "INSERT INTO notes VALUES ('dropped')"); }));
  CHECK_THROWS_AS(storage->write([&](pg_conn* c) -> bool {
    insert(c, "INSERT INTO notes VALUES ('thrown away')");
    throw std::runtime_error("the host's");
  }),
                  std::runtime_error);
  // A statement that failed must not look like a commit.
  CHECK(storage->write([&](pg_conn* c) {
    insert(c, "INSERT INTO notes VALUES ('with the failed one')");
    insert(c, "INSERT INTO nothing VALUES (1)");
    return true;
  }) == errc::storage_failed);
  CHECK_FALSE(storage->read([&](pg_conn* c) { CHECK_FALSE(insert(c, "INSERT INTO notes VALUES ('read only')")); }));
  CHECK(session.value("SELECT string_agg(text, ',') FROM notes") == "kept");
  // Its messages are a host's.
  session.query("INSERT INTO conversations (org_id, client_id) VALUES ('org-1', 'client-1')");
  REQUIRE_FALSE(storage->write([&](pg_conn* c) {
    return insert(c,
                  "INSERT INTO messages (conversation_id, org_id, sender_type, sender_id, sender_name, content)"
                  " SELECT id, org_id, 'advisor', 'a', 'A', 'by the host' FROM conversations");
  }));
  CHECK(session.value("SELECT seq FROM messages") == "1");
}

}  // namespace travelchat::conformance
