#include <travelchat/describe.hpp>
#include <travelchat/types.hpp>

#include "core/digest.hpp"
#include "core/uuid.hpp"

#include <pthread.h>

#include <atomic>
#include <cstring>

namespace travelchat {
namespace {

// Random words for ids, drawn from the system's generator in blocks so that an id costs no call into it. A block is
// dropped in a forked child, which would otherwise make its parent's ids again.
class RandomWords {
 public:
  std::uint64_t next() {
    const unsigned generation = fork_generation.load(std::memory_order_relaxed);
    if (left_ == 0 || generation != generation_) {
      random_bytes({reinterpret_cast<std::uint8_t*>(words_.data()), sizeof(words_)});
      left_ = words_.size();
      generation_ = generation;
    }
    return words_[--left_];
  }

 private:
  static inline std::atomic<unsigned> fork_generation{0};
  static inline const int at_fork =
      pthread_atfork(nullptr, nullptr, [] { fork_generation.fetch_add(1, std::memory_order_relaxed); });

  std::array<std::uint64_t, 64> words_;
  std::size_t left_ = 0;
  unsigned generation_ = 0;
};

constexpr char hex_digits[] = "0123456789abcdef";

constexpr int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

constexpr bool is_dash_position(std::size_t i) noexcept {
  return i == 8 || i == 13 || i == 18 || i == 23;
}

constexpr std::string_view variation_selector = "\xEF\xB8\x8F";  // U+FE0F

// As they travel, by enumerator.
constexpr std::array<std::string_view, 6> emoji_text = {
    "\xE2\x9D\xA4\xEF\xB8\x8F",  // U+2764 U+FE0F
    "\xF0\x9F\x91\x8D",          // U+1F44D
    "\xF0\x9F\x98\x82",          // U+1F602
    "\xF0\x9F\x98\xAE",          // U+1F62E
    "\xF0\x9F\x98\xA2",          // U+1F622
    "\xF0\x9F\x91\x8E",          // U+1F44E
};

}  // namespace

Draft::Draft(const DraftView& view) {
  detail::for_each_member<Draft>(
      [&]<class Member>(Member) { this->*Member::pointer = view.*detail::Namesake<DraftView, Member>::pointer; });
}

void write_uuid(const Uuid& id, char* out) noexcept {
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
    *out++ = hex_digits[id.bytes[i] >> 4];
    *out++ = hex_digits[id.bytes[i] & 15];
  }
}

std::string to_string(const Uuid& id) {
  std::string text(36, '\0');
  write_uuid(id, text.data());
  return text;
}

std::optional<Uuid> parse_uuid(std::string_view text) noexcept {
  if (text.size() != 36) return std::nullopt;
  Uuid id;
  std::size_t digit = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_dash_position(i)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int value = hex_value(text[i]);
    if (value < 0) return std::nullopt;
    id.bytes[digit / 2] = static_cast<std::uint8_t>((id.bytes[digit / 2] << 4) | value);
    ++digit;
  }
  return id;
}

Uuid make_uuid(TimePoint now) {
  static UuidClock clock;
  thread_local RandomWords words;
  return make_uuid_v7(clock.tick(now), words.next());
}

std::string_view to_string(Role role) noexcept {
  return role == Role::advisor ? "advisor" : "client";
}

std::optional<Role> parse_role(std::string_view text) noexcept {
  if (text == "advisor") return Role::advisor;
  if (text == "client") return Role::client;
  return std::nullopt;
}

std::string_view to_string(Emoji emoji) noexcept {
  const auto index = static_cast<std::size_t>(emoji);
  return index < emoji_text.size() ? emoji_text[index] : std::string_view{};
}

std::optional<Emoji> parse_emoji(std::string_view text) noexcept {
  if (text.ends_with(variation_selector)) text.remove_suffix(variation_selector.size());
  for (std::size_t i = 0; i < emoji_text.size(); ++i) {
    std::string_view bare = emoji_text[i];
    if (bare.ends_with(variation_selector)) bare.remove_suffix(variation_selector.size());
    if (text == bare) return static_cast<Emoji>(i);
  }
  return std::nullopt;
}

Credential Credential::of_chat_token(std::string_view chat_token, TimePoint expires_at) {
  return {Kind::chat_token, sha256(chat_token), expires_at};
}

Credential Credential::of_session(std::string_view session_id, TimePoint expires_at) {
  // The prefix keeps it from ever being the digest of a token.
  return {Kind::session, sha256("session " + std::string(session_id)), expires_at};
}

}  // namespace travelchat
