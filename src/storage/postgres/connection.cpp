#include "storage/postgres/connection.hpp"

#include "storage/postgres/rows.hpp"

#include <poll.h>

#include <charconv>
#include <climits>
#include <thread>

namespace travelchat::postgres {

namespace {

constexpr int oldest_server = 13'00'00;  // FETCH FIRST ... WITH TIES
constexpr std::chrono::milliseconds reconnect_pause{50};
constexpr std::string_view query_canceled = "57014";  // by a time limit, or by somebody

// libpq ends its messages with a line break, and separates their lines by more.
std::string one_line(const char* message) {
  std::string line = message != nullptr ? message : "";
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

Failure failure_of(const PGresult* result) {
  const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  // The primary message alone: the detail quotes the row.
  const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  Failure failure;
  failure.sqlstate = sqlstate != nullptr ? sqlstate : "";
  failure.message = one_line(message != nullptr ? message : PQresultErrorMessage(result));
  // The server ends the session (57P01 to 57P05; with time limits of its operator's also 25P03 and 25P04); 25006: it
  // has become a standby.
  const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  const bool is_end =
      severity != nullptr && (std::string_view(severity) == "FATAL" || std::string_view(severity) == "PANIC");
  failure.lost = failure.sqlstate.empty() || is_end || failure.is_class("08") || failure.sqlstate.starts_with("57P") ||
                 failure.sqlstate == "25006";
  return failure;
}

Failure refusal(std::string message) {
  return {{}, std::move(message), false, true};
}

// Why a connection could not be made, as far as it matters whether to try again.
Failure connect_failure(const PGconn* handle) {
  Failure failure;
  failure.message = one_line(PQerrorMessage(handle));
  failure.lost = true;
  return failure;
}

}  // namespace

error_code to_error(const Failure& failure) noexcept {
  if (failure.refused) return errc::storage_incompatible;
  if (failure.sqlstate == "53100") return errc::storage_full;
  return errc::storage_failed;
}

bool wait_for(int socket, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = deadline - Clock::now();
    if (left <= Clock::duration::zero()) return false;
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    pollfd entry{socket, events, 0};
    if (::poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(milliseconds, 60'000))) > 0) return true;
  }
}

void Row::fail_value() {
  throw Failure{{}, "a row of the chat's tables holds what is no such value", false, false};
}

std::optional<Failure> Result::failure() const {
  const auto status = PQresultStatus(result_.get());
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return std::nullopt;
  return failure_of(result_.get());
}

std::uint64_t Result::affected() const {
  const std::string_view text = PQcmdTuples(result_.get());
  std::uint64_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return count;
}

// ---- Target ----

Target::Target(const std::string& url, std::function<void(std::string_view)> log) : log_(std::move(log)) {
  struct Free {
    void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
  };
  // libpq's own message would quote what it could not read, password and all.
  char* message = nullptr;
  const std::unique_ptr<PQconninfoOption, Free> parsed(PQconninfoParse(url.c_str(), &message));
  PQfreemem(message);
  if (parsed == nullptr) throw Failure{"22023", "not a PostgreSQL connection URL or string", false, false};
  options_ = {
      // A network that has gone silent is noticed in some ten seconds.
      {"keepalives_idle", "5"},
      {"keepalives_interval", "2"},
      {"keepalives_count", "3"},
      {"tcp_user_timeout", "10000"},
      {"connect_timeout", "2"},  // of a probe; a connection has a deadline of its own
      {"fallback_application_name", "travelchat"},
  };
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    std::erase_if(options_, [&](const auto& known) { return known.first == option->keyword; });
    options_.emplace_back(option->keyword, option->val);
  }
  std::erase_if(options_, [](const auto& option) { return option.first == "client_encoding"; });
  options_.emplace_back("client_encoding", "UTF8");
  for (const auto& [keyword, value] : options_) {
    keywords_.push_back(keyword.c_str());
    values_.push_back(value.c_str());
  }
  keywords_.push_back(nullptr);
  values_.push_back(nullptr);
}

// ---- Connection: setting up ----

Connection::Connection(const Target& target, Use use, Clock::time_point deadline) {
  for (bool was_there = false;;) {
    try {
      connect(target, deadline);
      // First of all: a limit that the role or the database sets may be too short for what follows.
      if (use != Use::host) send_setting("statement_timeout", "0");
      check_server(deadline);
      configure(target, use, deadline);
      return;
    } catch (const Failure& failure) {
      const bool was_canceled = failure.sqlstate == query_canceled;
      if (failure.refused || !(failure.lost || was_canceled) || Clock::now() + reconnect_pause >= deadline) throw;
      // When the server is reachable and refuses the login, a wrong password for example, another try would fail as
      // well.
      const bool is_there =
          !was_canceled && PQpingParams(target.keywords().data(), target.values().data(), 0) == PQPING_OK;
      if (is_there && was_there) throw;
      was_there = is_there;
    }
    std::this_thread::sleep_for(reconnect_pause);
  }
}

void Connection::connect(const Target& target, Clock::time_point deadline) {
  prepared_.clear();
  sent_.clear();
  results_.clear();
  failure_.reset();
  answered_ = 0;
  unsent_ = false;
  broken_ = false;
  handle_.reset(PQconnectStartParams(target.keywords().data(), target.values().data(), 0));
  if (handle_ == nullptr) throw Failure{{}, "out of memory", true, false};
  if (PQstatus(handle_.get()) == CONNECTION_BAD) throw connect_failure(handle_.get());
  auto wanted = PGRES_POLLING_WRITING;
  while (wanted != PGRES_POLLING_OK) {
    if (!wait_for(socket(), wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
      throw Failure{{}, "the database did not accept a connection in time", true, false};
    }
    wanted = PQconnectPoll(handle_.get());
    if (wanted == PGRES_POLLING_FAILED) throw connect_failure(handle_.get());
  }
  PQsetNoticeProcessor(
      handle_.get(), [](void*, const char*) {}, nullptr);
  enter_pipeline();
}

void Connection::enter_pipeline() {
  if (PQsetnonblocking(handle_.get(), 1) != 0 || PQenterPipelineMode(handle_.get()) != 1) lose();
}

void Connection::check_server(Clock::time_point deadline) {
  const int version = PQserverVersion(handle_.get());
  if (version < oldest_server) {
    throw refusal("PostgreSQL 13 or newer is needed; this server is " + std::to_string(version / 10'000));
  }
  // The search_path of the URL is still set, so names are qualified: only PostgreSQL's own functions may be found.
  send_once(
      "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('fsync'::pg_catalog.text),"
      " pg_catalog.current_setting('synchronous_commit'::pg_catalog.text),"
      " pg_catalog.current_setting('server_encoding'::pg_catalog.text)");
  const auto results = exchange(deadline);
  const Row row = results.back()[0];
  if (row.boolean(0)) throw refusal("this server is a standby, which cannot be written to");
  if (row.text(1) != "on") {
    throw refusal("the server runs with fsync=off: what it commits may be lost; set fsync=on");
  }
  synchronous_commit_ = row.text(2);
  if (synchronous_commit_ == "off") {
    throw refusal(
        "synchronous_commit is off for this database or role: what it commits may be lost; set synchronous_commit=on");
  }
  if (row.text(3) != "UTF8") {
    throw refusal("the database's encoding is " + std::string(row.text(3)) + "; it must be UTF8");
  }
}

void Connection::configure(const Target& target, Use use, Clock::time_point deadline) {
  // Pinned, so that a reload of the server's configuration cannot weaken a session that was found durable.
  std::vector<std::pair<std::string, std::string>> settings = {{"synchronous_commit", synchronous_commit_}};
  if (use != Use::host) {
    settings.insert(settings.end(), {{"timezone", "UTC"},
                                     {"travelchat.engine", "on"},
                                     {"default_transaction_read_only", "off"},
                                     {"default_transaction_isolation", "read committed"}});
    if (!target.schema.empty()) {
      char* quoted = PQescapeIdentifier(handle_.get(), target.schema.data(), target.schema.size());
      if (quoted == nullptr) lose();
      schema_prefix_ = std::string(quoted) + ".";
      PQfreemem(quoted);
      // Temporary tables come last, so that none of them can hide another table.
      settings.emplace_back("search_path", "pg_catalog, pg_temp");
    }
  }
  if (use == Use::engine || use == Use::lane) {
    // Every statement has the index it needs. Its plan is made once, perhaps while the tables are nearly empty, and
    // must also suit full ones.
    settings.insert(settings.end(), {{"lock_timeout", use == Use::lane ? lock_timeout_of_lanes : lock_timeout},
                                     {"plan_cache_mode", "force_generic_plan"},
                                     {"enable_seqscan", "off"},
                                     {"enable_bitmapscan", "off"},
                                     {"enable_hashjoin", "off"},
                                     {"enable_mergejoin", "off"},
                                     {"jit", "off"}});
  }
  for (const auto& [name, value] : settings) send_setting(name, value);
  exchange(deadline);
  if (use == Use::host && (PQexitPipelineMode(handle_.get()) != 1 || PQsetnonblocking(handle_.get(), 0) != 0)) lose();
}

void Connection::send_setting(const std::string& name, const std::string& value) {
  send_once("SELECT pg_catalog.set_config($1::pg_catalog.text, $2::pg_catalog.text, false)", Parameters(name, value));
}

// ---- Connection: exchanges ----

void Connection::lose() {
  broken_ = true;
  std::string message = one_line(PQerrorMessage(handle_.get()));
  throw Failure{{}, message.empty() ? "the connection was lost" : std::move(message), true, false};
}

void Connection::check(int succeeded) {
  if (succeeded != 1) lose();
}

namespace {

// libpq's view of parameters; valid as long as they are.
struct Bound {
  explicit Bound(const Parameters& parameters) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const auto& value = parameters[i];
      values.push_back(value ? value->data() : nullptr);
      lengths.push_back(value ? static_cast<int>(value->size()) : 0);
      formats.push_back(1);
    }
  }
  int count() const noexcept { return static_cast<int>(values.size()); }

  std::vector<const char*> values;
  std::vector<int> lengths;
  std::vector<int> formats;
};

}  // namespace

void Connection::send(const Query& query, const Parameters& parameters) {
  if (prepared_.insert(query.name).second) {
    check(PQsendPrepare(handle_.get(), query.name, qualified(query.sql).c_str(), 0, nullptr));
    sent_.push_back(query.name);
  }
  const Bound bound(parameters);
  check(PQsendQueryPrepared(handle_.get(), query.name, bound.count(), bound.values.data(), bound.lengths.data(),
                            bound.formats.data(), 1));
  sent_.push_back(nullptr);
}

void Connection::send_once(const std::string& sql, const Parameters& parameters) {
  const Bound bound(parameters);
  check(PQsendQueryParams(handle_.get(), qualified(sql).c_str(), bound.count(), nullptr, bound.values.data(),
                          bound.lengths.data(), bound.formats.data(), 1));
  sent_.push_back(nullptr);
}

void Connection::finish_sending() {
  check(PQpipelineSync(handle_.get()));
  const int flushed = PQflush(handle_.get());
  if (flushed < 0) lose();
  unsent_ = flushed > 0;
}

bool Connection::pump() {
  if (unsent_) {
    const int flushed = PQflush(handle_.get());
    if (flushed < 0) lose();
    unsent_ = flushed > 0;
  }
  if (PQconsumeInput(handle_.get()) != 1) lose();
  bool after_null = false;
  while (PQisBusy(handle_.get()) == 0) {
    PGresult* answer = PQgetResult(handle_.get());
    if (answer == nullptr) {
      // A null follows each statement's answer; two in a row mean that no more answers come.
      if (after_null) lose();
      after_null = true;
      continue;
    }
    after_null = false;
    if (PQresultStatus(answer) == PGRES_PIPELINE_SYNC) {
      PQclear(answer);
      return true;
    }
    take_answer(answer);
  }
  return false;
}

void Connection::take_answer(PGresult* answer) {
  Result result(answer);
  const char* prepares = answered_ < sent_.size() ? sent_[answered_] : nullptr;
  ++answered_;
  if (const auto failed = result.failure()) {
    // Statements after the first failed one were skipped by the server.
    if (!failure_) failure_ = failed;
    if (prepares != nullptr) prepared_.erase(prepares);
  } else if (prepares == nullptr) {
    results_.push_back(std::move(result));
  }
}

std::vector<Result> Connection::take() {
  sent_.clear();
  answered_ = 0;
  std::vector<Result> results = std::exchange(results_, {});
  if (const auto failure = std::exchange(failure_, std::nullopt)) {
    if (failure->lost) broken_ = true;
    throw *failure;
  }
  return results;
}

std::vector<Result> Connection::exchange(Clock::time_point deadline) {
  finish_sending();
  while (!pump()) {
    if (failure_ && failure_->lost) take();
    if (!wait_for(socket(), unsent_ ? POLLIN | POLLOUT : POLLIN, deadline)) {
      broken_ = true;
      throw Failure{{}, "the database did not answer in time", true, false};
    }
  }
  return take();
}

Result Connection::execute(const std::string& sql, const Parameters& parameters) {
  send_once(sql, parameters);
  return std::move(exchange(Clock::time_point::max()).front());
}

std::string Connection::qualified(std::string_view sql) const {
  std::string text;
  for (std::size_t at; (at = sql.find('@')) != std::string_view::npos;) {
    text += sql.substr(0, at);
    sql.remove_prefix(at);
    if (sql.starts_with("@.")) {
      text += schema_prefix_;
      sql.remove_prefix(2);
    } else if (const ColumnsText* columns = find_columns_text(sql)) {
      text += columns->text;
      sql.remove_prefix(columns->placeholder.size());
    } else {
      text += sql.front();
      sql.remove_prefix(1);
    }
  }
  return text += sql;
}

void Connection::execute_script(const std::string& sql) {
  check(PQexitPipelineMode(handle_.get()));
  check(PQsetnonblocking(handle_.get(), 0) == 0 ? 1 : 0);
  const Result result(PQexec(handle_.get(), qualified(sql).c_str()));
  enter_pipeline();
  if (const auto failed = result.failure()) {
    if (failed->lost) broken_ = true;
    throw *failed;
  }
}

void Connection::roll_back() {
  if (!in_transaction()) return;
  static constexpr Query query{"roll_back", "ROLLBACK"};
  send(query);
  exchange();
}

}  // namespace travelchat::postgres
