// What `TextSearch` finds, as a condition that the server itself evaluates. Its own lower() depends on the locale, so
// the letters are folded by what `fold_text` says of them: those alone that can stand where a letter of the text does.
#pragma once

#include "storage/postgres/codec.hpp"

#include <travelchat/text_search.hpp>

#include <string>
#include <string_view>

namespace travelchat::postgres {

// SQL that is true where the text in `column` has what is looked for. Adds its parameters behind those that are there.
std::string content_condition(std::string_view column, const TextSearch& search, Parameters& parameters);

}  // namespace travelchat::postgres
