#include "server/chat_request.hpp"

#include "catch.hpp"

#include <string>
#include <string_view>
#include <vector>

using namespace travelchat;
using namespace travelchat::http;
using namespace travelchat::server;

TEST_CASE("A page's parameters are numbers within their bounds") {
  const Uuid id = make_uuid(TimePoint{});
  const auto page = [&](std::string_view text) { return parse_page(*Query::parse(text), id); };
  CHECK(page("")->limit == 100);
  CHECK(page("limit=200&before=1")->before_seq == 1u);
  CHECK(page("since=0")->since_rev == 0u);
  CHECK(page("since=18446744073709551615")->since_rev == UINT64_MAX);
  CHECK(page("limit=1")->conversation_id == id);
  for (const std::string_view bad : {"limit=0", "limit=201", "limit=1000000000", "limit=abc", "limit=", "limit=-1",
                                     "limit=1.0", "before=0", "before=-1", "since=-1", "since=18446744073709551616",
                                     "since=%2B1", "since= 1", "since=0x1", "since=1&before=2"}) {
    CAPTURE(bad);
    CHECK_FALSE(page(bad).has_value());
  }
}

TEST_CASE("A token travels as a subprotocol") {
  const auto offered = parse_subprotocols("chat, travelchat.v1 ,auth.abc, auth.def");
  CHECK(offered.travelchat_v1);
  CHECK(offered.auth_token == "abc");
  CHECK_FALSE(parse_subprotocols("travelchat.v2, authx").travelchat_v1);
  CHECK_FALSE(parse_subprotocols("").auth_token);
}

TEST_CASE("A chat socket's claim names all three parameters") {
  const std::string id = to_string(make_uuid(TimePoint{}));
  const auto claim = [&](const std::string& text) { return parse_chat_claim(*Query::parse(text)); };
  const auto full = claim("conversationId=" + id + "&userType=client&userId=c1&since=7");
  REQUIRE(full);
  CHECK(to_string(full->conversation_id) == id);
  CHECK(full->role == Role::client);
  CHECK(full->user_id == "c1");
  CHECK(full->since == 7u);
  CHECK(claim("conversationId=" + id + "&userType=advisor&userId=a"));
  CHECK_FALSE(claim("userType=advisor&userId=a").has_value());
  CHECK_FALSE(claim("conversationId=" + id + "&userId=a").has_value());
  CHECK_FALSE(claim("conversationId=" + id + "&userType=advisor").has_value());
  CHECK_FALSE(claim("conversationId=" + id + "&userType=admin&userId=a").has_value());
  CHECK_FALSE(claim("conversationId=" + id + "&userType=advisor&userId=").has_value());
  CHECK_FALSE(claim("conversationId=nobody&userType=advisor&userId=a").has_value());
  CHECK_FALSE(claim("conversationId=" + id + "&userType=advisor&userId=a&since=").has_value());
  CHECK_FALSE(claim("conversationId=" + id + "&userType=advisor&userId=a&since=-1").has_value());
  CHECK(claim("conversationId=" + id + "&userType=advisor&userId=a&since=1&epoch=" + id)->epoch == parse_uuid(id));
  CHECK_FALSE(full->epoch);
  CHECK_FALSE(claim("conversationId=" + id + "&userType=advisor&userId=a&since=1&epoch=").has_value());
  CHECK_FALSE(claim("conversationId=" + id + "&userType=advisor&userId=a&since=1&epoch=12").has_value());
}
