// Times of a model whose rows differ in shape: batch gears by sizes, within a budget.
#pragma once

#include "batch/cost_table.hpp"
#include "runtime/dry_runs.hpp"
#include "runtime/shape_plan.hpp"

namespace dynbatch {

struct ShapeTimes {
  /// A gear for each batch gear at each of the size gears; where there are none, at powers of two or four
  /// below the limit or the examples' sizes, or if none of these runs at those that were found to run (for
  /// another 5 s). Sizes whose rows queue_bytes does not hold are left out. Dimensions whose sizes do not count
  /// have that of the warm-up. Never empty.
  GearTable table;
  /// By the elements of the weighed dimensions (ShapePlan). A batch that was not run costs as much per row as the nearest
  /// one that was, at the same sizes.
  CostTable cost;
  std::size_t measured_cap = 0;  // at the sizes that gain most; 0 if nothing was measured
  /// The least work (ShapedLoneRuns) that is worth all CPUs; 0: none is.
  double least_lone_work = 0.0;
  /// The first of a batch at sizes that should run, or of one that broke the executor's contract; says which batch.
  Failure failure;
};

/// Runs the middle sizes first, then the others, at most 8 in all, each batch once and then three times; stops
/// before a run that would exceed 5 s in all, but for the first, and before one with more inputs than 256 MiB or
/// queue_bytes: so much is not merged. The smallest batch runs in any case at sizes that somebody named or that ran
/// before. Then, if lone runs are on offer, the smallest batch of each of the sizes with and without all CPUs, for
/// 2 s at most.
ShapeTimes time_shapes(ShapedModel& model, const ShapePlan& shapes);

}  // namespace dynbatch
