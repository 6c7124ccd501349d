// Calls one after the other, each of them timed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "closed_loop.hpp"
#include "paired.hpp"

namespace dynbatch::bench {

inline constexpr std::size_t kMostSamples = std::size_t{1} << 22;

/// Calls for that long.
template <class Call>
Figures time_calls(double seconds, Call&& call) {
  std::vector<std::uint32_t> samples;
  samples.reserve(kMostSamples);
  Nanoseconds before = StdPlatform::now();
  const Nanoseconds end = before + static_cast<Nanoseconds>(1e9 * seconds);
  while (before < end && samples.size() < kMostSamples) {
    call();
    const Nanoseconds now = StdPlatform::now();
    samples.push_back(static_cast<std::uint32_t>(std::min<Nanoseconds>(now - before, UINT32_MAX)));
    before = StdPlatform::now();
  }
  return quantiles_us(samples);
}

}  // namespace dynbatch::bench
