#include "catch.hpp"
#include "vectors.hpp"
#include "wire/socket_text.hpp"

#include <travelchat/wire.hpp>

#include <string>

using namespace travelchat;
using test::text_of;

namespace {

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

errc error_of_body(std::string_view text) {
  const auto body = wire::Body::parse(text);
  REQUIRE(body.has_error());
  return describe(body.error()).code;
}

}  // namespace

TEST_CASE("client frames are read, or refused, as the shared vectors say") {
  const auto vectors = test::load_vectors("events.json");
  const auto& cases = vectors.at("clientFrames").as_array();
  REQUIRE(cases.size() >= 40);
  for (const auto& value : cases) {
    const auto& example = value.as_object();
    INFO(text_of(example.at("description")));
    const std::string text =
        example.contains("hex") ? from_hex(text_of(example.at("hex"))) : std::string(text_of(example.at("text")));
    const auto frame = wire::parse_client_frame(text);
    if (example.contains("error")) {
      REQUIRE(frame.has_error());
      CHECK(describe(frame.error()).name == text_of(example.at("error")));
      continue;
    }
    REQUIRE(frame.has_value());
    const auto& expected = example.at("frame");
    if (text_of(expected.at("type")) == "typing") {
      REQUIRE(std::holds_alternative<wire::TypingFrame>(*frame));
      CHECK(std::get<wire::TypingFrame>(*frame).is_typing == expected.at("isTyping").as_bool());
    } else {
      REQUIRE(text_of(expected.at("type")) == "seen");
      CHECK(std::holds_alternative<wire::SeenFrame>(*frame));
    }
  }
}

