// Counts the calls that are inside an object which may end at any moment, so that its end can wait for them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace travelchat::detail {

// Any thread. A call must not wait for the one that calls `end`.
class ActiveCalls {
  // Threads count in different cache lines, mostly: an operation of the engine's costs no line that all of them write.
  struct alignas(64) Slot {
    std::atomic<std::uint32_t> inside{0};
  };

 public:
  // False: it has ended, and nothing of it may be touched.
  class Call {
   public:
    explicit Call(ActiveCalls& calls) noexcept : slot_(calls.enter()) {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() {
      if (slot_ != nullptr) leave(*slot_);
    }
    explicit operator bool() const noexcept { return slot_ != nullptr; }

   private:
    Slot* const slot_;
  };

  bool ended() const noexcept { return ended_.load(); }

  // Returns when all calls have left; those that come from now on are refused.
  void end() noexcept {
    ended_ = true;
    for (Slot& slot : slots_) {
      for (std::uint32_t inside = slot.inside; inside != 0; inside = slot.inside) slot.inside.wait(inside);
    }
  }

 private:
  // Sequentially consistent, as is `end`: either a call sees the end, or the end sees the call.
  Slot* enter() noexcept {
    Slot& slot = slots_[index()];
    ++slot.inside;
    if (!ended_) return &slot;
    leave(slot);
    return nullptr;
  }
  static void leave(Slot& slot) noexcept {
    // Nobody waits for long: `end` has been called at most once.
    if (--slot.inside == 0) slot.inside.notify_all();
  }
  static std::size_t index() noexcept {
    static std::atomic<std::size_t> threads{0};
    thread_local const std::size_t own = threads++ % slot_count;
    return own;
  }

  static constexpr std::size_t slot_count = 16;
  std::array<Slot, slot_count> slots_;
  std::atomic<bool> ended_{false};
};

}  // namespace travelchat::detail
