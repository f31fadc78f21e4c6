#include "wire/socket_text.hpp"

#include <travelchat/wire.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace travelchat::wire {
namespace {

constexpr char final_text = static_cast<char>(0x81);  // FIN, opcode 1

// A frame header, RFC 6455 section 5.2: the payload's length in the fewest bytes that hold it.
struct Header {
  std::array<char, 10> bytes{};
  std::size_t size = 0;
};

Header text_header(std::uint64_t payload_size) noexcept {
  Header header;
  header.bytes[0] = final_text;
  std::size_t length_bytes = 0;
  if (payload_size < 126) {
    header.bytes[1] = static_cast<char>(payload_size);
  } else if (payload_size <= 0xFFFF) {
    header.bytes[1] = 126;
    length_bytes = 2;
  } else {
    header.bytes[1] = 127;
    length_bytes = 8;
  }
  header.size = 2 + length_bytes;
  for (std::size_t i = 0; i < length_bytes; ++i) {
    header.bytes[header.size - 1 - i] = static_cast<char>(payload_size >> (8 * i));
  }
  return header;
}

}  // namespace

void append_text_frame(std::string_view payload, std::string& out) {
  const Header header = text_header(payload.size());
  out.append(header.bytes.data(), header.size);
  out.append(payload);
}

void append_event_frame(const Event& event, std::string& out) {
  // Most events need a header of four bytes; only the others move once their length is known.
  constexpr std::size_t usual_header = 4;
  const std::size_t start = out.size();
  out.append(usual_header, '\0');
  append(event, out);
  const Header header = text_header(out.size() - start - usual_header);
  out.replace(start, usual_header, header.bytes.data(), header.size);
}

}  // namespace travelchat::wire
