#include "postgres_server.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <stdexcept>

namespace travelchat::conformance {

namespace {

// What the command prints; throws when it fails.
std::string run(const std::string& command) {
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  std::string output;
  std::array<char, 4096> buffer;
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), n);
  if (::pclose(pipe) != 0) throw std::runtime_error(command + " failed:\n" + output);
  while (!output.empty() && output.back() == '\n') output.pop_back();
  return output;
}

const std::string starter = TRAVELCHAT_POSTGRES_STARTER;

std::string first_line(const std::string& file) {
  std::string line;
  std::getline(std::ifstream(file), line);
  if (line.empty()) throw std::runtime_error("nothing in " + file + ": no PostgreSQL server is there");
  return line;
}

// Runs as long as this process: it ends when its standard input does, however we end. Its folder.
std::string start_with_this_process() {
  static const TemporaryFolder folder;
  int input[2];
  int output[2];
  if (::pipe2(input, O_CLOEXEC) != 0 || ::pipe2(output, O_CLOEXEC) != 0) throw std::runtime_error("no pipes");
  const std::string place = (folder.path() / "server").string();
  if (::fork() == 0) {
    ::dup2(input[0], 0);
    ::dup2(output[1], 1);
    ::execl(starter.c_str(), starter.c_str(), "run", place.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(input[0]);
  ::close(output[1]);
  std::string url;
  for (char c = 0; ::read(output[0], &c, 1) == 1 && c != '\n';) url += c;
  if (url.empty()) throw std::runtime_error("no PostgreSQL server");
  return place;
}

const std::string& shared_folder() {
  static const std::string folder = [] {
    const char* const given = ::getenv("TRAVELCHAT_TEST_POSTGRES");
    return given != nullptr ? std::string(given) : start_with_this_process();
  }();
  return folder;
}

}  // namespace

Session::Session(const std::string& url) : connection_(PQconnectdb(url.c_str())) {
  if (PQstatus(connection_.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection_.get()));
  PQsetNoticeProcessor(
      connection_.get(), [](void*, const char*) {}, nullptr);
}

std::vector<std::vector<std::string>> Session::query(const std::string& sql) {
  PGresult* const result = PQexec(connection_.get(), sql.c_str());
  const auto status = PQresultStatus(result);
  const std::string failed =
      status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ? "" : sql + ": " + PQresultErrorMessage(result);
  std::vector<std::vector<std::string>> rows(static_cast<std::size_t>(PQntuples(result)));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (int column = 0; column < PQnfields(result); ++column) {
      const int r = static_cast<int>(row);
      rows[row].push_back(PQgetisnull(result, r, column) != 0 ? "NULL" : PQgetvalue(result, r, column));
    }
  }
  PQclear(result);
  if (!failed.empty()) throw std::runtime_error(failed);
  return rows;
}

std::string Session::value(const std::string& sql) {
  const auto rows = query(sql);
  if (rows.size() != 1 || rows.front().size() != 1) throw std::runtime_error("not one value: " + sql);
  return rows.front().front();
}

std::optional<std::string> Session::try_run(const std::string& sql) {
  try {
    query(sql);
    return std::nullopt;
  } catch (const std::runtime_error& failure) {
    return failure.what();
  }
}

PostgresServer::PostgresServer(const std::string& settings) {
  url_ = run("'" + starter + "' start '" + (folder_.path() / "server").string() + "' " + settings);
}

PostgresServer::~PostgresServer() {
  try {
    run("'" + starter + "' stop --immediate --remove '" + (folder_.path() / "server").string() + "'");
  } catch (const std::exception& failure) {
    std::fputs(failure.what(), stderr);
  }
}

void PostgresServer::restart_at_once() {
  run("'" + starter + "' restart --immediate '" + (folder_.path() / "server").string() + "'");
}

std::string PostgresServer::admin_url() const {
  return first_line((folder_.path() / "server" / "admin-url").string());
}

const std::string& shared_postgres() {
  static const std::string url = first_line(shared_folder() + "/url");
  return url;
}

const std::string& shared_postgres_admin() {
  static const std::string url = first_line(shared_folder() + "/admin-url");
  return url;
}

Schema::Schema(std::string server_url) : server_url_(std::move(server_url)) {
  static std::atomic<int> count{0};
  name_ = "test_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
  url_ = server_url_ + "?options=-csearch_path%3D" + name_;
  Session(server_url_).query("CREATE SCHEMA " + name_);
}

Schema::~Schema() {
  try {
    Session(server_url_).query("DROP SCHEMA " + name_ + " CASCADE");
  } catch (const std::exception& failure) {
    std::fputs(failure.what(), stderr);
  }
}

Realm::Realm() : admin_(shared_postgres_admin()) {
  static std::atomic<int> count{0};
  name_ = "realm_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
  admin_.query("CREATE DATABASE " + name_ + " OWNER " + role());
  url_ = shared_postgres_admin();
  url_ = url_.substr(0, url_.rfind('/') + 1) + name_;
}

Realm::~Realm() {
  admin_.try_run("DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)");
  for (const std::string& made : roles_) admin_.try_run("DROP ROLE IF EXISTS " + made);
}

std::string Realm::role(const std::string& name) {
  const std::string full = name_ + "_" + name;
  if (std::find(roles_.begin(), roles_.end(), full) == roles_.end()) {
    admin_.query("CREATE ROLE " + full + " LOGIN PASSWORD 'x'");
    roles_.push_back(full);
  }
  return full;
}

std::string Realm::url(const std::string& name) {
  return "postgres://" + role(name) + ":x" + url_.substr(url_.find('@'));
}

std::string count_wrong(Session& session) {
  return session.value(R"sql(
SELECT count(*) FROM conversations c CROSS JOIN LATERAL (
  SELECT count(*) AS messages, coalesce(max(seq), 0) AS last_seq,
    count(*) FILTER (WHERE sender_type = 'client' AND is_read IS NOT TRUE) AS unread,
    count(*) FILTER (WHERE sender_type = 'advisor' AND seen_at IS NULL) AS unseen
  FROM messages WHERE conversation_id = c.id
) m CROSS JOIN LATERAL (
  SELECT count(*) AS changes, coalesce(max(rev), 0) AS last_rev FROM travelchat_changes WHERE conversation_id = c.id
) x
WHERE ROW(c.last_seq, c.last_seq, c.rev, c.unread_count, c.unseen_count)
  IS DISTINCT FROM ROW(m.messages, m.last_seq, m.messages + x.changes, m.unread, m.unseen) OR x.last_rev > c.rev
)sql");
}

AppendMessage message_to(const Uuid& conversation_id, Participant sender, std::string content,
                         std::optional<std::string> client_message_id) {
  AppendMessage write;
  write.now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  write.message_id = make_uuid(write.now);
  write.conversation_id = conversation_id;
  write.sender = std::move(sender);
  write.content = std::move(content);
  write.client_message_id = std::move(client_message_id);
  return write;
}

}  // namespace travelchat::conformance
