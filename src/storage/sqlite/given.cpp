#include "storage/sqlite/given.hpp"

#include <new>

namespace travelchat::sqlite {

// A virtual table as SQLite wants one: without arguments, read from its first row to its last.
struct GivenModule {
  struct Table : sqlite3_vtab {
    const GivenTable* given = nullptr;
  };
  struct Cursor : sqlite3_vtab_cursor {
    std::size_t row = 0;
  };

  static const GivenTable& given_of(sqlite3_vtab_cursor* cursor) noexcept {
    return *static_cast<Table*>(cursor->pVtab)->given;
  }

  static int connect(sqlite3* database, void* given, int, const char* const*, sqlite3_vtab** out, char**) noexcept {
    static_assert(GivenTable::max_columns == 32);
    const int code = sqlite3_declare_vtab(
        database,
        "CREATE TABLE given (c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, "
        "c16, c17, c18, c19, c20, c21, c22, c23, c24, c25, c26, c27, c28, c29, c30, c31)");
    if (code != SQLITE_OK) return code;
    auto* const table = new (std::nothrow) Table();
    if (table == nullptr) return SQLITE_NOMEM;
    table->given = static_cast<const GivenTable*>(given);
    *out = table;
    return SQLITE_OK;
  }
  static int disconnect(sqlite3_vtab* table) noexcept {
    delete static_cast<Table*>(table);
    return SQLITE_OK;
  }
  static int best_index(sqlite3_vtab*, sqlite3_index_info* info) noexcept {
    info->estimatedCost = 1'000;
    info->estimatedRows = 100;
    return SQLITE_OK;
  }
  static int open(sqlite3_vtab*, sqlite3_vtab_cursor** out) noexcept {
    auto* const cursor = new (std::nothrow) Cursor();
    if (cursor == nullptr) return SQLITE_NOMEM;
    *out = cursor;
    return SQLITE_OK;
  }
  static int close(sqlite3_vtab_cursor* cursor) noexcept {
    delete static_cast<Cursor*>(cursor);
    return SQLITE_OK;
  }
  static int filter(sqlite3_vtab_cursor* cursor, int, const char*, int, sqlite3_value**) noexcept {
    static_cast<Cursor*>(cursor)->row = 0;
    return SQLITE_OK;
  }
  static int next(sqlite3_vtab_cursor* cursor) noexcept {
    ++static_cast<Cursor*>(cursor)->row;
    return SQLITE_OK;
  }
  static int eof(sqlite3_vtab_cursor* cursor) noexcept {
    return static_cast<Cursor*>(cursor)->row >= given_of(cursor).size_ ? 1 : 0;
  }
  static int column(sqlite3_vtab_cursor* cursor, sqlite3_context* context, int column) noexcept {
    const GivenTable& given = given_of(cursor);
    given.put_(given.rows_, static_cast<Cursor*>(cursor)->row, column, Cell(context));
    return SQLITE_OK;
  }
  static int row_id(sqlite3_vtab_cursor* cursor, sqlite3_int64* out) noexcept {
    *out = static_cast<sqlite3_int64>(static_cast<Cursor*>(cursor)->row);
    return SQLITE_OK;
  }

  // Without xCreate it is an eponymous-only virtual table: it exists under its own name, and CREATE VIRTUAL TABLE
  // cannot make another.
  static sqlite3_module make() noexcept {
    sqlite3_module module{};
    module.xConnect = connect;
    module.xBestIndex = best_index;
    module.xDisconnect = disconnect;
    module.xOpen = open;
    module.xClose = close;
    module.xFilter = filter;
    module.xNext = next;
    module.xEof = eof;
    module.xColumn = column;
    module.xRowid = row_id;
    return module;
  }
};

std::string given_columns(int count) {
  std::string list = "c0";
  for (int i = 1; i < count; ++i) list += ", c" + std::to_string(i);
  return list;
}

GivenTable::GivenTable(Database& database) {
  static const sqlite3_module module = GivenModule::make();
  const int code = sqlite3_create_module_v2(database.handle(), "travelchat_given", &module, this, nullptr);
  if (code != SQLITE_OK) fail(database.handle(), code);
}

}  // namespace travelchat::sqlite
