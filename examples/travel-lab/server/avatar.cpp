#include "avatar.hpp"

#include <array>
#include <cstdint>

namespace travel_lab {
namespace {

// White text on each has a contrast of at least 4.5:1.
constexpr std::array<std::string_view, 10> colours = {"#0b6e99", "#7b4fa3", "#b3425a", "#2f7d4f", "#a3541b",
                                                      "#3f5fb0", "#8a6100", "#1c7c7d", "#9c3d8c", "#56652a"};

// The bytes of the first code point of valid UTF-8, fit for XML.
void append_initial(std::string_view word, std::string& out) {
  if (word.empty()) return;
  std::size_t size = 1;
  while (size < word.size() && (static_cast<unsigned char>(word[size]) & 0xC0) == 0x80) ++size;
  const std::string_view initial = word.substr(0, size);
  if (initial == "<") {
    out += "&lt;";
  } else if (initial == "&") {
    out += "&amp;";
  } else {
    out += initial;
  }
}

std::uint32_t fnv1a(std::string_view text) noexcept {
  std::uint32_t hash = 2'166'136'261;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16'777'619;
  return hash;
}

}  // namespace

std::string draw_avatar(std::string_view person_id, std::string_view full_name) {
  const std::size_t last_space = full_name.rfind(' ');
  std::string svg =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 80 80\" width=\"80\" height=\"80\"><rect width=\"80\" "
      "height=\"80\" fill=\"";
  svg += colours[fnv1a(person_id) % colours.size()];
  svg +=
      "\"/><text x=\"40\" y=\"40\" dy=\".36em\" text-anchor=\"middle\" fill=\"#fff\" font-size=\"32\" "
      "font-weight=\"600\" font-family=\"Inter,system-ui,sans-serif\">";
  append_initial(full_name, svg);
  if (last_space != std::string_view::npos) append_initial(full_name.substr(last_space + 1), svg);
  svg += "</text></svg>";
  return svg;
}

}  // namespace travel_lab
