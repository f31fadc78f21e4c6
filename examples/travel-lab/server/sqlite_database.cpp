#include "sqlite_database.hpp"

#include <travelchat/sqlite_storage.hpp>

#include <sqlite3.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace travel_lab {
namespace {

using travelchat::errc;
using travelchat::error_code;

void check(int code) {
  if (code != SQLITE_OK) throw DatabaseError((code & 0xff) == SQLITE_FULL ? errc::storage_full : errc::storage_failed);
}

class SqliteStatement final : public PreparedStatement {
 public:
  SqliteStatement(sqlite3* database, std::string_view sql) {
    check(sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &statement_, nullptr));
  }
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;
  ~SqliteStatement() override { sqlite3_finalize(statement_); }

  void run(std::span<const Value> parameters) override {
    sqlite3_reset(statement_);
    int position = 0;
    for (const Value& parameter : parameters) {
      ++position;
      if (const auto* number = std::get_if<std::int64_t>(&parameter)) {
        check(sqlite3_bind_int64(statement_, position, *number));
      } else if (const auto* text = std::get_if<std::string_view>(&parameter)) {
        // A null pointer would be stored as NULL.
        check(sqlite3_bind_text64(statement_, position, text->data() != nullptr ? text->data() : "", text->size(),
                                  SQLITE_STATIC, SQLITE_UTF8));
      } else if (const auto* bytes = std::get_if<std::span<const std::uint8_t>>(&parameter)) {
        check(sqlite3_bind_blob64(statement_, position, bytes->data(), bytes->size(), SQLITE_STATIC));
      } else {
        check(sqlite3_bind_null(statement_, position));
      }
    }
  }

  bool next() override {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) check(code);
    return false;
  }

  bool is_null(int column) const noexcept override { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::string_view text(int column) const noexcept override {
    const auto* data = sqlite3_column_text(statement_, column);
    if (data == nullptr) return {};
    return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }
  std::int64_t integer(int column) const noexcept override { return sqlite3_column_int64(statement_, column); }
  std::span<const std::uint8_t> bytes(int column) const noexcept override {
    const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
    return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

class SqliteConnection final : public Connection {
 public:
  explicit SqliteConnection(sqlite3* database) noexcept : database_(database) {}

  std::unique_ptr<PreparedStatement> prepare(std::string_view sql) override {
    return std::make_unique<SqliteStatement>(database_, sql);
  }
  void define(const Definition& definition) override {
    check(sqlite3_exec(database_, std::string(definition.sql).c_str(), nullptr, nullptr, nullptr));
  }

 private:
  sqlite3* database_;
};

class SqliteDatabase final : public Database {
 public:
  explicit SqliteDatabase(std::unique_ptr<travelchat::SqliteStorage> storage)
      : Database(std::move(storage)), storage_(static_cast<travelchat::SqliteStorage&>(chat())) {}

  bool is_shared() const noexcept override { return false; }
  void exclusively(const std::function<void()>& work) override { work(); }

 private:
  error_code do_write(const Work& work) override {
    return storage_.write([&work](sqlite3* database) {
      SqliteConnection connection(database);
      work(connection);
      return true;
    });
  }
  error_code do_read(const Work& work) override {
    return storage_.read([&work](sqlite3* database) {
      SqliteConnection connection(database);
      work(connection);
    });
  }

  travelchat::SqliteStorage& storage_;
};

// For an error with the host's own tables.
[[noreturn]] void refuse(const std::filesystem::path& file, const error_code& ec) {
  const errc code = travelchat::describe(ec).code;
  std::string reason(travelchat::describe(ec).message);
  if (code == errc::storage_full) reason = "the disk is full";
  if (code == errc::storage_failed) reason = "cannot be written";
  if (code == errc::storage_incompatible) reason = "made by a newer version, or by another program";
  throw std::runtime_error("the database " + file.string() + ": " + reason);
}

}  // namespace

std::unique_ptr<Database> open_sqlite(const std::filesystem::path& folder, DatabaseLog log) {
  namespace fs = std::filesystem;
  std::error_code made;
  if (fs::create_directories(folder, made)) fs::permissions(folder, fs::perms::owner_all, made);
  if (made) throw std::runtime_error("cannot make the data folder " + folder.string() + ": " + made.message());

  const fs::path file = sqlite_file(folder);
  // Until it is open, lines become the text of this function's exception.
  struct Told {
    bool is_open = false;
    std::string last;
  };
  const auto told = std::make_shared<Told>();
  auto tell = [told, log = std::move(log)](std::string_view line) {
    if (!told->is_open)
      told->last = line;
    else if (log)
      log(line);
  };
  auto storage = travelchat::SqliteStorage::open({.path = file, .log = std::move(tell)});
  if (!storage) throw std::runtime_error("the database " + told->last);
  auto database = std::make_unique<SqliteDatabase>(*std::move(storage));
  if (const auto ec = database->write(migrate)) refuse(file, ec);
  told->is_open = true;
  return database;
}

}  // namespace travel_lab
