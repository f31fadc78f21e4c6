#include "websocket/frame_reader.hpp"

#include "catch.hpp"
#include "wire/socket_text.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

using namespace travelchat::websocket;

namespace {

struct Heard final : FrameSink {
  std::vector<std::string> all;
  void on_message(std::string_view text) override { all.push_back("text:" + std::string(text)); }
  void on_ping(std::string_view payload) override { all.push_back("ping:" + std::string(payload)); }
  void on_close(std::uint16_t code) override { all.push_back("close:" + std::to_string(code)); }
};

struct Form {
  std::uint8_t opcode = 1;
  bool final = true;
  std::uint8_t reserved = 0;
  bool masked = true;
};

std::string header(Form form, std::uint64_t length) {
  std::string out;
  out += static_cast<char>((form.final ? 0x80 : 0) | form.reserved << 4 | form.opcode);
  const char mask_bit = static_cast<char>(form.masked ? 0x80 : 0);
  const auto big_endian = [&](int bytes) {
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(length >> (8 * i));
  };
  if (length < 126) {
    out += static_cast<char>(mask_bit | static_cast<char>(length));
  } else if (length < 65'536) {
    out += static_cast<char>(mask_bit | 126);
    big_endian(2);
  } else {
    out += static_cast<char>(mask_bit | 127);
    big_endian(8);
  }
  return out;
}

constexpr std::string_view mask{"\x11\xA2\x33\xC4", 4};

std::string frame(std::string_view payload, Form form = {}) {
  std::string out = header(form, payload.size());
  if (form.masked) out += mask;
  for (std::size_t i = 0; i < payload.size(); ++i) {
    out += form.masked ? static_cast<char>(payload[i] ^ mask[i % 4]) : payload[i];
  }
  return out;
}

std::string close_frame(std::uint16_t code, std::string_view reason = {}) {
  std::string payload;
  payload += static_cast<char>(code >> 8);
  payload += static_cast<char>(code);
  payload += reason;
  return frame(payload, {.opcode = 8});
}

// What a reader makes of bytes that arrive `step` at a time.
struct Reading {
  std::uint16_t fault = 0;
  std::vector<std::string> heard;
  friend bool operator==(const Reading&, const Reading&) = default;
};

Reading read(std::string bytes, std::size_t step = SIZE_MAX, FrameLimits limits = {}) {
  FrameReader reader;
  Heard heard;
  std::uint16_t fault = 0;
  for (std::size_t at = 0; at < bytes.size() && fault == 0; at += std::min(step, bytes.size() - at)) {
    fault = reader.consume(std::span(bytes).subspan(at, std::min(step, bytes.size() - at)), limits, heard);
  }
  return {fault, heard.all};
}

std::ostream& operator<<(std::ostream& out, const Reading& reading) {
  out << reading.fault;
  for (const auto& event : reading.heard) out << " [" << event.substr(0, 40) << "]";
  return out;
}

}  // namespace

namespace Catch {
template <>
struct StringMaker<Reading> {
  static std::string convert(const Reading& reading) {
    std::ostringstream out;
    out << reading;
    return out.str();
  }
};
}  // namespace Catch

TEST_CASE("Frames are read the same however they arrive") {
  const std::string long_text(300, 'x');
  const std::string bytes = frame("hello") + frame("", {.opcode = 9}) + frame("pay", {.opcode = 9}) + frame("") +
                            frame("h\xC3", {.final = false}) + frame("between", {.opcode = 9}) +
                            frame("", {.opcode = 0, .final = false}) + frame("\xA9!", {.opcode = 0}) +
                            frame(long_text) + frame("ignored", {.opcode = 10}) + close_frame(1000, "bye");
  const Reading expected{0,
                         {"text:hello", "ping:", "ping:pay", "text:", "ping:between", "text:h\xC3\xA9!",
                          "text:" + long_text, "close:1000"}};
  for (const std::size_t step :
       {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, std::size_t{64}, SIZE_MAX}) {
    CAPTURE(step);
    CHECK(read(bytes, step) == expected);
  }
}

