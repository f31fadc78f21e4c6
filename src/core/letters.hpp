// The letters that `fold_text` folds, for a storage that has to say it in another language.
//
// Values only; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::letters {

inline constexpr char32_t dotless_i = 0x131;
inline constexpr char32_t dot_above = 0x307;

// What a letter that Unicode's normal form D leaves as it is becomes, itself in form D.
struct Folding {
  char32_t from;
  std::u32string to;
};

// All of them. "İ" becomes "i" and a combining dot above, which has to be removed besides.
const std::vector<Folding>& foldings();

// The text in form D, its case unchanged; nullopt: not UTF-8.
std::optional<std::u32string> decomposed(std::string_view text);
// As UTF-8.
std::string encoded(std::u32string_view text);

}  // namespace travelchat::letters