TEST_CASE("a frame of 64 KiB of brackets is refused without running out of stack") {
  CHECK(wire::parse_client_frame(std::string(65'536, '[')).error() == errc::malformed_json);
  std::string objects;
  while (objects.size() < 65'530) objects += R"({"a":)";
  CHECK(wire::parse_client_frame(objects).error() == errc::malformed_json);
}

TEST_CASE("a frame cut short at any byte is refused") {
  const std::string whole = R"({"type":"typing","isTyping":true,"x":["\ud83d\ude00",1.5e3,{"y":null}]})";
  REQUIRE(wire::parse_client_frame(whole).has_value());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    INFO(length);
    const auto frame = wire::parse_client_frame(std::string_view(whole).substr(0, length));
    REQUIRE(frame.has_error());
    CHECK(frame.error() == errc::malformed_json);
  }
}

TEST_CASE("a body's strings are found by name") {
  const auto body =
      wire::Body::parse(R"({"content":"Hi \u00e9 \ud83d\ude00\n","chatToken":"","n":null,"i":7,"b":true,"a":["x"],)"
                        R"("o":{"content":"inner"}})");
  REQUIRE(body.has_value());
  CHECK(body->string("content").value() == "Hi \u00E9 \U0001F600\n");
  CHECK(body->string("chatToken").value().empty());
  CHECK(body->string("absent").error() == errc::missing_field);
  CHECK(body->string("inner").error() == errc::missing_field);
  for (const std::string_view name : {"n", "i", "b", "a", "o"}) {
    INFO(name);
    CHECK(body->has(name));
    CHECK(body->string(name).error() == errc::invalid_argument);
  }
  CHECK_FALSE(body->has("absent"));
}

TEST_CASE("an optional string may be absent or null, but nothing other than a string") {
  const auto body = wire::Body::parse(R"({"s":"x","n":null,"i":7,"a":[],"o":{},"b":false,"d":1.5})");
  REQUIRE(body.has_value());
  CHECK(body->optional_string("s").value() == "x");
  CHECK(body->optional_string("n").value() == std::nullopt);
  CHECK(body->optional_string("absent").value() == std::nullopt);
  for (const std::string_view name : {"i", "a", "o", "b", "d"}) {
    INFO(name);
    CHECK(body->optional_string(name).error() == errc::invalid_argument);
  }
}

TEST_CASE("a string's view outlives a move of its body") {
  auto body = wire::Body::parse(R"({"short":"ab"})");
  REQUIRE(body.has_value());
  const std::string_view view = body->string("short").value();
  const wire::Body moved = std::move(*body);
  CHECK(moved.string("short").value().data() == view.data());
  CHECK(view == "ab");
}

TEST_CASE("an empty body is an empty object, and so is {}") {
  for (const std::string_view text : {"", "{}", " { } "}) {
    const auto body = wire::Body::parse(text);
    REQUIRE(body.has_value());
    CHECK_FALSE(body->has("content"));
    CHECK(body->string("content").error() == errc::missing_field);
  }
}

TEST_CASE("an escaped NUL arrives as one, for the rules of content to refuse") {
  const auto body = wire::Body::parse(R"({"content":"a\u0000b"})");
  REQUIRE(body.has_value());
  CHECK(body->string("content").value() == std::string_view("a\0b", 3));
}

TEST_CASE("strings longer than the parser's buffer, with escapes between, arrive whole") {
  std::string expected;
  std::string text = R"({"content":")";
  for (int i = 0; i < 8'000; ++i) {
    text += R"(\u00e9abc)";
    expected +=
        "\u00E9"
        "abc";
  }
  text += "\"}";
  const auto body = wire::Body::parse(text);
  REQUIRE(body.has_value());
  CHECK(body->string("content").value() == expected);
}

TEST_CASE("a body that is no object, or not JSON, is refused") {
  for (const std::string_view text :
       {" ", "{", "[]", "1", "null", "true", "\"content\"", "{}{}", "{} x", R"({"a":1,"a":2})",
        R"({"a":{"b":1,"b":1}})", R"({"a":"\ud800"})", R"({"a":1e400})", "{\"a\":\"\xFF\"}",
        R"({"a":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]})", R"({a:1})"}) {
    INFO(text);
    CHECK(error_of_body(text) == errc::malformed_json);
  }
}

TEST_CASE("a duplicate among thousands of keys is found, and thousands of different keys are none") {
  std::string text = "{";
  for (int i = 0; i < 4'000; ++i) text += "\"k" + std::to_string(i) + "\":0,";
  CHECK(wire::Body::parse(text + "\"k4000\":0}").has_value());
  CHECK(error_of_body(text + "\"k17\":0}") == errc::malformed_json);
}

TEST_CASE("numbers at the edge of what is in range") {
  CHECK(
      wire::Body::parse(R"({"a":1.7976931348623157e308,"b":-9223372036854775808,"c":18446744073709551615,"d":1e-400})")
          .has_value());
  CHECK(wire::Body::parse(R"({"a":123456789012345678901234567890})").has_value());
  CHECK(error_of_body(R"({"a":1e309})") == errc::malformed_json);
  CHECK(error_of_body(R"({"a":-1e99999999999})") == errc::malformed_json);
  CHECK(error_of_body("{\"a\":1" + std::string(400, '0') + "}") == errc::malformed_json);
}

TEST_CASE("a draft is what the body says of a message, but for attachments") {
  const auto parse = [](std::string_view text) { return wire::parse_draft(wire::Body::parse(text).value()); };
  const auto draft = parse(R"({"content":"Hi","clientMessageId":"m-1","attachmentUrl":"/a.png","conversationId":"x"})");
  REQUIRE(draft.has_value());
  CHECK(draft->content == "Hi");
  CHECK(draft->client_message_id == "m-1");
  CHECK(draft->attachment_url == std::nullopt);
  CHECK(draft->conversation_id == Uuid());
  CHECK(parse(R"({"content":"Hi","clientMessageId":null})").value().client_message_id == std::nullopt);
  CHECK(parse(R"({"clientMessageId":7})").error() == errc::missing_field);
  CHECK(parse(R"({"content":null})").error() == errc::invalid_argument);
  CHECK(parse(R"({"content":"Hi","clientMessageId":7})").error() == errc::invalid_argument);
}
