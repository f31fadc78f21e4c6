#include "http/request_checks.hpp"

#include "catch.hpp"

#include <string>
#include <string_view>
#include <vector>

using namespace travelchat;
using namespace travelchat::http;

TEST_CASE("A path is decoded and split") {
  const auto path = TargetPath::parse("/api/conversations/a%2Fb%20c/messages");
  REQUIRE(path.has_value());
  CHECK(path->path() == "/api/conversations/a/b c/messages");
  CHECK(path->raw_path() == "/api/conversations/a%2Fb%20c/messages");
  const auto segments = path->segments();
  CHECK(std::vector<std::string_view>(segments.begin(), segments.end()) ==
        std::vector<std::string_view>{"api", "conversations", "a/b c", "messages"});
}

TEST_CASE("An escape sequence of JSON counts as what it stands for") {
  for (const auto& [text, size] : std::vector<std::pair<std::string_view, std::size_t>>{
           {"", 0},
           {R"({"a":"b"})", 9},
           {R"("\n\"\\")", 5},
           {R"("\u0041")", 3},
           {R"("\u00e9")", 4},
           {R"("\u65E5")", 5},
           {R"("\ud83d\ude00")", 6},
           {R"("\\u0041")", 8},  // a backslash, and letters
           {R"("\u00)", 4},
           {R"("\u00g0")", 7},
           {R"("\uFFg0")", 7},
           {R"("\u-041")", 7},
           {R"(\)", 1},
           {"\xF0\x9F\x98\x80", 4},
       }) {
    CAPTURE(text);
    CHECK(unescaped_size(text) == size);
  }
}

TEST_CASE("A path's views survive a move") {
  auto first = TargetPath::parse("/a%20b");
  REQUIRE(first.has_value());
  const TargetPath second = std::move(*first);
  CHECK(second.segments()[0] == "a b");
}

TEST_CASE("A plus stands for itself in a path") {
  CHECK(TargetPath::parse("/a+b")->segments()[0] == "a+b");
}

TEST_CASE("A path with NUL, overlong UTF-8, line breaks or parents is malformed") {
  for (const std::string_view path :
       {"",        "x",         "*",          "http://host/x", "/%00",  "/a%0d", "/a%0Ab",  "/%7f",
        "/%c0%af", "/%ff",      "/%ed%a0%80", "/..",           "/../x", "/x/..", "/x/../y", "/%2e%2e",
        "/.%2E/x", "/a/..%2fb", "/%",         "/%4",           "/%zz",  "/\xff", "/a\tb"}) {
    CAPTURE(path);
    CHECK_FALSE(TargetPath::parse(path).has_value());
  }
  for (const std::string_view path : {"/", "//", "/...", "/a..b", "/..a", "/a..", "/%C3%A9", "/x/"}) {
    CAPTURE(path);
    CHECK(TargetPath::parse(path).has_value());
  }
}

TEST_CASE("A path of very many segments matches nothing") {
  std::string path;
  for (int i = 0; i < 17; ++i) path += "/x";
  const auto parsed = TargetPath::parse(path);
  REQUIRE(parsed.has_value());
  CHECK(parsed->segments().empty());
  CHECK(parsed->path() == path);
}

TEST_CASE("A query is decoded; a key stands once") {
  const auto query = Query::parse("a=1&b=x+y%26&c&&d=");
  REQUIRE(query.has_value());
  CHECK(query->value("a") == "1");
  CHECK(query->value("b") == "x y&");
  CHECK(query->value("c") == "");
  CHECK(query->value("d") == "");
  CHECK_FALSE(query->value("e"));
  for (const std::string_view bad :
       {"a=1&a=2", "a&a", "a=1&%61=2", "a=%", "a=%0", "a=%00", "a=%0d", "%ff=1", "a=%c0%af"}) {
    CAPTURE(bad);
    CHECK_FALSE(Query::parse(bad).has_value());
  }
}

