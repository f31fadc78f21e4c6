// PostgreSQL's binary formats: parameters out, rows in.
//
// Values only, no connection; any thread. Arrays are what one statement for a whole batch is made of: a column of the
// batch each (`unnest($1, $2, ...)`).
#pragma once

#include <travelchat/types.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::postgres {

// The object ids of the types that are sent (catalog/pg_type.dat); they never change.
enum class Type : std::uint32_t { boolean = 16, bigint = 20, smallint = 21, text = 25, timestamp = 1114 };

// A one-dimensional array in its binary format.
class Array {
 public:
  explicit Array(Type element);

  void add(std::string_view text);
  void add(const Uuid& id);
  void add(Role role) { add(to_string(role)); }
  void add(Emoji emoji) { add(to_string(emoji)); }
  // Digests are stored as hexadecimal text.
  void add(const Sha256Digest& digest);
  // A number beyond PostgreSQL's integers becomes the largest one: no stored number is as large.
  void add(std::uint64_t number);
  void add(std::int16_t number);
  void add(bool value);
  void add(TimePoint time);
  void add_null();
  template <class T>
  void add(const std::optional<T>& value) {
    if (value) {
      add(*value);
    } else {
      add_null();
    }
  }

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  // The bytes, with the header as it is now.
  std::string bytes() const;

 private:
  std::string elements_;
  Type element_;
  std::uint32_t size_ = 0;
  bool has_null_ = false;
};

// The parameters of one run of a statement, in order, all binary.
class Parameters {
 public:
  Parameters() = default;
  template <class... Values>
  explicit Parameters(const Values&... values) {
    (add(values), ...);
  }

  void add(const Array& array) { values_.push_back(array.bytes()); }
  void add(std::string_view text) { values_.emplace_back(text); }
  void add(const std::string& text) { values_.emplace_back(text); }
  void add(const char* text) { values_.emplace_back(text); }
  void add(const Uuid& id) { values_.push_back(to_string(id)); }
  void add(const Sha256Digest& digest);
  void add(std::uint64_t number);
  void add(bool value) { values_.emplace_back(std::string(1, value ? '\1' : '\0')); }
  void add(TimePoint time);
  template <class T>
  void add(const std::optional<T>& value) {
    if (value) {
      add(*value);
    } else {
      values_.push_back(std::nullopt);
    }
  }

  std::size_t size() const noexcept { return values_.size(); }
  const std::optional<std::string>& operator[](std::size_t i) const { return values_[i]; }

 private:
  std::vector<std::optional<std::string>> values_;
};

// What a value of a row is; nullopt when the bytes are no such value. A `bigint` may also be a smaller integer.
std::optional<std::int64_t> decode_integer(std::string_view bytes) noexcept;
std::optional<bool> decode_boolean(std::string_view bytes) noexcept;
// Rounded down to milliseconds.
std::optional<TimePoint> decode_time(std::string_view bytes) noexcept;
std::optional<Sha256Digest> decode_digest(std::string_view hexadecimal) noexcept;

}  // namespace travelchat::postgres
