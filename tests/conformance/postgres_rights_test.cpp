// Who may do what in a database that others use too: the chat starts with the rights of a plain role, says which ones
// it lacks, and lends its own to nobody.

#include "fixture.hpp"
#include "postgres_server.hpp"

#include <travelchat/postgres_storage.hpp>

#include <fstream>
#include <sstream>
#include <system_error>

namespace travelchat::conformance {

namespace {

std::unique_ptr<PostgresStorage> open(const std::string& url) {
  PostgresStorageOptions options;
  options.url = url;
  return PostgresStorage::open(options);
}

// What a refused opening says.
std::string refusal(const std::string& url) {
  try {
    open(url);
    return "it was not refused";
  } catch (const std::system_error& refused) {
    CHECK(boost::system::error_code(refused.code()) == errc::storage_incompatible);
    return refused.what();
  }
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The tables as version 1 of the storage has made them, which only a superuser could.
void make_version_1(const std::string& admin_url) {
  Session session(admin_url);
  std::ostringstream sql;
  sql << "SET search_path = public, pg_temp;"
      << std::ifstream(TRAVELCHAT_CONFORMANCE_DATA "/postgres_version_1.sql").rdbuf();
  session.query(sql.str());
}

// Of a host that knows no chat yet.
constexpr const char* host_tables = R"sql(
CREATE TABLE conversations (
  id varchar PRIMARY KEY DEFAULT gen_random_uuid(),
  org_id varchar NOT NULL,
  client_id varchar NOT NULL,
  last_message_at timestamp DEFAULT now(),
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
INSERT INTO conversations (org_id, client_id) VALUES ('org-1', 'client-1');
INSERT INTO messages (conversation_id, org_id, sender_type, sender_id, content)
  SELECT id, 'org-1', 'client', 'client-1', 'before' FROM conversations;
)sql";

constexpr const char* host_message =
    "INSERT INTO messages (conversation_id, org_id, sender_type, sender_id, sender_name, content)"
    " SELECT id, 'org-1', 'client', 'client-1', 'C', 'by the host' FROM conversations";

TimePoint now() {
  return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
}

// Uses every kind of statement that the storage has, once.
void use(Storage& storage) {
  std::vector<result<Written>> results;
  const auto commit = [&](const Write& write) {
    REQUIRE_FALSE(storage.commit({&write, 1}, results));
    REQUIRE(results.front());
    return results.front().value();
  };
  const Uuid id = commit(OpenConversation{make_uuid(now()), "org-1", "client-1", now()}).conversation.id;
  const Uuid message = commit(message_to(id, client(), "hello", "key")).message->id;
  commit(message_to(id, client(), "hello", "key"));
  commit(message_to(id, advisor(), "and you?"));
  commit(PutReaction{make_uuid(now()), id, message, advisor(), Emoji::heart, now()});
  commit(PutReaction{make_uuid(now()), id, message, advisor(), std::nullopt, now()});
  commit(MarkConversation{id, advisor(), now()});
  commit(MarkConversation{id, client(), now()});
  commit(PutToken{{}, {"org-1", "client-1", "trip-1", id, now() + seconds{60}}, now()});
  CHECK(*storage.find_token({}, now()));
  CHECK(storage.list_messages({id, std::nullopt, std::nullopt, 10}));
  CHECK(storage.list_messages({id, std::nullopt, 1, 10}));
  CHECK(storage.list_changes(id, 0, 1'000));
  CHECK(storage.list_conversations({"org-1", "HELLO", {}}));
  CHECK(storage.list_revisions({{id}, {"org-1"}}));
  CHECK(storage.count_unread("org-1"));
  CHECK_FALSE(storage.ping());
  commit(DeleteToken{{}});
  commit(SweepTokens{now()});
}

// Writes to the tables as a host does, in every way that is followed.
void write_as_host(Session& host) {
  host.query(host_message);
  host.query(
      "INSERT INTO message_reactions (message_id, conversation_id, org_id, reactor_type, reactor_id, reactor_name, "
      "emoji)"
      " SELECT id, conversation_id, org_id, 'advisor', 'a', 'A', '\u2764\uFE0F' FROM messages");
  host.query("UPDATE message_reactions SET emoji = '\U0001F44D'");
  host.query("DELETE FROM message_reactions");
  host.query("UPDATE messages SET is_read = true WHERE NOT is_read");
  host.query(
      "INSERT INTO client_chat_tokens (client_id, org_id, trip_id, token, expires_at) VALUES ('client-1', 'org-1',"
      " 'trip-1', 't', now() + interval '1 hour')");
}

// ---- The attack ----

// What a role with LOGIN only can make: a type whose cast writes down as whom it runs, and a table with a trigger of
// the chat's. What it gets hold of is in "loot".
constexpr const char* bait = R"sql(
CREATE TYPE pg_temp.bait AS (x text);
CREATE TEMP TABLE loot (who text);
GRANT ALL ON loot TO PUBLIC;
CREATE FUNCTION pg_temp.bite(bait pg_temp.bait) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO pg_temp.loot VALUES (current_user);
  RETURN 'x';
END $$;
CREATE CAST (pg_temp.bait AS text) WITH FUNCTION pg_temp.bite(pg_temp.bait) AS IMPLICIT;
CREATE FUNCTION pg_temp.spit(t text) RETURNS pg_temp.bait LANGUAGE sql AS $$ SELECT ROW(t)::pg_temp.bait $$;
CREATE CAST (text AS pg_temp.bait) WITH FUNCTION pg_temp.spit(text) AS ASSIGNMENT;
CREATE TEMP TABLE trap (token pg_temp.bait, conversation_id text, org_id text, client_id text);
)sql";

// As whom its code has run; empty when it never did.
std::string attack(const std::string& url) {
  Session session(url);
  session.query(bait);
  if (!session.try_run("CREATE TRIGGER spring BEFORE INSERT ON trap FOR EACH ROW"
                       " EXECUTE FUNCTION public.travelchat_follow_token()")) {
    session.try_run("INSERT INTO trap (token) VALUES (ROW('y'))");
  }
  const auto rows = session.query("SELECT who FROM loot");
  return rows.empty() ? "" : rows.front().front();
}

// Which functions with the rights of their owner a role could make triggers of.
std::string lent_functions(const std::string& url) {
  return Session(url).value(
      "SELECT coalesce(string_agg(proname, ', '), '') FROM pg_proc WHERE prosecdef AND has_function_privilege(oid,"
      " 'EXECUTE') AND pronamespace = 'public'::regnamespace");
}

}  // namespace

TEST_CASE("postgres: a role that may only log in gets no hold of the chat's role") {
  Realm realm;
  SECTION("where a plain role has made the tables") {
    use(*open(realm.url()));
  }
  SECTION("where a superuser has") {
    use(*open(realm.admin_url()));
  }
  SECTION("where version 1 has, and a superuser brings them up to date") {
    make_version_1(realm.admin_url());
    CHECK(attack(realm.url("stranger")) == "postgres");  // as it was, and what this test is worth
    use(*open(realm.admin_url()));
  }
  SECTION("where version 1 has, and a plain role that was given them brings them up to date") {
    make_version_1(realm.admin_url());
    Session admin(realm.admin_url());
    admin.query(
        "DO $$ DECLARE o text; BEGIN FOR o IN"
        " SELECT 'TABLE ' || oid::regclass FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind"
        " = 'r' UNION ALL SELECT 'FUNCTION ' || oid::regprocedure FROM pg_proc WHERE pronamespace ="
        " 'public'::regnamespace LOOP EXECUTE 'ALTER ' || o || ' OWNER TO " +
        realm.role("owner") + "'; END LOOP; END $$");
    CHECK(attack(realm.url("stranger")) == realm.role("owner"));
    use(*open(realm.url()));
  }
  SECTION("where the rights of a dump were not restored") {
    open(realm.url());
    Session(realm.url()).query("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC");
    CHECK(attack(realm.url("stranger")) == realm.role("owner"));
    open(realm.url());
  }
  SECTION("where a host's settings give it every new function") {
    Session owner(realm.url());
    owner.query("ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO " + realm.role("stranger") +
                " WITH GRANT OPTION");
    use(*open(realm.url()));
  }
  CHECK(attack(realm.url("stranger")) == "");
  CHECK(lent_functions(realm.url("stranger")) == "");
  // Those who may write are still followed.
  Session admin(realm.admin_url());
  admin.query("INSERT INTO conversations (org_id, client_id) VALUES ('org-1', 'client-1') ON CONFLICT DO NOTHING");
  write_as_host(admin);
  CHECK(count_wrong(admin) == "0");
}

TEST_CASE("postgres: operators and functions that others make in the schema are not the chat's") {
  Realm realm;
  Session admin(realm.admin_url());
  // As before PostgreSQL 15.
  admin.query("GRANT CREATE ON SCHEMA public TO PUBLIC");
  const bool is_upgrade = GENERATE(false, true);
  if (is_upgrade) make_version_1(realm.admin_url());
  Session stranger(realm.url("stranger"));
  stranger.query(R"sql(
CREATE TABLE loot (who text, what text);
GRANT ALL ON loot TO PUBLIC;
CREATE FUNCTION public.bite(what text) RETURNS void LANGUAGE sql AS
  'INSERT INTO public.loot VALUES (current_user, what)';
CREATE FUNCTION public.same(a varchar, b text) RETURNS boolean LANGUAGE plpgsql AS
  $$ BEGIN PERFORM public.bite('varchar = text'); RETURN a::text OPERATOR(pg_catalog.=) b; END $$;
CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = text, FUNCTION = public.same, MERGES, HASHES);
CREATE FUNCTION public.same(a varchar, b varchar) RETURNS boolean LANGUAGE plpgsql AS
  $$ BEGIN PERFORM public.bite('varchar = varchar'); RETURN a::text OPERATOR(pg_catalog.=) b::text; END $$;
CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = public.same, MERGES, HASHES);
CREATE FUNCTION public.more(a varchar, b text) RETURNS boolean LANGUAGE plpgsql AS
  $$ BEGIN PERFORM public.bite('varchar > text'); RETURN a::text OPERATOR(pg_catalog.>) b; END $$;
CREATE OPERATOR public.> (LEFTARG = varchar, RIGHTARG = text, FUNCTION = public.more);
CREATE FUNCTION public.unlike(a varchar, b text) RETURNS boolean LANGUAGE plpgsql AS
  $$ BEGIN PERFORM public.bite('varchar !~ text'); RETURN a::text OPERATOR(pg_catalog.!~) b; END $$;
CREATE OPERATOR public.!~ (LEFTARG = varchar, RIGHTARG = text, FUNCTION = public.unlike);
CREATE FUNCTION public.starts_with(a name, b text) RETURNS boolean LANGUAGE plpgsql AS
  $$ BEGIN PERFORM public.bite('starts_with'); RETURN true; END $$;
CREATE FUNCTION public.same(a oid, b regclass) RETURNS boolean LANGUAGE plpgsql AS
  $$ BEGIN PERFORM public.bite('oid = regclass'); RETURN a::oid OPERATOR(pg_catalog.=) b::oid; END $$;
CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = regclass, FUNCTION = public.same, MERGES, HASHES);
)sql");
  if (!is_upgrade) admin.query(host_tables);
  const auto storage = open(realm.admin_url());
  use(*storage);
  // Nor of the functions that follow a host; what it looks up itself is its own affair.
  Session host(realm.admin_url());
  host.query("SET search_path = pg_catalog, pg_temp");
  host.query(
      "INSERT INTO public.messages (conversation_id, org_id, sender_type, sender_id, sender_name, content)"
      " SELECT id, 'org-1', 'client', 'client-1', 'C', 'by the host' FROM public.conversations");
  host.query("UPDATE public.messages SET is_read = true WHERE NOT is_read");
  host.query(
      "INSERT INTO public.message_reactions (message_id, conversation_id, org_id, reactor_type, reactor_id, "
      "reactor_name,"
      " emoji) SELECT id, conversation_id, org_id, 'advisor', 'a', 'A', 'x' FROM public.messages");
  host.query("DELETE FROM public.message_reactions");
  host.query("DELETE FROM public.messages WHERE content = 'by the host'");
  CHECK(host.value("SELECT coalesce(string_agg(DISTINCT who || ': ' || what, ', '), '') FROM public.loot") == "");
}

