#include <travelchat/event.hpp>

#include <type_traits>

namespace travelchat {

std::uint64_t revision(const Event& event) noexcept {
  return std::visit(
      [](const auto& e) -> std::uint64_t {
        using E = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<E, MessageCreated> || std::is_same_v<E, MessageChanged> ||
                      std::is_same_v<E, ReactionsChanged> || std::is_same_v<E, MessagesSeen> ||
                      std::is_same_v<E, MessagesRead>) {
          return e.rev;
        } else {
          return 0;
        }
      },
      event);
}

const std::shared_ptr<const std::string>& EventBatch::encoded() const {
  if (!encoded_) {
    auto bytes = std::make_shared<std::string>();
    if (encoder_ != nullptr && *encoder_) {
      for (const Event& event : events_) (*encoder_)(event, *bytes);
    }
    encoded_ = std::move(bytes);
  }
  return encoded_;
}

}  // namespace travelchat
