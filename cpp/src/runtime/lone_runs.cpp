#include "runtime/lone_runs.hpp"

#include <algorithm>
#include <iterator>

namespace dynbatch {
namespace {

/// Times between those of the two gears around `rows`; outside of all gears, that of the nearest one.
struct Times {
  double shared = 0.0;
  double alone = 0.0;
};

Times times_at(const std::vector<Gear>& rising, std::size_t rows) {
  const auto above = std::ranges::lower_bound(rising, rows, {}, &Gear::batch_size);
  const Gear& high = above == rising.end() ? rising.back() : *above;
  const Gear& low = above == rising.begin() || above == rising.end() ? high : *(above - 1);
  const double span = static_cast<double>(high.batch_size - low.batch_size);
  const double share = span == 0.0 ? 0.0 : static_cast<double>(rows - low.batch_size) / span;
  const auto between = [&](double from, double to) { return from + (to - from) * share; };
  return {.shared = between(low.seconds, high.seconds),
          .alone = between(*low.seconds_alone, *high.seconds_alone)};
}

}  // namespace

Nanoseconds ShapedLoneRuns::limit(std::size_t rows,
                                  std::span<const std::int64_t> sizes) const noexcept {
  double elements = 1.0;
  for (const std::size_t d : weighed)
    elements *= static_cast<double>(std::max<std::int64_t>(1, sizes[d]));
  if (least_work <= 0.0 || static_cast<double>(rows) * elements < least_work) return 0;
  return std::max<Nanoseconds>(1, static_cast<Nanoseconds>(cost.seconds(rows, elements) * 1e9));
}

std::vector<Nanoseconds> lone_limits(const GearTable& table, std::size_t largest) {
  std::vector<Gear> rising;
  std::ranges::copy_if(table.gears, std::back_inserter(rising),
                       [](const Gear& gear) { return gear.seconds_alone.has_value(); });
  std::ranges::sort(rising, {}, &Gear::batch_size);
  const bool kept = std::ranges::any_of(rising, [](const Gear& gear) {
    return gear.seconds >= kLoneWorthKeeping * *gear.seconds_alone;
  });
  if (!kept) return {};
  std::vector<Nanoseconds> limits(largest + 1);
  for (std::size_t rows = 1; rows <= largest; ++rows) {
    const Times times = times_at(rising, rows);
    if (times.shared < kLoneWorthRunning * times.alone) continue;
    limits[rows] = std::max<Nanoseconds>(1, static_cast<Nanoseconds>(times.shared * 1e9));
  }
  return limits;
}

}  // namespace dynbatch
