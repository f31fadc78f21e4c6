// Which socket closes are counted under which code.
#include "websocket/counters.hpp"

#include <travelchat/error.hpp>

#include "catch.hpp"

namespace travelchat::websocket {

TEST_CASE("every code with which the chat closes a socket is counted by itself") {
  for (const ErrorInfo& error : error_table()) {
    Counters counters;
    INFO(error.name << " closes with " << error.close_code);
    CHECK(&counters.closes_with(error.close_code) != &counters.other_closes);
    CHECK(&counters.closes_with(error.close_code) != &counters.closes_with(0));
  }
}

TEST_CASE("a code of a peer's own is no connection that ended without one") {
  Counters counters;
  CHECK(&counters.closes_with(3000) == &counters.other_closes);
  CHECK(&counters.closes_with(4999) == &counters.other_closes);
  CHECK(&counters.closes_with(0) != &counters.other_closes);
}

}  // namespace travelchat::websocket