TEST_CASE("What breaks the protocol is 1002") {
  const auto fault = [](const std::string& bytes) {
    const auto whole = read(bytes);
    CHECK(whole == read(bytes, 1));
    CHECK(whole.heard.empty());
    return whole.fault;
  };
  CHECK(fault(frame("x", {.masked = false})) == 1002);
  for (std::uint8_t reserved : {1, 2, 4, 7}) CHECK(fault(frame("x", {.reserved = reserved})) == 1002);
  for (std::uint8_t opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) CHECK(fault(frame("x", {.opcode = opcode})) == 1002);
  for (std::uint8_t opcode : {8, 9, 10}) {
    CHECK(fault(frame(std::string(126, 'x'), {.opcode = opcode})) == 1002);
    CHECK(fault(frame("xx", {.opcode = opcode, .final = false})) == 1002);
  }
  CHECK(fault(frame("x", {.opcode = 8})) == 1002);
  for (std::uint16_t code : {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535}) {
    CHECK(fault(close_frame(code)) == 1002);
  }
  CHECK(fault(frame("x", {.opcode = 0})) == 1002);
  CHECK(fault(frame("x", {.final = false}) + frame("x")) == 1002);
  CHECK(fault(header({}, 70'000).replace(2, 8, std::string("\x80\0\0\0\0\0\0\1", 8)) + std::string(mask)) == 1002);
}

TEST_CASE("A length in a longer form than needed is 1002") {
  const std::string in_two{"\x81\xFE\x00\x05", 4};
  const std::string in_eight{"\x81\xFF\x00\x00\x00\x00\x00\x00\xFF\xFF", 10};
  CHECK(read(in_two + std::string(mask) + "12345").fault == 1002);
  CHECK(read(in_eight + std::string(mask)).fault == 1002);
}

TEST_CASE("A fault of the first two bytes is told without the rest of the header") {
  CHECK(read(frame(std::string(70'000, 'x'), {.masked = false}).substr(0, 2)).fault == 1002);
  CHECK(read(frame("x", {.reserved = 4}).substr(0, 1)).fault == 1002);
}

TEST_CASE("Close codes that a peer may send are told") {
  for (std::uint16_t code : {1000, 1001, 1002, 1003, 1007, 1014, 3000, 4999}) {
    CHECK(read(close_frame(code)) == Reading{0, {"close:" + std::to_string(code)}});
  }
  CHECK(read(frame("", {.opcode = 8})) == Reading{0, {"close:1005"}});
}

TEST_CASE("Nothing is read behind a close frame or a fault") {
  CHECK(read(close_frame(1000) + frame("late")) == Reading{0, {"close:1000"}});
  FrameReader reader;
  Heard heard;
  std::string bad = frame("x", {.opcode = 3});
  std::string good = frame("late");
  CHECK(reader.consume(bad, {}, heard) == 1002);
  CHECK(reader.consume(good, {}, heard) == 0);
  CHECK(heard.all.empty());
}

TEST_CASE("Binary is 1003") {
  CHECK(read(frame("x", {.opcode = 2})) == Reading{1003, {}});
  CHECK(read(frame("", {.opcode = 2})) == Reading{1003, {}});
}

TEST_CASE("Text that is not UTF-8 is 1007 as soon as it cannot become valid") {
  for (const std::string_view bad :
       {"\xFF", "\x80", "\xC0\xAF", "\xC1\x81", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF0\x80\x80\xAF", "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80", "\xE2\x82", "a\xC3(", "\xF0\x9F\x98"}) {
    CAPTURE(bad);
    CHECK(read(frame(bad)) == Reading{1007, {}});
    CHECK(read(frame(bad), 1) == Reading{1007, {}});
  }
  CHECK(read(frame("\xFF", {.final = false})) == Reading{1007, {}});
  CHECK(read(frame("\xE2\x82", {.final = false}) + frame("x", {.opcode = 0, .final = false})) == Reading{1007, {}});
  CHECK(read(close_frame(1000, "\xFF")) == Reading{1007, {}});
}

TEST_CASE("Valid UTF-8 of every length passes") {
  const std::string text =
      "a\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF";
  CHECK(read(frame(text)) == Reading{0, {"text:" + text}});
  CHECK(read(frame(text), 1) == Reading{0, {"text:" + text}});
}

TEST_CASE("A message over the limit is 1009 when it is declared") {
  const FrameLimits limits{.max_message_bytes = 100, .max_fragments = 1000};
  CHECK(read(frame(std::string(100, 'x')), SIZE_MAX, limits).fault == 0);
  CHECK(read(frame(std::string(101, 'x')), SIZE_MAX, limits).fault == 1009);
  CHECK(read(header({}, 101) + std::string(mask), SIZE_MAX, limits).fault == 1009);
  CHECK(read(frame(std::string(60, 'x'), {.final = false}) + frame(std::string(41, 'x'), {.opcode = 0}), 7, limits)
            .fault == 1009);
  CHECK(read(header({}, (std::uint64_t{1} << 63) - 1) + std::string(mask)).fault == 1009);
  CHECK(read(frame(std::string(64 * 1024, 'x')), 4096).fault == 0);
  CHECK(read(frame(std::string(64 * 1024 + 1, 'x')), 4096).fault == 1009);
  // Each message counts for itself.
  CHECK(read(frame(std::string(99, 'x')) + frame(std::string(99, 'x')), 5, limits).heard.size() == 2);
}

TEST_CASE("A message of too many fragments is 1008, empty ones included") {
  const FrameLimits limits{.max_message_bytes = 1000, .max_fragments = 10};
  const auto fragments = [](int count, std::string_view content) {
    std::string bytes = frame("", {.final = false});
    for (int i = 2; i < count; ++i) bytes += frame(content, {.opcode = 0, .final = false});
    return bytes + frame("", {.opcode = 0});
  };
  CHECK(read(fragments(10, ""), SIZE_MAX, limits) == Reading{0, {"text:"}});
  CHECK(read(fragments(11, ""), SIZE_MAX, limits) == Reading{1008, {}});
  CHECK(read(fragments(11, "x"), 3, limits) == Reading{1008, {}});
  CHECK(read(fragments(10'000, "")) == Reading{1008, {}});
}

TEST_CASE("The server's own frames are as the protocol wants them") {
  std::string out;
  append_close_frame(4401, "unauthenticated", out);
  CHECK(out == std::string("\x88\x11\x11\x31", 4) + "unauthenticated");
  out.clear();
  append_close_frame(1005, "", out);
  CHECK(out == std::string("\x88\x00", 2));
  out.clear();
  append_close_frame(1000, std::string(200, 'x'), out);
  CHECK(out.size() == 2 + 125);
  out.clear();
  append_pong_frame("hi", out);
  CHECK(out == "\x8A\x02hi");
}

TEST_CASE("A frame boundary is found from any offset") {
  std::string frames;
  std::vector<std::size_t> ends{0};
  for (const std::size_t size : {0u, 1u, 125u, 126u, 65'535u, 65'536u}) {
    travelchat::wire::append_text_frame(std::string(size, 'x'), frames);
    ends.push_back(frames.size());
  }
  for (std::size_t i = 1; i < ends.size(); ++i) {
    CHECK(frame_boundary(frames, ends[i]) == ends[i]);
    CHECK(frame_boundary(frames, ends[i] - 1) == ends[i]);
    CHECK(frame_boundary(frames, ends[i - 1] + 1) == ends[i]);
  }
  CHECK(frame_boundary(frames, 0) == 0);
}
