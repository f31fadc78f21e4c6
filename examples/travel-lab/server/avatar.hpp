// Portraits of people without a photograph: their initials on a colour of their own.
#pragma once

#include <string>
#include <string_view>

namespace travel_lab {

// An SVG image. The colour follows from the id, the initials from the first and the last word of the name. Pure.
std::string draw_avatar(std::string_view person_id, std::string_view full_name);

}  // namespace travel_lab
