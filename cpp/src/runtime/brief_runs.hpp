// BriefRuns: whether runs are so short that a caller may keep others from their work meanwhile, as a Python
// thread does that keeps the GIL. Not thread-safe: lives under the runtime's lock.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "base/platform.hpp"

namespace dynbatch {

// Runs that are shorter are brief.
inline constexpr Nanoseconds kBriefRun = 100'000;

/// Judged by the last 32 runs, of which one in eight may be long: a thread that was kept from its CPU starts
/// with such runs. A caller that gives the GIL up waits for it after each run, and then finds its caches cold:
/// its runs are long because they were not held to be brief. Where load has shown that they can be brief, they
/// are therefore held to be so again after a pause, which doubles each time that this was wrong.
class BriefRuns {
 public:
  /// Load has measured a gear that is brief.
  void expect() noexcept { expected_ = true; }

  void add(Nanoseconds run_time) noexcept {
    recent_long_ = recent_long_ << 1 | (run_time >= kBriefRun ? 1 : 0);
    if (std::popcount(recent_long_) <= kMostLong) {
      if (++brief_ % kLongestPause == 0) pause_ /= 2;
      left_ = 0;
      return;
    }
    if (left_ == 0) {
      pause_ = std::clamp(2 * pause_, kShortestPause, kLongestPause);
      left_ = pause_;
    } else if (--left_ == 0 && expected_) {
      recent_long_ = 0;
    }
  }
  bool are_brief() const noexcept { return std::popcount(recent_long_) <= kMostLong; }

 private:
  static constexpr int kMostLong = 4;
  static constexpr std::uint32_t kShortestPause = 32;
  static constexpr std::uint32_t kLongestPause = 4096;

  std::uint32_t recent_long_ = 0;  // a bit for each of the last 32, the latest lowest
  std::uint32_t pause_ = 0;        // runs
  std::uint32_t left_ = 0;         // of the pause
  std::uint32_t brief_ = 0;        // runs that were held to be brief
  bool expected_ = false;
};

}  // namespace dynbatch
