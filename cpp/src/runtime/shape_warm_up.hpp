// Warm-up of a model whose rows differ in shape (ModelSpec::is_staged()): finds sizes that it accepts and how
// its outputs are taken apart, checks that rows and padding do not change each other's answers, measures
// batches by sizes, and concludes whether and how far requests are merged.
#pragma once

#include <cstdint>
#include <vector>

#include <dynbatch/executor.hpp>
#include <dynbatch/options.hpp>

#include "batch/cost_table.hpp"
#include "batch/output_layout.hpp"
#include "runtime/batching_plan.hpp"
#include "runtime/shape_plan.hpp"
#include "runtime/warm_up.hpp"

namespace dynbatch {

struct ShapeWarmUp {
  /// common.fill_row: the smallest row that ran, per input, made masks and lengths included; empty for shared
  /// and ragged inputs, and those counted from requests. common.output_row_shapes: at the sizes from which
  /// the dry runs started.
  WarmUp common;
  ShapePlan plan;                        // as the probes left it
  std::vector<std::int64_t> fill_sizes;  // of common.fill_row, per dimension
  /// Where the model could not be run at load, all of each output is one request's: it is then not merged,
  /// nor cut.
  std::vector<OutputLayout> outputs;
  CostTable cost;
  double least_lone_work = 0.0;  // as ShapeTimes has it
};

/// Switches padding off in `shapes` where it changes answers or outputs cannot be cut; the report's warning says
/// so. Throws Error(model) if batching or padding was demanded (batching="always") and cannot be given, or an
/// output cannot be taken apart; Error(invalid_argument) if examples do not fit.
ShapeWarmUp warm_up_shapes(Executor& executor, const BatchingOptions& options,
                           const BatchingPlan& plan, ShapePlan& shapes);

}  // namespace dynbatch
