// Counts the calls that are inside an object, so that its shutdown can refuse new ones and wait for the others.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace travelchat::detail {

// Any thread. A call must not wait for the one that calls `end`.
class ActiveCalls {
  // Several counters, so that threads seldom write the same cache line.
  struct alignas(64) Slot {
    std::atomic<std::uint32_t> inside{0};
  };

 public:
  // One call, counted while it lives. False: `end` was called, and the object must not be used.
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
  // Sequentially consistent, as is `end`: either the call sees `ended_`, or `end` sees the call's count.
  Slot* enter() noexcept {
    Slot& slot = slots_[index()];
    ++slot.inside;
    if (!ended_) return &slot;
    leave(slot);
    return nullptr;
  }
  static void leave(Slot& slot) noexcept {
    // Wakes `end`.
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
