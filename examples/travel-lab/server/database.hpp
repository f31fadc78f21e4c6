// The host's own tables, in the database that also holds the chat: statements, transactions, migrations.
//
// Every statement is written once, in the SQL that SQLite and PostgreSQL share: `?` for parameters, INSERT ... ON
// CONFLICT, RETURNING. A Statement belongs to the call that made it, and so does the Connection that it was made on.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/storage.hpp>

#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace travel_lab {

// Told what an operator should know: why a statement failed, that a connection was lost. Any thread.
using DatabaseLog = std::function<void(std::string_view line)>;

// A statement failed. `Database::write` and `Database::read` turn it into an error code.
class DatabaseError : public std::exception {
 public:
  explicit DatabaseError(travelchat::errc reason) noexcept : reason_(reason) {}
  travelchat::errc reason() const noexcept { return reason_; }
  const char* what() const noexcept override { return "database error"; }

 private:
  travelchat::errc reason_;
};

// What a parameter may be; not copied. The first is NULL.
using Value = std::variant<std::monostate, std::int64_t, std::string_view, std::span<const std::uint8_t>>;

// A statement as one kind of database runs it. See Statement, which is what to use.
class PreparedStatement {
 public:
  virtual ~PreparedStatement() = default;
  virtual void run(std::span<const Value> parameters) = 0;
  virtual bool next() = 0;
  virtual bool is_null(int column) const noexcept = 0;
  virtual std::string_view text(int column) const noexcept = 0;
  virtual std::int64_t integer(int column) const noexcept = 0;
  virtual std::span<const std::uint8_t> bytes(int column) const noexcept = 0;
};

// What a migration runs: several statements without parameters.
struct Definition {
  std::string_view sql;            // SQLite's SQL; for PostgreSQL the names of types are replaced
  std::string_view only_postgres;  // in addition, for a database that several processes share
};

// One transaction.
class Connection {
 public:
  virtual ~Connection() = default;
  virtual std::unique_ptr<PreparedStatement> prepare(std::string_view sql) = 0;
  virtual void define(const Definition& definition) = 0;
};

class Statement {
 public:
  Statement(Connection& connection, std::string_view sql) : prepared_(connection.prepare(sql)) {}

  // Starts anew with these parameters, in the order of the `?`. They are not copied: they live until the last `next`.
  template <class... Values>
  Statement& run(const Values&... values) {
    const std::initializer_list<Value> parameters = {to_value(values)...};
    prepared_->run({parameters.begin(), parameters.size()});
    return *this;
  }
  // True: there is a row.
  bool next() { return prepared_->next(); }
  // Runs to the end.
  template <class... Values>
  void execute(const Values&... values) {
    run(values...);
    while (next()) {
    }
  }

  // ---- Columns, from 0 ----
  std::string text(int column) const { return std::string(prepared_->text(column)); }
  std::optional<std::string> optional_text(int column) const {
    return prepared_->is_null(column) ? std::nullopt : std::optional(text(column));
  }
  std::int64_t integer(int column) const noexcept { return prepared_->integer(column); }
  std::optional<std::int64_t> optional_integer(int column) const noexcept {
    return prepared_->is_null(column) ? std::nullopt : std::optional(integer(column));
  }
  // Lives until the next call of `next`.
  std::span<const std::uint8_t> bytes(int column) const noexcept { return prepared_->bytes(column); }

 private:
  static Value to_value(std::int64_t value) { return value; }
  static Value to_value(std::string_view value) { return value; }
  static Value to_value(const char* value) { return std::string_view(value); }
  static Value to_value(const std::string& value) { return std::string_view(value); }
  static Value to_value(const std::optional<std::string>& value) {
    return value ? Value(std::string_view(*value)) : Value();
  }
  static Value to_value(std::span<const std::uint8_t> value) { return value; }

  std::unique_ptr<PreparedStatement> prepared_;
};

// Owner: main. Any thread but an I/O thread: every call may block.
class Database {
 public:
  using Work = std::function<void(Connection&)>;

  virtual ~Database() = default;

  // Runs `work` in one transaction, undone when it throws. A DatabaseError becomes the returned code; every other
  // exception goes on to the caller.
  travelchat::error_code write(const Work& work);
  // The same for reading, in one snapshot.
  travelchat::error_code read(const Work& work);

  // Whether other processes write here, too. False: this process owns the database, and what it has in memory is
  // complete.
  virtual bool is_shared() const noexcept = 0;
  // Runs `work` while no other process does the same; waits for it. Exceptions go on to the caller.
  virtual void exclusively(const std::function<void()>& work) = 0;

  // The chat's storage in the same database.
  travelchat::Storage& chat() noexcept { return chat_; }
  // For the engine, once. From then on the database lives by it, and is used only while that engine is there.
  std::unique_ptr<travelchat::Storage> release_chat() noexcept { return std::move(owned_chat_); }

 protected:
  explicit Database(std::unique_ptr<travelchat::Storage> chat) : owned_chat_(std::move(chat)), chat_(*owned_chat_) {}

 private:
  virtual travelchat::error_code do_write(const Work& work) = 0;
  virtual travelchat::error_code do_read(const Work& work) = 0;

  std::unique_ptr<travelchat::Storage> owned_chat_;
  travelchat::Storage& chat_;
};

// Brings the host's tables up to date. `errc::storage_incompatible`: a newer travelchat-server made them.
void migrate(Connection& connection);

}  // namespace travel_lab
