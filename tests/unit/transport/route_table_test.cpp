#include "transport/route_table.hpp"

#include "catch.hpp"

#include <string>
#include <string_view>
#include <vector>

using namespace travelchat;
using namespace travelchat::transport;

namespace {

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  path.remove_prefix(1);
  for (;;) {
    const std::size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == path.npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

TEST_CASE("A pattern matches its literals and takes its parameters in order") {
  constexpr Pattern pattern("/api/conversations/:id/messages/:messageId/reactions");
  Pattern::Params params{};
  CHECK(pattern.match(split("/api/conversations/c/messages/m/reactions"), params));
  CHECK(params[0] == "c");
  CHECK(params[1] == "m");
  for (const std::string_view path :
       {"/api/conversations/c/messages/m", "/api/conversations/c/messages/m/reactions/",
        "/api/conversations//messages/m/reactions", "/API/conversations/c/messages/m/reactions", "/"}) {
    CHECK_FALSE(pattern.match(split(path), params));
  }
}

TEST_CASE("No request fits two chat routes") {
  const auto routes = chat_routes();
  REQUIRE(routes.size() > 10);
  const std::vector<std::string_view> paths = {"/api/conversations",
                                               "/api/conversations/x/messages",
                                               "/api/conversations/x/messages/client",
                                               "/api/conversations/x/read",
                                               "/api/conversations/x/messages/y/reactions",
                                               "/api/chat-token",
                                               "/livez"};
  for (const auto path : paths) {
    for (const std::string_view method : {"GET", "POST", "DELETE"}) {
      int matches = 0;
      Pattern::Params params{};
      for (const ChatRoute& route : routes)
        matches += route.method == method && route.pattern.match(split(path), params);
      CHECK(matches <= 1);
    }
  }
}

TEST_CASE("Every writing chat route wants JSON or nothing") {
  for (const ChatRoute& route : chat_routes()) {
    CHECK(route.handle != nullptr);
    CHECK((route.method == "GET") == (route.body == BodyKind::none));
  }
}

TEST_CASE("A host's route takes its parameters") {
  HostRoutes routes;
  routes.add("GET", "/api/trip-view/:id", [](HttpRequest, HttpRespond) {});
  std::vector<std::string> params;
  CHECK(routes.entries()[0].match(split("/api/trip-view/7"), &params));
  CHECK(params == std::vector<std::string>{"7"});
  CHECK_FALSE(routes.entries()[0].match(split("/api/trip-view/"), nullptr));
  CHECK_FALSE(routes.entries()[0].match(split("/api/trip-view"), nullptr));
  CHECK_THROWS(routes.add("GET", "api", [](HttpRequest, HttpRespond) {}));
}
