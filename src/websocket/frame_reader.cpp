#include "websocket/frame_reader.hpp"

#include <travelchat/utf8.hpp>

#include <algorithm>
#include <cstring>

namespace travelchat::websocket {
namespace {

constexpr std::uint8_t op_continuation = 0x0;
constexpr std::uint8_t op_text = 0x1;
constexpr std::uint8_t op_binary = 0x2;
constexpr std::uint8_t op_close = 0x8;
constexpr std::uint8_t op_ping = 0x9;
constexpr std::uint8_t op_pong = 0xA;

constexpr std::uint16_t protocol_error = 1002;
constexpr std::uint16_t unsupported_data = 1003;
constexpr std::uint16_t no_status = 1005;
constexpr std::uint16_t bad_payload = 1007;
constexpr std::uint16_t policy_violation = 1008;
constexpr std::uint16_t too_big = 1009;

constexpr bool is_control(std::uint8_t opcode) noexcept {
  return (opcode & 0x8) != 0;
}

// RFC 6455 section 7.4, and the codes that IANA registered since.
constexpr bool may_be_sent(std::uint16_t code) noexcept {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

std::uint64_t big_endian(const std::uint8_t* at, std::size_t size) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = (value << 8) | at[i];
  return value;
}

// The header's length once its second byte is known.
constexpr std::size_t header_size_of(std::uint8_t second) noexcept {
  const std::size_t length = second & 0x7F;
  return 2 + (length == 126 ? 2u : length == 127 ? 8u : 0u) + ((second & 0x80) != 0 ? 4u : 0u);
}

// The lengths of the first of these frames. A frame that is not whole ends where the bytes end.
struct Extent {
  std::size_t header = 0;
  std::size_t payload = 0;
  std::size_t size() const noexcept { return header + payload; }
};

Extent extent_of(std::string_view frames) noexcept {
  const auto* const at = reinterpret_cast<const std::uint8_t*>(frames.data());
  if (frames.size() < 2 || frames.size() < header_size_of(at[1])) return {frames.size(), 0};
  const std::size_t header = header_size_of(at[1]);
  std::uint64_t length = at[1] & 0x7F;
  if (length == 126)
    length = big_endian(at + 2, 2);
  else if (length == 127)
    length = big_endian(at + 2, 8);
  return {header, static_cast<std::size_t>(std::min<std::uint64_t>(length, frames.size() - header))};
}

void unmask(char* at, std::size_t size, const std::array<std::uint8_t, 4>& mask, std::uint8_t& mask_at) noexcept {
  std::array<std::uint8_t, 8> key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = mask[(mask_at + i) & 3];
  std::uint64_t wide = 0;
  std::memcpy(&wide, key.data(), sizeof(wide));
  std::size_t i = 0;
  for (; i + sizeof(wide) <= size; i += sizeof(wide)) {
    std::uint64_t word = 0;
    std::memcpy(&word, at + i, sizeof(word));
    word ^= wide;
    std::memcpy(at + i, &word, sizeof(word));
  }
  for (; i < size; ++i) at[i] = static_cast<char>(static_cast<std::uint8_t>(at[i]) ^ key[i & 7]);
  mask_at = static_cast<std::uint8_t>((mask_at + size) & 3);
}

}  // namespace

bool Utf8Check::feed(std::string_view piece) noexcept {
  for (const char c : piece) {
    const auto byte = static_cast<std::uint8_t>(c);
    if (pending_ > 0) {
      if (byte < low_ || byte > high_) return false;
      low_ = 0x80;
      high_ = 0xBF;
      --pending_;
    } else if (byte < 0x80) {
      continue;
    } else if (byte >= 0xC2 && byte <= 0xDF) {
      pending_ = 1;
    } else if (byte >= 0xE0 && byte <= 0xEF) {
      pending_ = 2;
      if (byte == 0xE0) low_ = 0xA0;   // shorter forms exist
      if (byte == 0xED) high_ = 0x9F;  // surrogates
    } else if (byte >= 0xF0 && byte <= 0xF4) {
      pending_ = 3;
      if (byte == 0xF0) low_ = 0x90;
      if (byte == 0xF4) high_ = 0x8F;  // above U+10FFFF
    } else {
      return false;
    }
  }
  return true;
}

FrameReader::Partial& FrameReader::partial() {
  if (!partial_) partial_ = std::make_unique<Partial>();
  return *partial_;
}

void FrameReader::release_partial() noexcept {
  if (!in_frame_ && fragments_ == 0) partial_.reset();
}

// Reads the header that `partial_` holds so far. 0: go on (the header may still be short).
std::uint16_t FrameReader::check_header(const FrameLimits& limits) noexcept {
  const Partial& p = *partial_;
  const std::uint8_t first = p.header[0];
  const std::uint8_t opcode = first & 0x0F;
  const bool final = (first & 0x80) != 0;
  if ((first & 0x70) != 0) return protocol_error;
  if (opcode != op_continuation && opcode != op_text && opcode != op_binary && opcode != op_close &&
      opcode != op_ping && opcode != op_pong) {
    return protocol_error;
  }
  if (p.header_size < 2) return 0;
  const std::uint8_t second = p.header[1];
  const std::uint8_t short_length = second & 0x7F;
  if ((second & 0x80) == 0) return protocol_error;
  if (is_control(opcode)) {
    if (!final || short_length > 125) return protocol_error;
    if (opcode == op_close && short_length == 1) return protocol_error;
  } else {
    if ((opcode == op_continuation) != (fragments_ > 0)) return protocol_error;
    if (opcode == op_binary) return unsupported_data;
  }
  if (p.header_size < header_size_of(second)) return 0;

  const std::uint8_t* at = p.header.data() + 2;
  std::uint64_t length = short_length;
  if (short_length == 126) {
    length = big_endian(at, 2);
    if (length < 126) return protocol_error;
    at += 2;
  } else if (short_length == 127) {
    length = big_endian(at, 8);
    if (length < 65'536 || (length >> 63) != 0) return protocol_error;
    at += 8;
  }
  std::copy_n(at, mask_.size(), mask_.begin());
  mask_at_ = 0;
  opcode_ = opcode;
  final_ = final;
  remaining_ = length;
  in_frame_ = true;
  if (!is_control(opcode)) {
    if (fragments_ == 0) message_bytes_ = 0;
    if (length > limits.max_message_bytes - std::min<std::uint64_t>(message_bytes_, limits.max_message_bytes)) {
      return too_big;
    }
    message_bytes_ += length;
    if (++fragments_ > limits.max_fragments) return policy_violation;
  }
  return 0;
}

std::uint16_t FrameReader::take_control(std::string_view payload, FrameSink& sink) {
  if (opcode_ == op_ping) {
    sink.on_ping(payload);
  } else if (opcode_ == op_close) {
    done_ = true;
    std::uint16_t code = no_status;
    if (!payload.empty()) {
      code = static_cast<std::uint16_t>(big_endian(reinterpret_cast<const std::uint8_t*>(payload.data()), 2));
      if (!may_be_sent(code)) return protocol_error;
      if (!is_valid_utf8(payload.substr(2))) return bad_payload;
    }
    sink.on_close(code);
  }
  return 0;
}

std::uint16_t FrameReader::consume(std::span<char> bytes, const FrameLimits& limits, FrameSink& sink) {
  char* at = bytes.data();
  char* const end = at + bytes.size();
  while (!done_) {
    if (!in_frame_) {
      if (at == end) break;
      Partial& p = partial();
      std::uint16_t fault = 0;
      while (fault == 0 && !in_frame_ && at != end) {
        p.header[p.header_size++] = static_cast<std::uint8_t>(*at++);
        // Faults of the first two bytes are answered without waiting for the rest.
        if (p.header_size <= 2 || p.header_size == header_size_of(p.header[1])) fault = check_header(limits);
      }
      if (fault != 0) {
        done_ = true;
        return fault;
      }
      if (!in_frame_) break;
      p.header_size = 0;
    }
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, static_cast<std::uint64_t>(end - at)));
    const std::string_view piece(at, size);
    unmask(at, size, mask_, mask_at_);
    at += size;
    remaining_ -= size;
    const bool frame_complete = remaining_ == 0;
    if (!frame_complete && size == 0) break;

    std::uint16_t fault = 0;
    if (is_control(opcode_)) {
      if (frame_complete && partial_->control.empty()) {
        in_frame_ = false;
        fault = take_control(piece, sink);
      } else {
        partial_->control.append(piece);
        if (frame_complete) {
          in_frame_ = false;
          const std::string payload = std::move(partial_->control);
          partial_->control.clear();
          fault = take_control(payload, sink);
        }
      }
    } else if (!partial_->utf8.feed(piece)) {
      fault = bad_payload;
    } else if (frame_complete && final_) {
      in_frame_ = false;
      fragments_ = 0;
      if (!partial_->utf8.complete()) {
        fault = bad_payload;
      } else if (partial_->message.empty()) {
        sink.on_message(piece);
      } else {
        partial_->message.append(piece);
        const std::string message = std::move(partial_->message);
        partial_->message.clear();
        sink.on_message(message);
      }
    } else {
      partial_->message.append(piece);
      if (frame_complete) in_frame_ = false;
    }
    if (fault != 0) {
      done_ = true;
      return fault;
    }
  }
  if (partial_ && partial_->header_size == 0) release_partial();
  return 0;
}

void append_close_frame(std::uint16_t code, std::string_view reason, std::string& out) {
  out.push_back(static_cast<char>(0x88));
  if (code == no_status) {
    out.push_back('\0');
    return;
  }
  reason = reason.substr(0, 123);
  out.push_back(static_cast<char>(2 + reason.size()));
  out.push_back(static_cast<char>(code >> 8));
  out.push_back(static_cast<char>(code & 0xFF));
  out.append(reason);
}

void append_pong_frame(std::string_view payload, std::string& out) {
  out.push_back(static_cast<char>(0x8A));
  out.push_back(static_cast<char>(payload.size()));
  out.append(payload);
}

std::size_t frame_boundary(std::string_view frames, std::size_t offset) noexcept {
  std::size_t at = 0;
  while (at < offset && at < frames.size()) at += extent_of(frames.substr(at)).size();
  return at;
}

std::vector<std::string_view> frame_payloads(std::string_view frames) {
  std::vector<std::string_view> payloads;
  while (!frames.empty()) {
    const Extent extent = extent_of(frames);
    payloads.push_back(frames.substr(extent.header, extent.payload));
    frames.remove_prefix(extent.size());
  }
  return payloads;
}

}  // namespace travelchat::websocket
