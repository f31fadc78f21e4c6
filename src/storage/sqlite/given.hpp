// Rows of C++ values as a table that a statement reads: `travelchat_given (c0, c1 ... c31)`.
//
// With it, one run of one statement stores or looks up a whole batch: to begin and end a run costs SQLite as much as a
// row.
#pragma once

#include "storage/sqlite/statement.hpp"

#include <travelchat/types.hpp>

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace travelchat::sqlite {

// Where the value of one column goes. Text and bytes are not copied: they live as long as the rows are given.
class Cell {
 public:
  explicit Cell(sqlite3_context* context) noexcept : context_(context) {}

  void operator()(std::int64_t value) const noexcept { sqlite3_result_int64(context_, value); }
  void operator()(std::uint64_t value) const noexcept {
    constexpr std::uint64_t largest = std::numeric_limits<std::int64_t>::max();
    (*this)(static_cast<std::int64_t>(value < largest ? value : largest));
  }
  void operator()(bool value) const noexcept { sqlite3_result_int(context_, value ? 1 : 0); }
  void operator()(Role value) const noexcept { sqlite3_result_int(context_, static_cast<int>(value)); }
  void operator()(TimePoint value) const noexcept { (*this)(std::int64_t{value.time_since_epoch().count()}); }
  void operator()(const std::string& value) const noexcept {
    sqlite3_result_text64(context_, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  void operator()(const Uuid& value) const noexcept {
    sqlite3_result_blob(context_, value.bytes.data(), static_cast<int>(value.bytes.size()), SQLITE_STATIC);
  }
  template <class T>
  void operator()(const std::optional<T>& value) const noexcept {
    if (value) (*this)(*value);  // else it stays NULL
  }

 private:
  sqlite3_context* context_;
};

// Belongs to one connection, and is made before the statements that read from it.
class GivenTable {
 public:
  static constexpr int max_columns = 32;

  explicit GivenTable(Database& database);
  GivenTable(const GivenTable&) = delete;
  GivenTable& operator=(const GivenTable&) = delete;

 private:
  template <class Item, class Put>
  friend class GivenRows;
  friend struct GivenModule;

  std::size_t size_ = 0;
  const void* rows_ = nullptr;
  void (*put_)(const void* rows, std::size_t row, int column, Cell cell) noexcept = nullptr;
};

// The rows of the table while this object lives; it must outlive the run that reads them. `put(item, column, cell)`
// gives the cell its value, or leaves it NULL.
template <class Item, class Put>
class GivenRows {
 public:
  GivenRows(GivenTable& table, std::span<const Item> items, Put put) : table_(table), items_(items), put_(put) {
    table_.size_ = items.size();
    table_.rows_ = this;
    table_.put_ = [](const void* rows, std::size_t row, int column, Cell cell) noexcept {
      const auto& self = *static_cast<const GivenRows*>(rows);
      self.put_(self.items_[row], column, cell);
    };
  }
  GivenRows(const GivenRows&) = delete;
  GivenRows& operator=(const GivenRows&) = delete;
  ~GivenRows() { table_.size_ = 0; }

 private:
  GivenTable& table_;
  std::span<const Item> items_;
  Put put_;
};

template <class Item, class Put>
GivenRows(GivenTable&, std::span<const Item>, Put) -> GivenRows<Item, Put>;

// "c0, c1, c2"
std::string given_columns(int count);

}  // namespace travelchat::sqlite
