// Everything that reads bytes from outside, given any bytes: it never throws and keeps what its header promises.
//
//   fuzz_wire -dict=tests/fuzz/wire.dict -max_len=4096 -max_total_time=60

#include "wire/socket_text.hpp"

#include <travelchat/validate.hpp>
#include <travelchat/wire.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace travelchat;

namespace {

void require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

std::size_t count_code_points(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
  return count;
}

void check_text(std::string_view text) {
  const bool utf8 = is_valid_utf8(text);

  if (const auto content = normalize_content(text)) {
    require(utf8, "content is UTF-8");
    require(!content->empty() && count_code_points(*content) <= max_content_code_points,
            "content has 1 to 10,000 code points");
    require(content->find('\0') == std::string::npos, "content has no NUL");
    require(normalize_content(*content).value() == *content, "normalized content stays as it is");
  } else {
    require(content.error() == errc::invalid_content, "content is refused as invalid_content");
  }

  const std::string name = clean_name(text);
  require(is_valid_utf8(name) && count_code_points(name) <= 200, "a name is UTF-8 of at most 200 code points");
  require(clean_name(name) == name, "a clean name stays as it is");

  if (const auto emoji = parse_emoji(text)) require(parse_emoji(to_string(*emoji)) == emoji, "an emoji is stable");
  if (const auto id = parse_uuid(text)) require(to_string(*id) == text, "an id is written as it was read");
  if (const auto time = wire::parse_time(text)) {
    std::string again;
    wire::append_time(*time, again);
    require(again == text, "a time is written as it was read");
  }

  if (utf8) {
    const std::string_view start = first_code_points(text, 100);
    require(is_valid_utf8(start) && count_code_points(start) <= 100 && text.starts_with(start),
            "a preview is cut cleanly");

    // What the encoder writes, the decoder reads back.
    std::string json = R"({"content":)";
    wire::append_string(text, json);
    json += '}';
    const auto body = wire::Body::parse(json);
    require(body.has_value() && body->string("content").value() == text, "a string survives the wire");
  }
}

void check_json(std::string_view text) {
  const auto frame = wire::parse_client_frame(text);
  if (frame) {
    require(is_valid_utf8(text), "an accepted frame is UTF-8");
    require(wire::Body::parse(text).has_value(), "an accepted frame is an object");
  } else {
    require(frame.error() == errc::malformed_json || frame.error() == errc::invalid_argument, "a frame's errors");
  }

  const auto body = wire::Body::parse(text);
  if (!body) {
    require(body.error() == errc::malformed_json, "a body's error");
    return;
  }
  for (const std::string_view name : {"content", "chatToken", "clientMessageId", "emoji", "type", "a", ""}) {
    const auto value = body->string(name);
    const auto optional = body->optional_string(name);
    require(value.has_value() || value.error() == (body->has(name) ? errc::invalid_argument : errc::missing_field),
            "a look-up's errors");
    if (!value) continue;
    require(optional.has_value() && *optional == *value, "both look-ups agree");
    require(is_valid_utf8(*value), "a body's strings are UTF-8");
    check_text(*value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_text(text);
  check_json(text);
  return 0;
}
