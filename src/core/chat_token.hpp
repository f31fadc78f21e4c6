// What a chat token says by itself: whether it was issued for a share link, and for which.
//
// A token is 20 random bytes, 4 bytes that mark it as one of this layout, and 8 bytes made of the random ones and of
// the share token. So a server that knows the share token can tell that a chat token was issued for it. Nothing about
// links is stored, and the token reveals nothing about a link that one does not know. Tokens of older versions are 32
// random bytes. Plain values; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace travelchat {

class ChatToken {
 public:
  enum class Basis : std::uint8_t {
    unknown,      // of an older version, or not made by the engine
    application,  // issued by the application for reasons of its own
    link,         // issued for a share link
  };

  static ChatToken make(const std::optional<std::string>& share_token);
  // nullopt: not 64 hexadecimal characters.
  static std::optional<ChatToken> parse(std::string_view text);

  std::string text() const;
  Basis basis() const;
  // False for a token of the application's own. True for one of unknown basis, which may have been issued for any link.
  bool may_be_of(std::string_view share_token) const;

  bool operator==(const ChatToken&) const = default;
  struct Hash {
    std::size_t operator()(const ChatToken& token) const noexcept;
  };

 private:
  std::array<std::uint8_t, 32> bytes_{};
};

}  // namespace travelchat
