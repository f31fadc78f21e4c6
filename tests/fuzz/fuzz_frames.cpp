// The reader of WebSocket frames, given any bytes: what it makes of them does not depend on how they were cut into
// reads, and nothing leaves it that breaks its limits.
//
//   fuzz_frames -max_len=4096 -max_total_time=60

#include "websocket/frame_reader.hpp"

#include <travelchat/validate.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

using namespace travelchat;
using namespace travelchat::websocket;

namespace {

constexpr FrameLimits limits{.max_message_bytes = 512, .max_fragments = 8};

void require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

// What a reader told, in order.
struct Record : FrameSink {
  std::vector<std::string> told;
  std::uint16_t fault = 0;

  void on_message(std::string_view text) override {
    require(text.size() <= limits.max_message_bytes, "a message keeps its limit");
    require(is_valid_utf8(text), "a message is valid UTF-8");
    told.push_back("m" + std::string(text));
  }
  void on_ping(std::string_view payload) override {
    require(payload.size() <= 125, "a control frame is small");
    told.push_back("p" + std::string(payload));
  }
  void on_close(std::uint16_t code) override { told.push_back("c" + std::to_string(code)); }
};

// `step` bytes at a time, 0: all at once.
Record read(std::string bytes, std::size_t step) {
  Record record;
  FrameReader reader;
  std::size_t at = 0;
  while (at < bytes.size() && record.fault == 0) {
    const std::size_t size = step == 0 ? bytes.size() : std::min(step, bytes.size() - at);
    record.fault = reader.consume(std::span(bytes.data() + at, size), limits, record);
    at += size;
  }
  return record;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Record whole = read(bytes, 0);
  for (const std::size_t step : {std::size_t{1}, std::size_t{data[0]} % 64 + 2}) {
    const Record cut = read(bytes, step);
    require(cut.told == whole.told, "the cut between reads tells the same");
    require(cut.fault == whole.fault, "the cut between reads finds the same fault");
  }
  return 0;
}
