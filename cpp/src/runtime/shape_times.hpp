// Times of a model whose rows differ in shape: batch gears by sizes, within a budget.
#pragma once

#include "batch/cost_table.hpp"
#include "runtime/dry_runs.hpp"
#include "runtime/shape_plan.hpp"

namespace dynbatch {

struct ShapeTimes {
  /// A gear for each batch gear at each of the size gears; where padded dimensions have none, at powers of two
  /// up to the limit or the examples' sizes. Dimensions of any size have that of the warm-up.
  GearTable table;
  /// By the elements of the padded dimensions. A batch that was not run costs as much per row as the nearest
  /// one that was, at the same sizes.
  CostTable cost;
  std::size_t measured_cap = 0;  // at the middle one of the sizes; 0 if nothing was measured there
  Failure failure;               // the first that a gear gave
};

/// Runs the middle sizes first, then the others, at most 8 in all, each batch once and then three times; stops
/// before a run that would exceed 5 s in all, but for the first.
ShapeTimes time_shapes(ShapedModel& model, const ShapePlan& shapes);

}  // namespace dynbatch
