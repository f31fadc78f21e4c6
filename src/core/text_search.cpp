#include <travelchat/text_search.hpp>
#include <travelchat/validate.hpp>

#include "core/letters.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>

namespace travelchat {
namespace {

bool has_ascii_only(std::string_view text) noexcept {
  while (text.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof(word));
    if ((word & 0x8080'8080'8080'8080) != 0) return false;
    text.remove_prefix(sizeof(word));
  }
  return std::ranges::all_of(text, [](char c) { return static_cast<std::uint8_t>(c) < 0x80; });
}

char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string fold_ascii(std::string_view text) {
  std::string folded(text);
  std::ranges::transform(folded, folded.begin(), to_lower);
  return folded;
}

// utf8proc's code points are signed.
utf8proc_int32_t* data_of(std::u32string& text) noexcept {
  static_assert(sizeof(utf8proc_int32_t) == sizeof(char32_t));
  return reinterpret_cast<utf8proc_int32_t*>(text.data());
}

std::optional<std::u32string> decompose(std::string_view text, int options) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  // A first guess: text seldom decomposes into more code points than it has bytes.
  std::u32string letters(text.size() + 8, U'\0');
  for (;;) {
    const utf8proc_ssize_t length =
        utf8proc_decompose(bytes, static_cast<utf8proc_ssize_t>(text.size()), data_of(letters),
                           static_cast<utf8proc_ssize_t>(letters.size()),
                           static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | options));
    if (length == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
    if (length < 0) return std::nullopt;
    const bool is_complete = static_cast<std::size_t>(length) <= letters.size();
    letters.resize(static_cast<std::size_t>(length));
    if (is_complete) return letters;
  }
}

std::u32string decompose(char32_t letter, int options) {
  std::u32string letters(8, U'\0');
  int boundary = 0;
  const utf8proc_ssize_t length = utf8proc_decompose_char(
      static_cast<utf8proc_int32_t>(letter), data_of(letters), static_cast<utf8proc_ssize_t>(letters.size()),
      static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | options), &boundary);
  letters.resize(static_cast<std::size_t>(std::max<utf8proc_ssize_t>(length, 0)));
  return letters;
}

// For decomposed, folded text, in which "İ" has become "i" and a combining dot above.
void unite_letters_i(std::u32string& text) {
  std::size_t kept = 0;
  for (const char32_t c : text) {
    if (c == letters::dot_above && kept > 0 && text[kept - 1] == U'i') continue;
    text[kept++] = c == letters::dotless_i ? U'i' : c;
  }
  text.resize(kept);
}

}  // namespace

namespace letters {

const std::vector<Folding>& foldings() {
  static const std::vector<Folding> all = [] {
    std::vector<Folding> found{{dotless_i, U"i"}};
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
      const std::u32string folded = decompose(c, UTF8PROC_CASEFOLD);
      if (folded != std::u32string_view(&c, 1) && decompose(c, 0) == std::u32string_view(&c, 1)) {
        found.push_back({c, folded});
      }
    }
    return found;
  }();
  return all;
}

std::optional<std::u32string> decomposed(std::string_view text) {
  return decompose(text, 0);
}

std::string encoded(std::u32string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (const char32_t c : text) {
    utf8proc_uint8_t letter[4];
    const utf8proc_ssize_t size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), letter);
    bytes.append(reinterpret_cast<const char*>(letter), static_cast<std::size_t>(size));
  }
  return bytes;
}

}  // namespace letters

std::string fold_text(std::string_view text) {
  if (has_ascii_only(text)) return fold_ascii(text);
  std::optional<std::u32string> folded = decompose(text, UTF8PROC_CASEFOLD);
  if (!folded) return fold_ascii(text);
  unite_letters_i(*folded);
  const utf8proc_ssize_t length =
      utf8proc_normalize_utf32(data_of(*folded), static_cast<utf8proc_ssize_t>(folded->size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  folded->resize(static_cast<std::size_t>(length));
  return letters::encoded(*folded);
}

TextSearch::TextSearch(std::string_view text)
    : folded_(fold_text(text)), is_ascii_(has_ascii_only(folded_)), is_text_(is_valid_utf8(text)) {}

bool TextSearch::finds_in(std::string_view content) const {
  // Bytes that are not UTF-8 could match a part of a letter.
  if (!is_text_) return false;
  if (!has_ascii_only(content)) return fold_text(content).find(folded_) != std::string::npos;
  if (!is_ascii_) return false;
  const auto found = std::search(content.begin(), content.end(), folded_.begin(), folded_.end(),
                                 [](char letter, char wanted) { return to_lower(letter) == wanted; });
  return found != content.end() || folded_.empty();
}

}  // namespace travelchat
