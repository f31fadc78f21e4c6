#include "storage/postgres/codec.hpp"

#include "core/digest.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <limits>
#include <type_traits>

namespace travelchat::postgres {

namespace {

// Times count from 2000-01-01 in microseconds.
constexpr std::chrono::sys_days epoch = std::chrono::year{2000} / 1 / 1;

template <class Integer>
void append(std::string& out, Integer value) {
  const auto bits = static_cast<std::make_unsigned_t<Integer>>(value);
  for (int shift = 8 * (static_cast<int>(sizeof(Integer)) - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(static_cast<std::uint8_t>(bits >> shift)));
  }
}

void append_value(std::string& out, std::string_view bytes) {
  append(out, static_cast<std::int32_t>(bytes.size()));
  out.append(bytes);
}

std::int64_t as_bigint(std::uint64_t number) {
  constexpr std::uint64_t largest = std::numeric_limits<std::int64_t>::max();
  return static_cast<std::int64_t>(std::min(number, largest));
}

std::int64_t as_microseconds(TimePoint time) {
  return std::chrono::microseconds{time - epoch}.count();
}

std::optional<std::uint8_t> hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  return std::nullopt;
}

}  // namespace

Array::Array(Type element) : element_(element) {}

void Array::add(std::string_view text) {
  append_value(elements_, text);
  ++size_;
}

void Array::add(const Uuid& id) {
  std::array<char, 36> text;
  write_uuid(id, text.data());
  add(std::string_view(text.data(), text.size()));
}

void Array::add(const Sha256Digest& digest) {
  add(std::string_view(to_hex(digest)));
}

void Array::add(std::uint64_t number) {
  append(elements_, std::int32_t{8});
  append(elements_, as_bigint(number));
  ++size_;
}

void Array::add(std::int16_t number) {
  append(elements_, std::int32_t{2});
  append(elements_, number);
  ++size_;
}

void Array::add(bool value) {
  append(elements_, std::int32_t{1});
  elements_.push_back(value ? '\1' : '\0');
  ++size_;
}

void Array::add(TimePoint time) {
  append(elements_, std::int32_t{8});
  append(elements_, as_microseconds(time));
  ++size_;
}

void Array::add_null() {
  append(elements_, std::int32_t{-1});
  has_null_ = true;
  ++size_;
}

std::string Array::bytes() const {
  std::string out;
  out.reserve(20 + elements_.size());
  append(out, std::int32_t{size_ > 0 ? 1 : 0});  // dimensions
  append(out, std::int32_t{has_null_ ? 1 : 0});
  append(out, static_cast<std::uint32_t>(element_));
  if (size_ > 0) {
    append(out, size_);
    append(out, std::int32_t{1});  // the first index
  }
  return out + elements_;
}

void Parameters::add(const Sha256Digest& digest) {
  values_.push_back(to_hex(digest));
}

void Parameters::add(std::uint64_t number) {
  append(values_.emplace_back(std::in_place).value(), as_bigint(number));
}

void Parameters::add(TimePoint time) {
  append(values_.emplace_back(std::in_place).value(), as_microseconds(time));
}

std::optional<std::int64_t> decode_integer(std::string_view bytes) noexcept {
  if (bytes.size() != 8 && bytes.size() != 4 && bytes.size() != 2) return std::nullopt;
  std::uint64_t bits = (static_cast<std::uint8_t>(bytes.front()) & 0x80U) != 0 ? ~std::uint64_t{0} : 0;
  for (const char byte : bytes) bits = bits << 8 | static_cast<std::uint8_t>(byte);
  return static_cast<std::int64_t>(bits);
}

std::optional<bool> decode_boolean(std::string_view bytes) noexcept {
  if (bytes.size() != 1) return std::nullopt;
  return bytes.front() != '\0';
}

std::optional<TimePoint> decode_time(std::string_view bytes) noexcept {
  if (bytes.size() != 8) return std::nullopt;
  const auto count = decode_integer(bytes);
  return epoch + std::chrono::floor<std::chrono::milliseconds>(std::chrono::microseconds{*count});
}

std::optional<Sha256Digest> decode_digest(std::string_view hexadecimal) noexcept {
  Sha256Digest digest;
  if (hexadecimal.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const auto high = hex_digit(hexadecimal[2 * i]);
    const auto low = hex_digit(hexadecimal[2 * i + 1]);
    if (!high || !low) return std::nullopt;
    digest[i] = static_cast<std::uint8_t>(*high << 4 | *low);
  }
  return digest;
}

}  // namespace travelchat::postgres
