// SQLite's handles as owners: a database connection, its prepared statements, and a statement's run.
//
// Private to the SQLite storage. A connection and what belongs to it is used by one thread at a time. Failures are
// thrown as `Failure` and become an error code in the storage's public functions; SQLite's own text goes to the
// storage's log.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/types.hpp>

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace travelchat::sqlite {

// A call into SQLite failed.
struct Failure {
  int code = SQLITE_ERROR;   // extended result code
  int system_errno = 0;      // of the failed system call, when there was one
  std::string message = {};  // SQLite's; empty for a violated constraint, which is expected

  bool is_constraint() const noexcept { return (code & 0xff) == SQLITE_CONSTRAINT; }
};

// `errc::storage_full` or `errc::storage_failed`.
error_code to_error(const Failure& failure) noexcept;
// What went wrong, for an operator: "disk I/O error (No space left on device)".
std::string to_text(const Failure& failure);

class Database {
 public:
  enum class Access { read_write, read_only };

  Database(const std::filesystem::path& path, Access access);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  // Every Statement of it must be gone.
  ~Database();

  sqlite3* handle() const noexcept { return handle_; }
  // Runs statements that return nothing of interest.
  void execute(const char* sql);
  bool in_transaction() const noexcept { return sqlite3_get_autocommit(handle_) == 0; }
  // Ends an open transaction, if there still is one: SQLite ends some by itself when a statement fails badly.
  void roll_back() noexcept;

 private:
  sqlite3* handle_ = nullptr;
};

[[noreturn]] void fail(sqlite3* database, int code);

// Parameters, in the order of the `?` in the SQL. Text and bytes are not copied: they must live as long as the run.
class Run {
 public:
  explicit Run(sqlite3_stmt* statement) noexcept : statement_(statement) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  // Releases the statement for its next run, and with it the locks that it holds.
  ~Run() { sqlite3_reset(statement_); }

  // True: a row is there. False: done.
  bool next() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) fail(sqlite3_db_handle(statement_), code);
    return false;
  }
  void execute() {
    while (next()) {
    }
  }

  // ---- Columns of the row, from 0. Views live until the next call of `next`. ----
  std::int64_t integer(int column) const noexcept { return sqlite3_column_int64(statement_, column); }
  std::uint64_t count(int column) const noexcept { return static_cast<std::uint64_t>(integer(column)); }
  bool is_null(int column) const noexcept { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  TimePoint time(int column) const noexcept { return TimePoint{std::chrono::milliseconds{integer(column)}}; }
  std::optional<TimePoint> optional_time(int column) const noexcept {
    return is_null(column) ? std::nullopt : std::optional(time(column));
  }
  std::string_view text(int column) const noexcept {
    const auto* data = sqlite3_column_text(statement_, column);
    if (data == nullptr) return {};
    return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }
  std::optional<std::string> optional_text(int column) const {
    return is_null(column) ? std::nullopt : std::optional(std::string(text(column)));
  }
  Uuid uuid(int column) const noexcept;
  Sha256Digest digest(int column) const noexcept;

  // The same by the type of what is read.
  void read(int column, bool& value) const noexcept { value = integer(column) != 0; }
  void read(int column, std::uint64_t& value) const noexcept { value = count(column); }
  void read(int column, std::string& value) const { value = text(column); }
  void read(int column, TimePoint& value) const noexcept { value = time(column); }
  void read(int column, Uuid& value) const noexcept { value = uuid(column); }
  void read(int column, Role& value) const noexcept { value = static_cast<Role>(integer(column)); }
  void read(int column, Emoji& value) const noexcept { value = static_cast<Emoji>(integer(column)); }
  template <class T>
  void read(int column, std::optional<T>& value) const {
    if (is_null(column)) {
      value.reset();
    } else {
      read(column, value.emplace());
    }
  }

 private:
  sqlite3_stmt* statement_;
};

// A prepared statement, kept for its connection's life.
class Statement {
 public:
  Statement(Database& database, const std::string& sql);
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  // Binds every parameter and starts a run; one run at a time.
  template <class... Values>
  [[nodiscard]] Run run(const Values&... values) {
    int position = 0;
    (bind(++position, values), ...);
    return Run(statement_);
  }
  template <class... Values>
  void execute(const Values&... values) {
    run(values...).execute();
  }
  // False: a constraint of the table refuses the row, and nothing has changed.
  template <class... Values>
  [[nodiscard]] bool insert(const Values&... values) {
    try {
      execute(values...);
      return true;
    } catch (const Failure& failure) {
      if (failure.is_constraint()) return false;
      throw;
    }
  }

 private:
  void check(int code) {
    if (code != SQLITE_OK) fail(sqlite3_db_handle(statement_), code);
  }
  void bind(int position, std::int64_t value) { check(sqlite3_bind_int64(statement_, position, value)); }
  // A number beyond SQLite's integers becomes the largest one: no stored number is as large.
  void bind(int position, std::uint64_t value) {
    constexpr std::uint64_t largest = std::numeric_limits<std::int64_t>::max();
    bind(position, static_cast<std::int64_t>(value < largest ? value : largest));
  }
  void bind(int position, int value) { check(sqlite3_bind_int(statement_, position, value)); }
  void bind(int position, Role value) { bind(position, static_cast<int>(value)); }
  void bind(int position, Emoji value) { bind(position, static_cast<int>(value)); }
  void bind(int position, TimePoint value) { bind(position, std::int64_t{value.time_since_epoch().count()}); }
  void bind(int position, std::string_view value) {
    // A null pointer would be stored as NULL.
    check(sqlite3_bind_text64(statement_, position, value.data() != nullptr ? value.data() : "", value.size(),
                              SQLITE_STATIC, SQLITE_UTF8));
  }
  void bind(int position, const std::string& value) { bind(position, std::string_view(value)); }
  void bind(int position, std::span<const std::uint8_t> value) {
    check(sqlite3_bind_blob64(statement_, position, value.data(), value.size(), SQLITE_STATIC));
  }
  void bind(int position, const Uuid& value) { bind(position, std::span<const std::uint8_t>(value.bytes)); }
  template <class T>
  void bind(int position, const std::optional<T>& value) {
    if (value) {
      bind(position, *value);
    } else {
      check(sqlite3_bind_null(statement_, position));
    }
  }

  sqlite3_stmt* statement_ = nullptr;
};

// Undoes the connection's transaction unless it was committed.
class Transaction {
 public:
  Transaction(Database& database, Statement& begin) : database_(database) { begin.execute(); }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction() { database_.roll_back(); }

  void commit(Statement& statement) { statement.execute(); }

 private:
  Database& database_;
};

}  // namespace travelchat::sqlite
