// Text search in messages and names, without regard to case and to how letters are composed. Every storage of the
// library uses it; a host's name search and an application's own storage may.
//
// Values only; any thread.
#pragma once

#include <string>
#include <string_view>

namespace travelchat {

// Two texts that differ only in case, or in how their letters are composed, become the same: Unicode's full case
// folding, then its normal form C. "STRASSE" and "straße" become "strasse". Only the case of the four Turkish letters i
// depends on the language; all four become "i". Of text that is not UTF-8 only ASCII is folded.
std::string fold_text(std::string_view text);

// A text that is looked for.
class TextSearch {
 public:
  explicit TextSearch(std::string_view text);

  // Whether `content` has it, every letter of it whole: "e" is not found in "é", however that is written. An empty text
  // is in every content, what is not UTF-8 in none.
  bool finds_in(std::string_view content) const;
  // What is looked for, folded.
  const std::string& folded() const noexcept { return folded_; }
  bool is_ascii() const noexcept { return is_ascii_; }

 private:
  std::string folded_;
  bool is_ascii_;
  bool is_text_;
};

}  // namespace travelchat
