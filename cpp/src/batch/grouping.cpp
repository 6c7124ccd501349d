#include "batch/grouping.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/assertions.hpp"
#include "batch/cost_table.hpp"

namespace dynbatch {
namespace {

constexpr std::uint16_t kNoGear = 0xffff;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Sums of the same costs in another order differ by less than this, relatively.
constexpr double kEqual = 1e-9;

double product(const std::int64_t* sizes, std::size_t dimensions) noexcept {
  double elements = 1.0;
  for (std::size_t d = 0; d < dimensions; ++d) elements *= static_cast<double>(sizes[d]);
  return elements;
}

bool fits(const std::int64_t* sizes, const std::int64_t* into, std::size_t dimensions) noexcept {
  for (std::size_t d = 0; d < dimensions; ++d) {
    if (sizes[d] > into[d]) return false;
  }
  return true;
}

/// The gear of fewest elements that fits, the first of several; kNoGear if there is none.
std::uint16_t gear_for(const std::int64_t* sizes, const GroupLimits& limits) noexcept {
  std::uint16_t best = kNoGear;
  double fewest = kInfinity;
  for (std::size_t g = 0; g < limits.size_gears.size(); ++g) {
    const std::int64_t* gear = limits.size_gears[g].data();
    if (!fits(sizes, gear, limits.dimensions)) continue;
    const double elements = product(gear, limits.dimensions);
    if (elements >= fewest) continue;
    fewest = elements;
    best = static_cast<std::uint16_t>(g);
  }
  return best;
}

/// The padded sizes of a chunk while requests are added to it.
class Padding {
 public:
  Padding(const GroupLimits& limits, const GroupCandidate& first, std::uint16_t gear,
          double elements) noexcept
      : limits_(limits), largest_(first.sizes), elements_(elements) {
    const bool in_gear = !limits.size_gears.empty() && gear != kNoGear;
    padded_ = in_gear ? limits.size_gears[gear].data() : largest_.data();
    joinable_ = limits.size_gears.empty() || in_gear;
  }
  Padding(const Padding&) = delete;
  Padding& operator=(const Padding&) = delete;

  double elements() const noexcept { return elements_; }

  enum class Joined : std::uint8_t { within, larger, never };
  /// A request that fits what the others are padded to changes nothing: no smaller gear fitted before.
  Joined join(const GroupCandidate& next) noexcept {
    if (!joinable_) return Joined::never;
    if (limits_.dimensions > 1 || !limits_.size_gears.empty()) {
      for (std::size_t d = 0; d < limits_.dimensions; ++d)
        largest_[d] = std::max(largest_[d], next.sizes[d]);
    }
    if (fits(next.sizes.data(), padded_, limits_.dimensions)) return Joined::within;
    return Joined::never;
  }

 private:
  const GroupLimits& limits_;
  std::array<std::int64_t, ModelSpec::kMaxDimensions> largest_;
  const std::int64_t* padded_;
  double elements_;
  bool joinable_;
};

}  // namespace
}  // namespace dynbatch
