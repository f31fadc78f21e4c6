#include "core/hint.hpp"

#include <travelchat/describe.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>

namespace travelchat::detail {

namespace {

// Version of how values are written, which the hash over the members' names does not cover. Raised with each change of
// it.
constexpr std::uint8_t layout = 2;
constexpr std::size_t max_hint_bytes = 32 << 10;

// A hash (FNV-1a) of the members of all that travels within a T, in their order.
constexpr std::uint32_t hash_of_nothing = 0x811c9dc5;
constexpr std::uint32_t add_to_hash(std::uint32_t hash, std::string_view name) {
  for (const char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x01000193;
  return hash;
}
template <class T>
struct Shape {
  static constexpr std::uint32_t add_to(std::uint32_t hash) { return hash; }
};
template <class T>
struct Shape<std::optional<T>> : Shape<T> {};
template <class T>
struct Shape<std::vector<T>> : Shape<T> {};
template <class... Alternatives>
struct Shape<std::variant<Alternatives...>> {
  static constexpr std::uint32_t add_to(std::uint32_t hash) {
    ((hash = Shape<Alternatives>::add_to(hash)), ...);
    return hash;
  }
};
template <Described T>
struct Shape<T> {
  static constexpr std::uint32_t add_to(std::uint32_t hash) {
    for_each_member<T>([&](auto member) {
      hash = Shape<std::remove_cvref_t<decltype(std::declval<T&>().*member.pointer)>>::add_to(
          add_to_hash(hash, member.name));
    });
    return hash;
  }
};
template <class T>
constexpr std::array<char, 4> make_shape() {
  std::array<char, 4> shape{};
  const std::uint32_t hash = Shape<T>::add_to(hash_of_nothing);
  for (std::size_t i = 0; i < shape.size(); ++i) shape[i] = static_cast<char>(hash >> (8 * i) & 0xff);
  return shape;
}
// Written before a T; a node whose T has other members reads no further.
template <class T>
constexpr std::array<char, 4> shape_of = make_shape<T>();

// An alternative's place in its variant: its number on the wire.
template <class T, class Variant, std::size_t I = 0>
constexpr std::size_t place() {
  if constexpr (std::same_as<std::variant_alternative_t<I, Variant>, T>) {
    return I;
  } else {
    return place<T, Variant, I + 1>();
  }
}
template <class T, class Variant>
constexpr std::size_t index_of = place<T, Variant>();

// Numbers are little-endian base 128 (seven bits a byte, the highest bit says that more follow), texts have their
// length before them, options a byte.
class Encoder {
 public:
  void byte(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) byte(static_cast<std::uint8_t>(value | 0x80));
    byte(static_cast<std::uint8_t>(value));
  }
  void put(bool value) { byte(value ? 1 : 0); }
  void put(std::uint64_t value) { number(value); }
  void put(TimePoint at) { number(static_cast<std::uint64_t>(at.time_since_epoch().count())); }
  void put(std::chrono::milliseconds span) { number(static_cast<std::uint64_t>(span.count())); }
  void put(std::string_view text) {
    number(text.size());
    out_ += text;
  }
  void put(const std::string& text) { put(std::string_view(text)); }
  void put(const Uuid& id) { out_.append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()); }
  void put(const Sha256Digest& digest) { out_.append(reinterpret_cast<const char*>(digest.data()), digest.size()); }
  template <class E>
  requires std::is_enum_v<E>
  void put(E value) { byte(static_cast<std::uint8_t>(value)); }
  template <class T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <class T>
  void put(const std::vector<T>& list) {
    number(list.size());
    for (const T& item : list) put(item);
  }
  template <Described T>
  void put(const T& value) {
    for_each_member<T>([&](auto member) { put(value.*member.pointer); });
  }
  void put(const Event& event) {
    byte(static_cast<std::uint8_t>(event.index()));
    std::visit([this](const auto& e) { put(e); }, event);
  }
  template <class T>
  void put_whole(const T& hint) {
    out_.append(shape_of<T>.data(), shape_of<T>.size());
    put(hint);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// Reading past the end, or an impossible value, gives zeros and sets `failed`.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : rest_(bytes) {}

  bool failed() const noexcept { return failed_; }
  bool at_end() const noexcept { return rest_.empty(); }
  std::uint8_t byte() {
    const std::string_view one = bytes(1);
    return one.empty() ? 0 : static_cast<std::uint8_t>(one.front());
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint8_t part = byte();
      value |= static_cast<std::uint64_t>(part & 0x7f) << shift;
      if ((part & 0x80) == 0) return value;
    }
    failed_ = true;
    return 0;
  }
  template <class T>
  void put_whole(T& hint) {
    if (bytes(shape_of<T>.size()) != std::string_view(shape_of<T>.data(), shape_of<T>.size())) failed_ = true;
    if (!failed_) put(hint);
  }
  void put(bool& value) { value = limited(1) == 1; }
  void put(std::uint64_t& value) { value = number(); }
  void put(TimePoint& at) { at = TimePoint(std::chrono::milliseconds(static_cast<std::int64_t>(number()))); }
  void put(std::chrono::milliseconds& span) {
    // At most a day: no node writes a longer time.
    span = std::chrono::milliseconds(std::min<std::uint64_t>(number(), 86'400'000));
  }
  void put(std::string& text) { text = bytes(number()); }
  void put(Uuid& id) {
    const std::string_view raw = bytes(id.bytes.size());
    if (!raw.empty()) std::memcpy(id.bytes.data(), raw.data(), raw.size());
  }
  void put(Sha256Digest& digest) {
    const std::string_view raw = bytes(digest.size());
    if (!raw.empty()) std::memcpy(digest.data(), raw.data(), raw.size());
  }
  void put(Role& role) { role = static_cast<Role>(limited(1)); }
  void put(Emoji& emoji) { emoji = static_cast<Emoji>(limited(static_cast<std::uint8_t>(Emoji::thumbs_down))); }
  template <class T>
  void put(std::optional<T>& value) {
    if (limited(1) == 1) put(value.emplace());
  }
  template <class T>
  void put(std::vector<T>& list) {
    // Each item takes a byte at least, so a false length ends with the bytes.
    for (std::uint64_t left = number(); left > 0 && !failed_; --left) put(list.emplace_back());
  }
  template <Described T>
  void put(T& value) {
    for_each_member<T>([&](auto member) { put(value.*member.pointer); });
  }
  void put(Event& event) {
    switch (byte()) {
      case index_of<MessageCreated, Event>:
        return put(event.emplace<MessageCreated>());
      case index_of<MessageChanged, Event>:
        return put(event.emplace<MessageChanged>());
      case index_of<ReactionsChanged, Event>:
        return put(event.emplace<ReactionsChanged>());
      case index_of<MessagesSeen, Event>:
        return put(event.emplace<MessagesSeen>());
      case index_of<MessagesRead, Event>:
        return put(event.emplace<MessagesRead>());
      default:
        failed_ = true;
    }
  }

