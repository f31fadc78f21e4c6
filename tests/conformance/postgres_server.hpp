// PostgreSQL for the tests: one server that they share, servers of their own to restart, and plain SQL.
#pragma once

#include "backends.hpp"

#include <libpq-fe.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace travelchat::conformance {

// A session in plain libpq, as a host has one. Requires (Catch2) that what it is told succeeds.
class Session {
 public:
  explicit Session(const std::string& url);

  // Rows of text; null is "NULL".
  std::vector<std::vector<std::string>> query(const std::string& sql);
  // The one value.
  std::string value(const std::string& sql);
  // Nothing when it succeeds, else the server's message. Any thread.
  std::optional<std::string> try_run(const std::string& sql);
  PGconn* handle() const noexcept { return connection_.get(); }

 private:
  struct Finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
  };
  std::unique_ptr<PGconn, Finish> connection_;
};

// A server of a test's own, started by tests/support/postgres; it ends and its folder goes with its owner.
class PostgresServer {
 public:
  explicit PostgresServer(const std::string& settings = "");
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;
  ~PostgresServer();

  // Of a plain role that owns the database.
  const std::string& url() const noexcept { return url_; }
  // The superuser's.
  std::string admin_url() const;
  // Without a shutdown, as after a crash.
  void restart_at_once();

 private:
  TemporaryFolder folder_;
  std::string url_;
};

// The server that all tests share: ctest's fixture if there is one (TRAVELCHAT_TEST_POSTGRES names its folder), else
// one that this process starts.
// A plain role's, which owns the database and may make others.
const std::string& shared_postgres();
// The superuser's.
const std::string& shared_postgres_admin();

// An empty schema on a server, gone with its owner.
class Schema {
 public:
  explicit Schema(std::string server_url = shared_postgres());
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;
  ~Schema();

  const std::string& name() const noexcept { return name_; }
  // Finds its tables first.
  const std::string& url() const noexcept { return url_; }

 private:
  std::string server_url_;
  std::string name_;
  std::string url_;
};

// A database of a test's own on the shared server, with roles of its own, gone with its owner. Its owner is a role that
// may log in and nothing else.
class Realm {
 public:
  Realm();
  Realm(const Realm&) = delete;
  Realm& operator=(const Realm&) = delete;
  ~Realm();

  // The full name of a role that may log in and nothing else; made when it is first asked for.
  std::string role(const std::string& name = "owner");
  // The database for such a role.
  std::string url(const std::string& name = "owner");
  // For the superuser.
  const std::string& admin_url() const noexcept { return url_; }

 private:
  std::string name_;
  Session admin_;
  std::vector<std::string> roles_;
  std::string url_;
};

// How many conversations have counters that are not what the rows say, seqs or revs with a gap, or rows without any.
std::string count_wrong(Session& session);

// A draft of now.
AppendMessage message_to(const Uuid& conversation_id, Participant sender, std::string content,
                         std::optional<std::string> client_message_id = std::nullopt);

}  // namespace travelchat::conformance
