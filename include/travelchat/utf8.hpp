// Validation of UTF-8. Any thread.
#pragma once

#include <string_view>

namespace travelchat {

// Surrogates and overlong forms are not valid; the empty text is.
bool is_valid_utf8(std::string_view text) noexcept;

}  // namespace travelchat
