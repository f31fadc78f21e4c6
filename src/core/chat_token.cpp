#include "core/chat_token.hpp"

#include "core/digest.hpp"

#include <travelchat/validate.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

namespace travelchat {
namespace {

constexpr std::size_t random_size = 20;
constexpr std::size_t mark_size = 4;

using Bytes = std::array<std::uint8_t, 32>;

// The first bytes of a digest over the random ones. Every `purpose` has the same length, so inputs for different
// purposes differ.
void derive(const Bytes& token, std::string_view purpose, std::string_view what, std::span<std::uint8_t> out) {
  std::string input(purpose);
  input.append(reinterpret_cast<const char*>(token.data()), random_size);
  input += what;
  const Sha256Digest digest = sha256(input);
  std::copy_n(digest.begin(), out.size(), out.begin());
}

void mark(Bytes& token) {
  derive(token, "travelchat.mark", {}, std::span(token).subspan(random_size, mark_size));
}

void bind_to(Bytes& token, const std::optional<std::string_view>& share_token) {
  const std::span<std::uint8_t> last = std::span(token).subspan(random_size + mark_size);
  if (share_token)
    derive(token, "travelchat.link", *share_token, last);
  else
    derive(token, "travelchat.none", {}, last);
}

std::uint8_t nibble(char c) noexcept {
  if (c <= '9') return static_cast<std::uint8_t>(c - '0');
  return static_cast<std::uint8_t>((c | 0x20) - 'a' + 10);
}

}  // namespace

ChatToken ChatToken::make(const std::optional<std::string>& share_token) {
  ChatToken made;
  random_bytes(std::span(made.bytes_).first(random_size));
  mark(made.bytes_);
  bind_to(made.bytes_, share_token ? std::optional<std::string_view>(*share_token) : std::nullopt);
  return made;
}

std::optional<ChatToken> ChatToken::parse(std::string_view text) {
  if (!is_token(text)) return std::nullopt;
  ChatToken parsed;
  for (std::size_t i = 0; i < parsed.bytes_.size(); ++i) {
    parsed.bytes_[i] = static_cast<std::uint8_t>(nibble(text[2 * i]) * 16 + nibble(text[2 * i + 1]));
  }
  return parsed;
}

std::string ChatToken::text() const {
  return to_hex(bytes_);
}

ChatToken::Basis ChatToken::basis() const {
  Bytes expected = bytes_;
  mark(expected);
  if (expected != bytes_) return Basis::unknown;
  bind_to(expected, std::nullopt);
  return expected == bytes_ ? Basis::application : Basis::link;
}

std::size_t ChatToken::Hash::operator()(const ChatToken& token) const noexcept {
  std::size_t hash = 0;  // the first bytes are random
  std::memcpy(&hash, token.bytes_.data(), sizeof(hash));
  return hash;
}

bool ChatToken::may_be_of(std::string_view share_token) const {
  switch (basis()) {
    case Basis::unknown:
      return true;
    case Basis::application:
      return false;
    case Basis::link:
      break;
  }
  Bytes expected = bytes_;
  bind_to(expected, share_token);
  return expected == bytes_;
}

}  // namespace travelchat
