// One session with PostgreSQL: connected, checked for durability, and spoken to in libpq's pipeline mode.
//
// Private to the PostgreSQL storage. A connection is used by one thread at a time. Failures are thrown as `Failure` and
// become an error code in the storage's public functions; the server's own text goes to the operator's log only.
#pragma once

#include "storage/postgres/codec.hpp"

#include <travelchat/error.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace travelchat::postgres {

using Clock = std::chrono::steady_clock;

// A server that has not answered by then counts as lost. Nothing that is sent in an exchange takes nearly as long.
constexpr std::chrono::seconds answer_timeout{15};
// How long a statement of the storage waits for a lock before it gives up and is tried again. Less than the server's
// default deadlock_timeout (1 s), after which the server would end one of the two, perhaps the host's transaction. A
// commit waits for a shorter time, because a whole batch waits with it.
constexpr const char* lock_timeout = "400ms";
constexpr const char* lock_timeout_of_lanes = "100ms";

struct Failure {
  // Five characters (PostgreSQL's appendix A); empty when the server said nothing.
  std::string sqlstate;
  std::string message;
  // The session is gone, and with it the transaction that was open; what was being committed may be there or not.
  bool lost = false;
  // The database must not be used as it is (`errc::storage_incompatible`); another try would not help.
  bool refused = false;

  bool is_class(std::string_view two) const noexcept { return sqlstate.compare(0, 2, two) == 0; }
};

// `errc::storage_full`, `errc::storage_incompatible` or `errc::storage_failed`.
error_code to_error(const Failure& failure) noexcept;

// A row of a result, its columns from 0. Views live as long as the result. A value of another type throws Failure.
class Row {
 public:
  Row(const PGresult* result, int row) noexcept : result_(result), row_(row) {}

  bool is_null(int column) const noexcept { return PQgetisnull(result_, row_, column) != 0; }
  std::string_view text(int column) const noexcept {
    return {PQgetvalue(result_, row_, column), static_cast<std::size_t>(PQgetlength(result_, row_, column))};
  }
  std::optional<std::string> optional_text(int column) const {
    return is_null(column) ? std::nullopt : std::optional(std::string(text(column)));
  }
  std::int64_t integer(int column) const { return value(decode_integer(text(column))); }
  // Null is 0.
  std::uint64_t count(int column) const {
    return is_null(column) ? 0 : static_cast<std::uint64_t>(std::max<std::int64_t>(integer(column), 0));
  }
  // Null is false.
  bool boolean(int column) const { return !is_null(column) && value(decode_boolean(text(column))); }
  // Null is the epoch.
  TimePoint time(int column) const { return optional_time(column).value_or(TimePoint{}); }
  std::optional<TimePoint> optional_time(int column) const {
    return is_null(column) ? std::nullopt : std::optional(value(decode_time(text(column))));
  }
  Uuid uuid(int column) const { return value(parse_uuid(text(column))); }
  Role role(int column) const { return value(parse_role(text(column))); }
  Sha256Digest digest(int column) const { return value(decode_digest(text(column))); }

  // The same by the type of what is read.
  void read(int column, bool& value) const { value = boolean(column); }
  void read(int column, std::uint64_t& value) const { value = count(column); }
  void read(int column, std::string& value) const { value = text(column); }
  void read(int column, TimePoint& value) const { value = time(column); }
  void read(int column, std::optional<TimePoint>& value) const { value = optional_time(column); }
  void read(int column, std::optional<std::string>& value) const { value = optional_text(column); }
  void read(int column, Uuid& id) const { id = uuid(column); }
  void read(int column, Role& value) const { value = role(column); }
  void read(int column, Emoji& emoji) const { emoji = value(parse_emoji(text(column))); }

 private:
  template <class T>
  static T value(std::optional<T> decoded) {
    if (!decoded) fail_value();
    return *decoded;
  }
  [[noreturn]] static void fail_value();

  const PGresult* result_;
  int row_;
};

class Result {
 public:
  explicit Result(PGresult* result) noexcept : result_(result) {}

  int size() const noexcept { return PQntuples(result_.get()); }
  bool empty() const noexcept { return size() == 0; }
  Row operator[](int row) const noexcept { return {result_.get(), row}; }
  // Rows that an INSERT, UPDATE or DELETE touched.
  std::uint64_t affected() const;
  std::optional<Failure> failure() const;