 private:
  std::string_view bytes(std::uint64_t size) {
    if (failed_ || size > rest_.size()) {
      failed_ = true;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::uint8_t limited(std::uint8_t highest) {
    const std::uint8_t value = byte();
    if (value > highest) failed_ = true;
    return failed_ ? 0 : value;
  }

  std::string_view rest_;
  bool failed_ = false;
};

bool is_ascending(const std::vector<Event>& events) {
  std::uint64_t last = 0;
  for (const Event& event : events) {
    if (revision(event) <= last) return false;
    last = revision(event);
  }
  return true;
}

template <class T>
Hint read_hint(Decoder& decoder) {
  T hint;
  decoder.put_whole(hint);
  return hint;
}

std::string encode(const Hint& hint) {
  Encoder encoder;
  encoder.byte(layout);
  encoder.byte(static_cast<std::uint8_t>(hint.index()));
  std::visit([&](const auto& h) { encoder.put_whole(h); }, hint);
  return encoder.take();
}

}  // namespace

std::string encode_hint(const Hint& hint, std::size_t max_bytes) {
  std::string bytes = encode(hint);
  if (bytes.size() <= max_bytes) return bytes;
  if (const auto* progress = std::get_if<Progress>(&hint)) return encode(Progress{progress->rev, {}});
  return encode(Look{});
}

void publish_hint(Backplane& backplane, const Uuid& topic, const Hint& hint) {
  backplane.publish(topic, encode_hint(hint, std::min(max_hint_bytes, backplane.max_payload())));
}

Hint decode_hint(std::string_view bytes) {
  Decoder decoder(bytes);
  if (decoder.byte() != layout) return Look{};
  Hint hint;
  switch (decoder.byte()) {
    case index_of<Progress, Hint>:
      hint = read_hint<Progress>(decoder);
      break;
    case index_of<NodeTyping, Hint>:
      hint = read_hint<NodeTyping>(decoder);
      break;
    case index_of<WhoTypes, Hint>:
      hint = read_hint<WhoTypes>(decoder);
      break;
    case index_of<InboxRow, Hint>:
      hint = read_hint<InboxRow>(decoder);
      break;
    case index_of<CredentialsEnded, Hint>:
      hint = read_hint<CredentialsEnded>(decoder);
      break;
    default:
      return Look{};
  }
  const auto* progress = std::get_if<Progress>(&hint);
  if (decoder.failed() || !decoder.at_end() || (progress != nullptr && !is_ascending(progress->events))) return Look{};
  return hint;
}

}  // namespace travelchat::detail
