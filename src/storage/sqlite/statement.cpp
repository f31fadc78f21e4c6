#include "storage/sqlite/statement.hpp"

#include "storage/sqlite/wal_vfs.hpp"

#include <cerrno>
#include <cstring>
#include <system_error>

namespace travelchat::sqlite {

error_code to_error(const Failure& failure) noexcept {
  const bool no_room = failure.system_errno == ENOSPC || failure.system_errno == EDQUOT;
  switch (failure.code & 0xff) {
    case SQLITE_FULL:
      return errc::storage_full;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return no_room ? errc::storage_full : errc::storage_failed;
    default:
      return errc::storage_failed;
  }
}

std::string to_text(const Failure& failure) {
  std::string text = failure.message.empty() ? sqlite3_errstr(failure.code) : failure.message;
  if (failure.system_errno != 0) text += " (" + std::generic_category().message(failure.system_errno) + ')';
  return text;
}

static Failure failure_of(sqlite3* database, int code) {
  if (database == nullptr) return {code};
  Failure failure{sqlite3_extended_errcode(database), sqlite3_system_errno(database)};
  if (!failure.is_constraint()) failure.message = sqlite3_errmsg(database);
  return failure;
}

void fail(sqlite3* database, int code) {
  throw failure_of(database, code);
}

Database::Database(const std::filesystem::path& path, Access access) {
  const int flags = access == Access::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const char* const vfs = access == Access::read_only ? nullptr : gathering_wal_vfs();
  // No mutex: a connection is used by one thread at a time.
  const int code = sqlite3_open_v2(path.c_str(), &handle_, flags | SQLITE_OPEN_NOMUTEX, vfs);
  if (code != SQLITE_OK) {
    const Failure failure = failure_of(handle_, code);
    sqlite3_close(handle_);
    throw failure;
  }
  sqlite3_extended_result_codes(handle_, 1);
}

Database::~Database() {
  sqlite3_close(handle_);
}

void Database::execute(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(handle_, code);
}

void Database::roll_back() noexcept {
  if (in_transaction()) sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Statement::Statement(Database& database, const std::string& sql) {
  const int code =
      sqlite3_prepare_v3(database.handle(), sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
  if (code != SQLITE_OK) fail(database.handle(), code);
}

Sha256Digest Run::digest(int column) const noexcept {
  Sha256Digest digest{};
  const void* data = sqlite3_column_blob(statement_, column);
  if (data != nullptr && sqlite3_column_bytes(statement_, column) == static_cast<int>(digest.size())) {
    std::memcpy(digest.data(), data, digest.size());
  }
  return digest;
}

Uuid Run::uuid(int column) const noexcept {
  Uuid id;
  const void* data = sqlite3_column_blob(statement_, column);
  if (data != nullptr && sqlite3_column_bytes(statement_, column) == static_cast<int>(id.bytes.size())) {
    std::memcpy(id.bytes.data(), data, id.bytes.size());
  }
  return id;
}

}  // namespace travelchat::sqlite