TEST_CASE("A Bearer token is found whatever the case of its scheme") {
  CHECK(bearer_token("Bearer abc") == "abc");
  CHECK(bearer_token("bearer  abc ") == "abc");
  CHECK_FALSE(bearer_token("Basic abc"));
  CHECK_FALSE(bearer_token("Bearerabc"));
  CHECK_FALSE(bearer_token(""));
}

TEST_CASE("Only application/json is JSON") {
  for (const std::string_view type : {"application/json", "Application/JSON ; charset=utf-8", " application/json"}) {
    CHECK(is_json(type));
  }
  for (const std::string_view type :
       {"", "text/plain", "application/jsonp", "text/json", "application/json, text/plain"}) {
    CHECK_FALSE(is_json(type));
  }
}

TEST_CASE("A request with ambient credentials comes from the own pages or an allowed origin") {
  const std::vector<std::string> allowed{"https://app.example"};
  const auto trusted = [&](std::string_view origin, std::string_view site, std::string_view host = "chat.example:8080",
                           bool is_secure = false) {
    return is_trusted_origin(origin, site, host, is_secure, allowed);
  };
  CHECK(trusted("", ""));
  CHECK(trusted("", "same-origin"));
  CHECK(trusted("", "none"));
  CHECK_FALSE(trusted("", "same-site"));
  CHECK_FALSE(trusted("", "cross-site"));
  CHECK(trusted("http://chat.example:8080", "same-origin"));
  CHECK(trusted("https://Chat.Example:8080", ""));
  CHECK_FALSE(trusted("http://chat.example", ""));
  CHECK_FALSE(trusted("http://chat.example:8080.evil.example", ""));
  CHECK_FALSE(trusted("http://chat.example:8080", "cross-site"));
  CHECK_FALSE(trusted("null", ""));
  CHECK_FALSE(trusted("file://", ""));
  CHECK_FALSE(trusted("http://", "", ""));
  // The allow-list stands above fetch metadata: such a page is cross-site by its nature.
  CHECK(trusted("https://app.example", "cross-site"));
  CHECK_FALSE(trusted("http://app.example", "cross-site"));
  // A scheme's own port may be left out.
  CHECK(trusted("https://chat.example", "", "chat.example:443"));
  CHECK(trusted("http://chat.example:80", "", "chat.example"));
  CHECK_FALSE(trusted("http://chat.example:443", "", "chat.example"));
  // Where the server is reached by https, a page that came in the clear may be anybody's.
  CHECK(trusted("https://chat.example:8080", "", "chat.example:8080", true));
  CHECK_FALSE(trusted("http://chat.example:8080", "", "chat.example:8080", true));
  CHECK_FALSE(trusted("http://chat.example:8080", "same-origin", "chat.example:8080", true));
  CHECK_FALSE(trusted("HTTP://chat.example", "", "chat.example", true));
}

TEST_CASE("Only an origin on the list is a listed one") {
  const std::vector<std::string> allowed = {"https://app.example", "http://localhost:5173"};
  CHECK(is_listed_origin("https://app.example", allowed));
  CHECK(is_listed_origin("HTTPS://App.Example", allowed));
  CHECK(is_listed_origin("http://localhost:5173", allowed));
  for (const std::string_view origin : {"", "null", "*", "http://app.example", "https://app.example:444",
                                        "https://app.example.evil.example", "https://app.example/"}) {
    CAPTURE(origin);
    CHECK_FALSE(is_listed_origin(origin, allowed));
  }
  CHECK_FALSE(is_listed_origin("https://app.example", {}));
}

TEST_CASE("Secrets are equal only as a whole") {
  CHECK(equal_secrets("abc", "abc"));
  CHECK_FALSE(equal_secrets("abc", "abd"));
  CHECK_FALSE(equal_secrets("abc", "abcd"));
  CHECK_FALSE(equal_secrets("", "a"));
}
