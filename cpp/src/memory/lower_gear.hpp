// LowerGear: notices that batches have been much smaller than before, for long enough that memory which
// only the larger ones need is worth giving back. Not thread-safe: lives under the runtime's lock.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/platform.hpp"

namespace dynbatch {

class LowerGear {
 public:
  // Steady traffic with a large batch now and then has one within these bounds, and is left alone. The
  // price of being wrong (page faults of some milliseconds) is then paid at most once a span.
  static constexpr std::uint32_t kRuns = 16;
  static constexpr Nanoseconds kSpan = 1'000'000'000;

  /// Notes a run of `rows` rows that ended at `now`. True if since `kRuns` runs and `kSpan` all had at
  /// most half the rows of the largest before; that is then forgotten, and kept_rows() changes.
  bool note(std::uint32_t rows, Nanoseconds now) noexcept {
    if (rows > kept_) kept_ = kAll;
    if (rows * 2 > high_) {
      high_ = std::max(high_, rows);
      runs_ = 0;
      return false;
    }
    if (runs_ == 0) {
      since_ = now;
      recent_ = 0;
    }
    recent_ = std::max(recent_, rows);
    ++runs_;
    if (runs_ < kRuns || now - since_ < kSpan) return false;
    high_ = kept_ = recent_;
    runs_ = 0;
    return true;
  }

  /// What blocks keep: memory of rows beyond these may go. All of it, unless the gear is a lower one.
  std::uint32_t kept_rows() const noexcept { return kept_; }

 private:
  static constexpr std::uint32_t kAll = UINT32_MAX;

  std::uint32_t high_ = 0;    // rows of the largest batch
  std::uint32_t recent_ = 0;  // ... of the last `runs_` ones
  std::uint32_t runs_ = 0;    // in a row, of at most half of `high_`
  std::uint32_t kept_ = kAll;
  Nanoseconds since_ = 0;  // the first of them
};

}  // namespace dynbatch
