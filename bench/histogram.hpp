// Counts of durations, 128 buckets for each power of two: a quantile is exact to 0.8 %. One thread.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace travelchat::bench {

class Histogram {
 public:
  void record(std::uint64_t ns) noexcept {
    ++buckets_[index_of(ns)];
    ++count_;
    max_ = std::max(max_, ns);
  }

  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t max() const noexcept { return max_; }

  // The smallest recorded value that at least `share` of all are not above, to the middle of its bucket; 0 when empty.
  std::uint64_t quantile(double share) const noexcept {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen >= wanted && seen > 0) return std::min(middle_of(i), max_);
    }
    return 0;
  }

 private:
  static constexpr unsigned precision_bits = 7;
  static constexpr std::size_t per_power = std::size_t{1} << precision_bits;

  // Below 256 a value is its own bucket; above, its leading eight bits and how far they were shifted.
  static std::size_t index_of(std::uint64_t ns) noexcept {
    const unsigned width = static_cast<unsigned>(std::bit_width(ns));
    const unsigned shift = width > precision_bits + 1 ? width - precision_bits - 1 : 0;
    return (static_cast<std::size_t>(shift) << precision_bits) + static_cast<std::size_t>(ns >> shift);
  }
  static std::uint64_t middle_of(std::size_t index) noexcept {
    if (index < 2 * per_power) return index;
    const auto shift = (index >> precision_bits) - 1;
    const auto leading = (index & (per_power - 1)) + per_power;
    return (static_cast<std::uint64_t>(leading) << shift) + (std::uint64_t{1} << (shift - 1));
  }

  std::array<std::uint64_t, (64 - precision_bits + 1) * per_power> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace travelchat::bench
