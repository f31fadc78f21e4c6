// WebSocket frames (RFC 6455 section 5) without a network: what a client sent, and the frames that a server makes
// itself.
//
// Beast's own stream is not used for this: its state costs 3 KiB a socket before a session adds anything (measured with
// 1.81), and it skips empty fragments silently, so that they cannot be counted.
//
// One owner, one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::websocket {

struct FrameLimits {
  std::size_t max_message_bytes = 64 * 1024;  // 1009
  std::size_t max_fragments = 1'000;          // of one message; 1008
};

// Checks text that arrives in pieces.
class Utf8Check {
 public:
  // False as soon as the text cannot become valid any more.
  bool feed(std::string_view piece) noexcept;
  // Whether the text may end here.
  bool complete() const noexcept { return pending_ == 0; }

 private:
  std::uint8_t pending_ = 0;  // continuation bytes still to come
  std::uint8_t low_ = 0x80;   // bounds of the next one
  std::uint8_t high_ = 0xBF;
};

class FrameSink {
 public:
  // A whole text message, valid UTF-8. The view lives as long as the call.
  virtual void on_message(std::string_view text) = 0;
  virtual void on_ping(std::string_view payload) = 0;
  // The peer's close frame: its code, or 1005 when it gave none.
  virtual void on_close(std::uint16_t code) = 0;

 protected:
  ~FrameSink() = default;
};

class FrameReader {
 public:
  // Takes what arrived and unmasks it in place. Returns 0, or the code to close with: 1002, 1003 (binary), 1007, 1008,
  // 1009. After a fault or a close frame whatever follows is ignored.
  std::uint16_t consume(std::span<char> bytes, const FrameLimits& limits, FrameSink& sink);

 private:
  static constexpr std::size_t max_header_bytes = 14;

  // State between two calls; a socket whose frames arrive whole never needs it.
  struct Partial {
    std::array<std::uint8_t, max_header_bytes> header{};
    std::size_t header_size = 0;
    std::string control;
    std::string message;
    Utf8Check utf8;
  };

  std::uint16_t check_header(const FrameLimits& limits) noexcept;
  std::uint16_t take_control(std::string_view payload, FrameSink& sink);
  Partial& partial();
  void release_partial() noexcept;

  std::unique_ptr<Partial> partial_;
  std::uint64_t remaining_ = 0;      // payload bytes of the current frame still to come
  std::uint64_t message_bytes_ = 0;  // of the current message, whole frames
  std::uint32_t fragments_ = 0;      // frames of the current message; 0: none is open
  std::array<std::uint8_t, 4> mask_{};
  std::uint8_t mask_at_ = 0;
  std::uint8_t opcode_ = 0;
  bool final_ = true;
  bool in_frame_ = false;
  bool done_ = false;
};

// Appends a close frame; `code` 1005 makes an empty one.
void append_close_frame(std::uint16_t code, std::string_view reason, std::string& out);
// Appends a pong with `payload` (at most 125 bytes).
void append_pong_frame(std::string_view payload, std::string& out);
// An empty ping.
inline constexpr std::string_view ping_frame{"\x89\x00", 2};

// The first frame boundary at or after `offset` in a buffer of whole, unmasked frames.
std::size_t frame_boundary(std::string_view frames, std::size_t offset) noexcept;
// What the frames of such a buffer carry, as views into it.
std::vector<std::string_view> frame_payloads(std::string_view frames);

}  // namespace travelchat::websocket
