#include <travelchat/validate.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace travelchat {
namespace {

// One step through UTF-8. Bytes that are not well-formed give `valid` false and the length of the maximal subpart that
// one U+FFFD stands for (Unicode 15, section 3.9, "Substitution of Maximal Subparts").
struct Step {
  char32_t code_point = 0;
  std::size_t length = 1;
  bool valid = true;
};

// `text` is not empty.
Step decode_first(std::string_view text) noexcept {
  const auto byte = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};

  // The second byte's range is what keeps out overlong forms, surrogates and code points beyond U+10FFFF.
  std::size_t length = 0;
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
  char32_t code_point = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
    code_point = lead & 0x1Fu;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    code_point = lead & 0x0Fu;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    code_point = lead & 0x07u;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {0, 1, false};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= text.size() || byte(i) < low || byte(i) > high) return {0, i, false};
    code_point = (code_point << 6) | (byte(i) & 0x3Fu);
    low = 0x80;
    high = 0xBF;
  }
  return {code_point, length, true};
}

// The Unicode property White_Space.
constexpr bool is_white_space(char32_t c) noexcept {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// The general category Cc.
constexpr bool is_control(char32_t c) noexcept {
  return c < 0x20 || (c >= 0x7F && c <= 0x9F);
}

// The Unicode property Default_Ignorable_Code_Point: characters that are not shown by themselves.
constexpr bool is_ignorable(char32_t c) noexcept {
  return c == 0xAD || c == 0x34F || c == 0x61C || (c >= 0x115F && c <= 0x1160) || (c >= 0x17B4 && c <= 0x17B5) ||
         (c >= 0x180B && c <= 0x180F) || (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2060 && c <= 0x206F) || c == 0x3164 || (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF || c == 0xFFA0 ||
         (c >= 0xFFF0 && c <= 0xFFF8) || (c >= 0x1BCA0 && c <= 0x1BCA3) || (c >= 0x1D173 && c <= 0x1D17A) ||
         (c >= 0xE0000 && c <= 0xE0FFF);
}

// U+202A to U+202E and U+2066 to U+2069: they reorder the text around them.
constexpr bool is_bidi_override(char32_t c) noexcept {
  return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

constexpr std::size_t max_name_code_points = 200;

// Not empty, and nothing in it that browsers drop or read as something else.
bool is_address_text(std::string_view url) noexcept {
  if (url.empty()) return false;
  while (!url.empty()) {
    const Step step = decode_first(url);
    const bool means_itself = step.valid && !is_control(step.code_point) && !is_white_space(step.code_point);
    if (!means_itself || step.code_point == '\\') return false;
    url.remove_prefix(step.length);
  }
  return true;
}

// `scheme` in lower case.
bool starts_with_scheme(std::string_view url, std::string_view scheme) noexcept {
  return url.size() > scheme.size() &&
         std::ranges::equal(url.substr(0, scheme.size()), scheme, [](char is, char wanted) {
           return (is >= 'A' && is <= 'Z' ? static_cast<char>(is - 'A' + 'a') : is) == wanted;
         });
}

}  // namespace

result<std::string> normalize_content(std::string_view content) {
  // [begin, end) is what trimming leaves; `count` is its length in code points.
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t count = 0;
  std::size_t spaces_since_end = 0;
  bool visible = false;
  for (std::size_t at = 0; at < content.size();) {
    const Step step = decode_first(content.substr(at));
    if (!step.valid || step.code_point == 0) return errc::invalid_content;
    at += step.length;
    if (is_white_space(step.code_point)) {
      if (count == 0) {
        begin = at;
      } else {
        ++spaces_since_end;
      }
      continue;
    }
    count += spaces_since_end + 1;
    spaces_since_end = 0;
    end = at;
    if (count > max_content_code_points) return errc::invalid_content;
    visible = visible || (!is_control(step.code_point) && !is_ignorable(step.code_point));
  }
  if (!visible) return errc::invalid_content;
  return std::string(content.substr(begin, end - begin));
}

bool is_client_message_id(std::string_view id) noexcept {
  if (id.empty() || id.size() > 64) return false;
  for (const char c : id) {
    const bool allowed =
        (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!allowed) return false;
  }
  return true;
}

bool is_host_id(std::string_view id) noexcept {
  if (id.empty() || id.size() > 128) return false;
  for (const char c : id) {
    if (c < 0x21 || c > 0x7E) return false;
  }
  return true;
}

bool is_token(std::string_view token) noexcept {
  if (token.size() != 64) return false;
  for (const char c : token) {
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (!hex) return false;
  }
  return true;
}

bool is_web_address(std::string_view url) noexcept {
  if (!is_address_text(url)) return false;
  if (url.front() == '/') return !url.starts_with("//");
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!starts_with_scheme(url, scheme)) continue;
    const std::string_view rest = url.substr(scheme.size());
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
    return !authority.empty() && !authority.starts_with(':') && authority.find('@') == authority.npos;
  }
  return false;
}

bool is_picture_address(std::string_view url) noexcept {
  return is_web_address(url) || (is_address_text(url) && starts_with_scheme(url, "data:image/"));
}

std::string clean_name(std::string_view name) {
  std::string clean;
  std::size_t count = 0;
  std::size_t end = 0;  // of what trimming leaves
  while (!name.empty() && count < max_name_code_points) {
    const Step step = decode_first(name);
    const std::string_view bytes = step.valid ? name.substr(0, step.length) : std::string_view("\xEF\xBF\xBD");
    name.remove_prefix(step.length);
    if (step.valid && is_bidi_override(step.code_point)) continue;
    const bool space = step.valid && is_white_space(step.code_point);
    if (space && clean.empty()) continue;
    if (step.valid && is_control(step.code_point)) {
      if (!space) continue;
      clean += ' ';
    } else {
      clean += bytes;
    }
    ++count;
    if (!space) end = clean.size();
  }
  clean.resize(end);
  return clean;
}

std::string_view first_code_points(std::string_view text, std::size_t count) noexcept {
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    const bool starts_code_point = (static_cast<std::uint8_t>(text[at]) & 0xC0) != 0x80;
    if (!starts_code_point) continue;
    if (count == 0) break;
    --count;
  }
  return text.substr(0, at);
}

bool is_valid_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    std::uint64_t word = 0;
    if (text.size() >= sizeof(word)) {
      std::memcpy(&word, text.data(), sizeof(word));
      if ((word & 0x8080'8080'8080'8080) == 0) {
        text.remove_prefix(sizeof(word));
        continue;
      }
    }
    const Step step = decode_first(text);
    if (!step.valid) return false;
    text.remove_prefix(step.length);
  }
  return true;
}

}  // namespace travelchat
