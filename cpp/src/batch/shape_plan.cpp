#include "batch/shape_plan.hpp"

#include <algorithm>

namespace dynbatch {
namespace {

using Sizes = std::vector<std::int64_t>;

// Whether rows of these sizes run in the gear.
bool holds(const ShapePlan& plan, const Sizes& gear, std::span<const std::int64_t> sizes) noexcept {
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (gear[i] == 0) continue;
    if (plan.padded[i] ? gear[i] < sizes[i] : gear[i] != sizes[i]) return false;
  }
  return true;
}

double elements_of(const Sizes& gear, std::span<const std::int64_t> sizes) noexcept {
  double elements = 1.0;
  for (std::size_t i = 0; i < sizes.size(); ++i)
    elements *= static_cast<double>(gear[i] == 0 ? sizes[i] : gear[i]);
  return elements;
}

}  // namespace

std::vector<std::size_t> ShapePlan::weighed() const {
  const bool any_padded = std::ranges::find(padded, true) != padded.end();
  std::vector<std::size_t> dimensions;
  for (std::size_t d = 0; d < padded.size(); ++d) {
    if (padded[d] || !any_padded) dimensions.push_back(d);
  }
  return dimensions;
}

bool fit_sizes(const ShapePlan& plan, std::span<const std::int64_t> sizes,
               std::span<std::int64_t> fitted) noexcept {
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (plan.largest[i] != 0 && sizes[i] > plan.largest[i]) return false;
  }
  const Sizes* best = nullptr;
  for (const Sizes& gear : plan.size_gears) {
    if (!holds(plan, gear, sizes)) continue;
    if (best == nullptr || elements_of(gear, sizes) < elements_of(*best, sizes)) best = &gear;
  }
  if (best == nullptr && !plan.size_gears.empty()) return false;
  for (std::size_t i = 0; i < sizes.size(); ++i)
    fitted[i] = best == nullptr || (*best)[i] == 0 ? sizes[i] : (*best)[i];
  return true;
}

}  // namespace dynbatch
