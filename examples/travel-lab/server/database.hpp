// The host's own tables in the chat's SQLite file: statements, transactions, migrations.
//
// All of it goes through SqliteStorage::write and ::read, which keep the rule that one connection writes. A Statement
// belongs to the call that made it.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/sqlite_storage.hpp>

#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace travel_lab {

// A statement failed. `write_rows` and `read_rows` turn it into an error code.
class DatabaseError : public std::exception {
 public:
  explicit DatabaseError(travelchat::errc reason) noexcept : reason_(reason) {}
  travelchat::errc reason() const noexcept { return reason_; }
  const char* what() const noexcept override { return "database error"; }

 private:
  travelchat::errc reason_;
};

class Statement {
 public:
  Statement(sqlite3* database, const char* sql);
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  // Starts anew with these parameters, in the order of the `?`. They are not copied: they live until the last `next`.
  template <class... Values>
  Statement& run(const Values&... values) {
    reset();
    int position = 0;
    (bind(++position, values), ...);
    return *this;
  }
  // True: there is a row.
  bool next();
  // Runs to the end.
  template <class... Values>
  void execute(const Values&... values) {
    run(values...);
    while (next()) {
    }
  }

  // ---- Columns, from 0 ----
  std::string text(int column) const;
  std::optional<std::string> optional_text(int column) const;
  std::int64_t integer(int column) const noexcept;
  // Lives until the next call of `next`.
  std::span<const std::uint8_t> bytes(int column) const noexcept;

 private:
  void reset() noexcept;
  void bind(int position, std::string_view value);
  void bind(int position, const std::string& value) { bind(position, std::string_view(value)); }
  void bind(int position, const std::optional<std::string>& value);
  void bind(int position, std::int64_t value);
  void bind(int position, std::span<const std::uint8_t> value);

  sqlite3_stmt* statement_ = nullptr;
};

// Runs `work` in one transaction, undone when it throws. A DatabaseError becomes the returned code; every other
// exception goes on to the caller. May block; any thread but an I/O thread.
travelchat::error_code write_rows(travelchat::SqliteStorage& storage, const std::function<void(sqlite3*)>& work);
// The same for reading, in one snapshot.
travelchat::error_code read_rows(travelchat::SqliteStorage& storage, const std::function<void(sqlite3*)>& work);

// Brings the host's tables up to date. `errc::storage_incompatible`: a newer travelchat-server made them.
travelchat::error_code migrate(travelchat::SqliteStorage& storage);

}  // namespace travel_lab