TEST_CASE("postgres: a plain role that owns its database needs nothing else") {
  Realm realm;
  Session admin(realm.admin_url());
  SECTION("as it comes") {}
  SECTION("where nobody else may use the schema") {
    admin.query("REVOKE ALL ON SCHEMA public FROM PUBLIC");
  }
  SECTION("in a schema of its own, where public is closed to it") {
    Session(realm.url()).query("CREATE SCHEMA chat");
    admin.query("REVOKE ALL ON SCHEMA public FROM PUBLIC, pg_database_owner");
    admin.query("ALTER ROLE " + realm.role("owner") + " SET search_path = public, chat");
  }
  SECTION("where its sessions are read only and short by default") {
    admin.query("ALTER ROLE " + realm.role("owner") + " SET default_transaction_read_only = on");
    admin.query("ALTER ROLE " + realm.role("owner") + " SET statement_timeout = 1");
  }
  use(*open(realm.url()));
  use(*open(realm.url()));
}

TEST_CASE("postgres: rights that are missing are said with what gives them, and nothing has been changed") {
  Realm realm;
  Session admin(realm.admin_url());
  const auto tables = [&] {
    return admin.value(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('public',"
        " 'chat') AND c.relkind = 'r'");
  };
  SECTION("to make tables, which PostgreSQL 15 gives to the owner of the database only") {
    admin.query("REVOKE CREATE ON SCHEMA public FROM PUBLIC");  // before that version, too
    const std::string said = refusal(realm.url("chat"));
    INFO(said);
    const std::string grant = "GRANT USAGE, CREATE ON SCHEMA public TO " + realm.role("chat");
    CHECK(says(said, grant));
    CHECK(tables() == "0");
    admin.query(grant);
    use(*open(realm.url("chat")));
  }
  SECTION("to use any schema") {
    admin.query("REVOKE ALL ON SCHEMA public FROM PUBLIC");
    CHECK(says(refusal(realm.url("chat")), "GRANT USAGE, CREATE"));
  }
  SECTION("to change tables that are another role's") {
    Session(realm.url()).query(host_tables);
    admin.query("GRANT ALL ON SCHEMA public TO " + realm.role("chat"));
    const std::string said = refusal(realm.url("chat"));
    INFO(said);
    const std::string grant = "GRANT " + realm.role("owner") + " TO " + realm.role("chat");
    CHECK(says(said, "belongs to the role " + realm.role("owner")));
    CHECK(says(said, grant));
    CHECK(tables() == "2");
    admin.query(grant);
    use(*open(realm.url("chat")));
  }
  SECTION("to refer to tables that are another role's") {
    Session(realm.url()).query("CREATE TABLE organizations (id varchar PRIMARY KEY); CREATE SCHEMA IF NOT EXISTS chat");
    admin.query("GRANT ALL ON SCHEMA public TO " + realm.role("chat"));
    CHECK(says(refusal(realm.url("chat")), "lacks a right: permission denied for table organizations"));
    CHECK(tables() == "1");
  }
  SECTION("to bring tables up to date that a superuser has made") {
    make_version_1(realm.admin_url());
    admin.query("GRANT ALL ON ALL TABLES IN SCHEMA public TO " + realm.role("owner"));
    const std::string said = refusal(realm.url());
    INFO(said);
    CHECK(says(said, "belongs to the role postgres"));
    CHECK(admin.value("SELECT max(version) FROM travelchat_schema") == "1");
  }
  SECTION("to read and write") {
    open(realm.url());
    admin.query("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO " + realm.role("chat"));
    // One after the other: all tables but that of the version need more than that.
    for (int i = 0; i < 8; ++i) {
      const std::string said = refusal(realm.url("chat"));
      INFO(said);
      const auto grant = said.find("GRANT ");
      REQUIRE(grant != std::string::npos);
      admin.query(said.substr(grant, said.find(": ", grant) - grant));
    }
    use(*open(realm.url("chat")));
  }
}

TEST_CASE("postgres: a role that did not make the tables needs to read and write only") {
  Realm realm;
  open(realm.url());
  Session owner(realm.url());
  owner.query("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO " + realm.role("chat"));
  use(*open(realm.url("chat")));
  CHECK(count_wrong(owner) == "0");
}

TEST_CASE("postgres: what is made beside a host's tables belongs to the host") {
  Realm realm;
  Session host(realm.url());
  host.query(host_tables);
  std::string chat;
  SECTION("where the chat's role is a member of the host's") {
    Session admin(realm.admin_url());
    admin.query("GRANT " + realm.role("owner") + " TO " + realm.role("chat"));
    admin.query("GRANT ALL ON SCHEMA public TO " + realm.role("chat"));
    chat = realm.url("chat");
  }
  // A trigger of the host's must not run with a superuser's rights.
  SECTION("where it is a superuser") {
    chat = realm.admin_url();
  }
  auto storage = open(chat);
  CHECK(host.value("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND"
                   " relowner <> current_user::regrole") == "0");
  CHECK(host.value("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proowner <>"
                   " current_user::regrole") == "0");
  use(*storage);
  write_as_host(host);
  CHECK(count_wrong(host) == "0");
}

TEST_CASE("postgres: a host's role that may only insert is followed") {
  Realm realm;
  auto storage = open(realm.url());
  use(*storage);
  Session owner(realm.url());
  owner.query("GRANT INSERT ON messages TO " + realm.role("job") + "; GRANT SELECT (id) ON conversations TO " +
              realm.role("job"));
  Session job(realm.url("job"));
  job.query(host_message);
  CHECK(job.try_run("SELECT content FROM messages"));
  CHECK(owner.value("SELECT seq FROM messages WHERE content = 'by the host'") == "3");
  CHECK(count_wrong(owner) == "0");
}

}  // namespace travelchat::conformance
