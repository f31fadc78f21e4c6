// What the engine accepts: pure checks of everything that comes from outside.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/types.hpp>
#include <travelchat/utf8.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace travelchat {

// The content without leading and trailing white space (Unicode White_Space). `errc::invalid_content`: empty, only
// white space or zero-width characters, over 10,000 code points, a NUL, or not valid UTF-8 (surrogates and overlong
// forms included).
result<std::string> normalize_content(std::string_view content);

// 1 to 64 characters of [A-Za-z0-9_-].
bool is_client_message_id(std::string_view id) noexcept;

// 1 to 128 printable ASCII characters (0x21 to 0x7E).
bool is_host_id(std::string_view id) noexcept;

// 64 lower-case or upper-case hexadecimal characters.
bool is_token(std::string_view token) noexcept;

// What a page may open or show as a picture: an http or https URL with a host and without a user name, or a path of the
// server itself, which begins with one slash. No white space, control characters or backslashes: browsers drop the
// first two and take the third for a slash, so that what looks like a path would be another origin.
bool is_web_address(std::string_view url) noexcept;

// The same for a person's picture, which may also come along by itself (`data:image/…`).
bool is_picture_address(std::string_view url) noexcept;

// A person's name fit to store: valid UTF-8 (bad bytes become U+FFFD), without control characters (a tab or a line
// break becomes a space) and bidirectional overrides (U+202A to U+202E, U+2066 to U+2069), trimmed, at most 200 code
// points.
std::string clean_name(std::string_view name);

// The first `count` code points of valid UTF-8.
std::string_view first_code_points(std::string_view text, std::size_t count) noexcept;

}  // namespace travelchat
