// A histogram of times whose buckets are 1/16 of an octave wide, so quantiles are within 7 %.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <dynbatch/stats.hpp>

#include "base/platform.hpp"

namespace dynbatch {

/// Not thread-safe: lives under the runtime's lock.
class Histogram {
 public:
  void add(Nanoseconds time) noexcept {
    const auto value = static_cast<std::uint64_t>(std::max<Nanoseconds>(time, 0));
    ++counts_[bucket_of(value)];
    ++total_;
    max_ = std::max(max_, value);
  }

  Quantiles quantiles() const noexcept {
    return {.count = total_, .p50 = at(0.5), .p90 = at(0.9), .p99 = at(0.99), .max = seconds(max_)};
  }

 private:
  static constexpr std::size_t kSteps = 16;
  static constexpr std::size_t kBuckets = 64 * kSteps;

  static std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < kSteps) return static_cast<std::size_t>(value);
    const auto octave =
        static_cast<std::size_t>(std::bit_width(value)) - 5;  // value >> octave in [16, 32)
    return (octave + 1) * kSteps + static_cast<std::size_t>(value >> octave) - kSteps;
  }
  static std::uint64_t middle_of(std::size_t bucket) noexcept {
    if (bucket < kSteps) return bucket;
    const std::size_t octave = bucket / kSteps - 1;
    const std::uint64_t low = (kSteps + bucket % kSteps) << octave;
    return low + ((std::uint64_t{1} << octave) >> 1);
  }
  static double seconds(std::uint64_t nanoseconds) noexcept {
    return static_cast<double>(nanoseconds) * 1e-9;
  }
  double at(double fraction) const noexcept {
    if (total_ == 0) return 0.0;
    const auto wanted = static_cast<std::uint64_t>(fraction * static_cast<double>(total_ - 1)) + 1;
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
      seen += counts_[bucket];
      if (seen >= wanted) return seconds(std::min(middle_of(bucket), max_));
    }
    return seconds(max_);
  }

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace dynbatch