 private:
  struct Clear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

// A statement that a session prepares when it first runs it.
//
// In all SQL that a session of the storage is given, "@." stands for the schema of the tables ("@.messages"). It is on
// no search_path: others may be allowed to make things in it, and an operator or a function of theirs would come before
// PostgreSQL's own where the types of its arguments fit better, and run with the rights of this session.
//
// "@c.*", "@m.*" and "@r.*" stand for the columns of a conversation c, a message m and a reaction r; in a statement
// that inserts messages or reactions, "@(m)" and "@(r)" for the names of these columns, "@[m]" and "@[r]" for the
// parameters $2, $3, ... which are arrays of their values (postgres_rows.hpp).
struct Query {
  const char* name;
  const char* sql;
};

// Where to connect, and how a session is set up.
class Target {
 public:
  // Throws Failure when the text is no connection URL or string; what it says never contains that text.
  Target(const std::string& url, std::function<void(std::string_view)> log);

  void log(const std::string& message) const {
    if (log_) log_(message);
  }
  const std::vector<const char*>& keywords() const noexcept { return keywords_; }
  const std::vector<const char*>& values() const noexcept { return values_; }
  // The schema that holds the tables; empty until it is known.
  std::string schema;

 private:
  std::vector<std::pair<std::string, std::string>> options_;
  std::vector<const char*> keywords_;
  std::vector<const char*> values_;
  std::function<void(std::string_view)> log_;
};

enum class Use {
  engine,   // the storage's own statements: triggers leave them alone, and every one goes by an index
  lane,     // the same for those that commit
  migrate,  // the storage's own statements, planned as the server likes
  host,     // a host's: the URL's settings, and triggers follow
};

class Connection {
 public:
  // Tries until `deadline` while the server is away or still starting. Throws Failure: `refused` for a server that is
  // too old, a standby, or not durable.
  Connection(const Target& target, Use use, Clock::time_point deadline);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  PGconn* handle() const noexcept { return handle_.get(); }
  int socket() const noexcept { return PQsocket(handle_.get()); }
  bool is_alive() const noexcept { return !broken_ && PQstatus(handle_.get()) == CONNECTION_OK; }
  bool in_transaction() const noexcept { return PQtransactionStatus(handle_.get()) != PQTRANS_IDLE; }
  // False for one that has failed: the server has released its locks already.
  bool has_open_transaction() const noexcept {
    return is_alive() && PQtransactionStatus(handle_.get()) == PQTRANS_INTRANS;
  }
  // ---- An exchange: statements go out together and the answers come back together. ----

  void send(const Query& query, const Parameters& parameters = Parameters());
  // A statement that is not worth preparing.
  void send_once(const std::string& sql, const Parameters& parameters = Parameters());
  void finish_sending();
  // Sends and receives what the socket allows without waiting. True: all answers are there, and `take` may be called.
  bool pump();
  bool wants_to_write() const noexcept { return unsent_; }
  // One result for each statement, in order. Throws the Failure of the first statement that failed; the server has
  // skipped those after it.
  std::vector<Result> take();

  // A whole exchange of what was sent, waiting until `deadline`.
  std::vector<Result> exchange(Clock::time_point deadline = Clock::now() + answer_timeout);
  // One statement that is not worth preparing, alone; waits as long as it takes.
  Result execute(const std::string& sql, const Parameters& parameters = Parameters());
  // The SQL with its placeholders ("@.", "@c.*" and so on) replaced; see Query.
  std::string qualified(std::string_view sql) const;
  // Several statements without parameters, separated by semicolons.
  void execute_script(const std::string& sql);

  // Ends a transaction that an error left open. Throws Failure.
  void roll_back();
  // Nothing that was sent will be answered any more.
  void abandon() noexcept { broken_ = true; }

 private:
  struct Close {
    void operator()(PGconn* handle) const noexcept { PQfinish(handle); }
  };
  void connect(const Target& target, Clock::time_point deadline);
  void check_server(Clock::time_point deadline);
  void configure(const Target& target, Use use, Clock::time_point deadline);
  void send_setting(const std::string& name, const std::string& value);
  void enter_pipeline();
  void check(int succeeded);
  [[noreturn]] void lose();
  void take_answer(PGresult* answer);

  std::unique_ptr<PGconn, Close> handle_;
  std::unordered_set<std::string_view> prepared_;
  // One entry for each statement that was sent: null for a query, else the name of a statement that is being prepared,
  // which has no result.
  std::vector<const char*> sent_;
  std::size_t answered_ = 0;
  std::vector<Result> results_;
  std::optional<Failure> failure_;
  bool unsent_ = false;
  bool broken_ = false;
  std::string synchronous_commit_;
  std::string schema_prefix_;  // quoted, with its dot; empty until the schema is known
};

// Waits until the socket is ready for `events` (poll's); false: not before `deadline`.
bool wait_for(int socket, short events, Clock::time_point deadline);

}  // namespace travelchat::postgres
