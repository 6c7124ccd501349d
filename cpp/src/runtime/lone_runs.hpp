// Which batches run with all CPUs when they are alone, by the times measured at load.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <dynbatch/gear.hpp>

#include "base/platform.hpp"
#include "batch/cost_table.hpp"

namespace dynbatch {

/// [n]: for a lone batch of n rows, 0 < n <= `largest`, that is to run with all CPUs, the time that it
/// takes without; 0 if it is to run like any other. Empty if lone runs were measured for no gear, or gain
/// too little in each of them to be worth what they hold.
std::vector<Nanoseconds> lone_limits(const GearTable& table, std::size_t largest);

/// What a lone run must gain at least by all CPUs: for some batch, so that what lone runs hold is kept; and for
/// a batch, so that it takes the CPUs from the rest of the process (measured times scatter).
inline constexpr double kLoneWorthKeeping = 1.15;
inline constexpr double kLoneWorthRunning = 1.05;

/// The same where rows differ in shape: by the work of a batch, its rows times the elements of a row.
struct ShapedLoneRuns {
  double least_work = 0.0;           // that runs with all CPUs; 0: none does
  std::vector<std::size_t> weighed;  // dimensions whose sizes make the elements of a row
  CostTable cost;

  /// As lone_limits() has it, for a batch padded to these sizes of all dimensions.
  Nanoseconds limit(std::size_t rows, std::span<const std::int64_t> sizes) const noexcept;
};

/// Whether lone batches run with all CPUs now. What was measured at load holds only while the CPUs are
/// there: a run that takes longer than it would without them puts off the next ones, for four times
/// as many batches each time. The first run after that is not judged, since it may find threads asleep. Not
/// thread-safe: lives under the runtime's lock.
class LoneRuns {
 public:
  /// Asked once for each batch that is alone.
  bool may_run() noexcept {
    if (put_off_ == 0) return true;
    --put_off_;
    return false;
  }
  void note(Nanoseconds run_time, Nanoseconds limit) noexcept {
    const bool first = std::exchange(first_, false);
    if (run_time <= limit) {
      pause_ /= 2;
    } else if (!first) {
      pause_ = std::clamp(4 * pause_, kShortestPause, kLongestPause);
      put_off_ = pause_;
      first_ = true;
    }
  }

 private:
  static constexpr std::uint32_t kShortestPause = 16;
  static constexpr std::uint32_t kLongestPause = 1024;
  std::uint32_t pause_ = 0;
  std::uint32_t put_off_ = 0;
  bool first_ = true;
};

}  // namespace dynbatch
