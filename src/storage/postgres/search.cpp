#include "storage/postgres/search.hpp"

#include "core/letters.hpp"

#include <algorithm>

namespace travelchat::postgres {
namespace {

bool have_common_letter(std::u32string_view a, std::u32string_view b) {
  return a.find_first_of(b) != a.npos;
}

// Appends a parameter; how the SQL names it.
std::string add(Parameters& parameters, const std::string& text) {
  parameters.add(text);
  return "$" + std::to_string(parameters.size()) + "::text";
}

}  // namespace

std::string content_condition(std::string_view column, const TextSearch& search, Parameters& parameters) {
  // No content has a NUL or is not UTF-8, and no parameter may be.
  const auto wanted = letters::decomposed(search.folded());
  if (!wanted || wanted->find(U'\0') != wanted->npos) return "false";
  const std::string text = add(parameters, search.folded());
  // The collation "C" lowers the letters of ASCII and no others, and compares byte by byte.
  const std::string content = std::string(column) + " COLLATE \"C\"";
  const std::string is_ascii = "octet_length(" + std::string(column) + ") = length(" + std::string(column) + ")";
  const std::string in_ascii = search.is_ascii() ? "strpos(lower(" + content + "), " + text + ") > 0" : "false";

  std::u32string relevant = *wanted;
  // A dot above is part of an "i", which has to be known as one.
  const bool has_i = relevant.find_first_of(std::u32string{U'i', letters::dot_above}) != relevant.npos;
  if (has_i) relevant += U'i';
  std::u32string from;
  std::u32string to;
  std::string folded = "normalize(" + content + ", NFD)";
  for (const letters::Folding& folding : letters::foldings()) {
    if (!have_common_letter(folding.to, relevant)) continue;
    if (folding.to.size() == 1) {
      from += folding.from;
      to += folding.to;
    } else {
      folded = "replace(" + folded + ", " + add(parameters, letters::encoded({&folding.from, 1})) + ", " +
               add(parameters, letters::encoded(folding.to)) + ")";
    }
  }
  if (!from.empty()) {
    folded = "translate(" + folded + ", " + add(parameters, letters::encoded(from)) + ", " +
             add(parameters, letters::encoded(to)) + ")";
  }
  if (has_i) {
    folded = "replace(" + folded + ", " + add(parameters, letters::encoded(std::u32string{U'i', letters::dot_above})) +
             ", 'i')";
  }
  return "CASE WHEN " + is_ascii + " THEN " + in_ascii + " ELSE strpos(normalize(" + folded + ", NFC), " + text +
         ") > 0 END";
}

}  // namespace travelchat::postgres
