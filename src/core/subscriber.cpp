#include <travelchat/subscriber.hpp>

#include <algorithm>
#include <utility>
#include <variant>

namespace travelchat {

void ResyncPoint::note(const Event& event) noexcept {
  std::uint64_t rev = revision(event);
  if (const auto* caught_up = std::get_if<CaughtUp>(&event)) {
    rev = caught_up->rev;
    epoch_ = caught_up->epoch;
  } else if (const auto* resync = std::get_if<Resync>(&event)) {
    rev = resync->rev;
    // Revisions of another epoch do not compare.
    if (std::exchange(epoch_, resync->epoch) != resync->epoch) rev_ = 0;
  } else if (const auto* typing = std::get_if<TypingChanged>(&event)) {
    typing_ = *typing;
  }
  rev_ = std::max(rev_, rev);
}

std::vector<Event> ResyncPoint::events() const {
  std::vector<Event> events{Resync{rev_, epoch_}};
  if (typing_) events.emplace_back(*typing_);
  return events;
}

}  // namespace travelchat
