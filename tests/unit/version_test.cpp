#include <travelchat/version.hpp>

#include "catch.hpp"

#include <string>

TEST_CASE("the version that a program is compiled with is the project's") {
  CHECK(travelchat::version == TRAVELCHAT_PROJECT_VERSION);
  CHECK(TRAVELCHAT_VERSION_STRING == travelchat::version);
  CHECK(std::to_string(travelchat::version_major) + '.' + std::to_string(travelchat::version_minor) + '.' +
            std::to_string(travelchat::version_patch) ==
        travelchat::version);
#if TRAVELCHAT_VERSION != \
    TRAVELCHAT_VERSION_MAJOR * 1000000 + TRAVELCHAT_VERSION_MINOR * 1000 + TRAVELCHAT_VERSION_PATCH
#error "TRAVELCHAT_VERSION is no number for the preprocessor"
#endif
  CHECK(TRAVELCHAT_VERSION >= 1'000);
}
