#include "server/route_table.hpp"

#include "catch.hpp"

#include <string>
#include <string_view>
#include <vector>

using namespace travelchat;
using namespace travelchat::http;
using namespace travelchat::server;

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

void nothing(const HttpRequest&, const HttpRespond&) {}

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
  routes.add("GET", "/api/trip-view/:id", nothing, MetricsAccess::everyone);
  std::vector<std::string> params;
  CHECK(routes.entries()[0].match(split("/api/trip-view/7"), &params));
  CHECK(params == std::vector<std::string>{"7"});
  CHECK_FALSE(routes.entries()[0].match(split("/api/trip-view/"), nullptr));
  CHECK_FALSE(routes.entries()[0].match(split("/api/trip-view"), nullptr));
}

TEST_CASE("a route that no request would reach is refused with the reason") {
  HostRoutes routes;
  const auto refusal = [&](const char* method, const char* pattern, MetricsAccess metrics = MetricsAccess::everyone,
                           HttpHandler handler = nothing) -> std::string {
    try {
      routes.add(method, pattern, std::move(handler), metrics);
      return "none";
    } catch (const OptionError& refused) {
      return refused.what();
    }
  };
  CHECK(refusal("GET", "/trips/:id") == "none");
  CHECK(refusal("get", "/a") == "method must be in capital letters, like GET, which \"get\" is not");
  CHECK(refusal("", "/a") == "method must be in capital letters, like GET, which \"\" is not");
  CHECK(refusal("HEAD", "/a") == "method must not be HEAD, which the route of GET answers");
  CHECK(refusal("GET", "a") == "pattern must begin with /, which \"a\" does not");
  CHECK(refusal("GET", "/a", MetricsAccess::everyone, {}) == "handler must not be empty");
  for (const char* pattern : {"/trips/:id", "/trips/:tripId", "/trips/7"}) {
    INFO(pattern);
    CHECK(refusal("GET", pattern) ==
          "pattern must have paths of its own: GET /trips/:id takes all of " + std::string(pattern));
  }
  // Another method, a longer path, and more paths than the earlier one has.
  CHECK(refusal("POST", "/trips/:id") == "none");
  CHECK(refusal("GET", "/trips/:id/days") == "none");
  CHECK(refusal("GET", "/:kind/:id") == "none");
  for (const char* pattern : {"/api/conversations", "/api/conversations/:id/messages", "/api/conversations/7/messages",
                              "/api/chat-token", "/ws/chat", "/ws/inbox", "/livez", "/metrics"}) {
    INFO(pattern);
    // The chat answers 405 for a method that it does not have there.
    for (const char* method : {"GET", "PUT"}) {
      CHECK(refusal(method, pattern) ==
            "pattern must not be one of the chat's own paths, as " + std::string(pattern) + " is");
    }
  }
  CHECK(refusal("GET", "/metrics", MetricsAccess::nobody) == "none");
  CHECK(refusal("GET", "/api/conversations/:id") == "none");
}
