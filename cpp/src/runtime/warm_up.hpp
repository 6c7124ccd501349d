// Warm-up: runs each gear, measures it, checks the rows' independence, and concludes whether and how
// far requests are merged.
#pragma once

#include <cstddef>
#include <vector>

#include <dynbatch/batcher.hpp>
#include <dynbatch/executor.hpp>
#include <dynbatch/gear.hpp>
#include <dynbatch/options.hpp>

#include "runtime/batching_plan.hpp"
#include "runtime/trial_run.hpp"

namespace dynbatch {

struct WarmUp {
  LoadReport report;
  GearTable table;
  std::vector<std::vector<std::byte>> fill_row;
  std::vector<Shape> output_row_shapes;
};

/// Throws Error(model) if batching was demanded and cannot be given.
WarmUp warm_up(Executor& executor, const BatchingOptions& options, const BatchingPlan& plan);

/// Runs every gear once, then kTimedRuns times, in rounds; sets the median time of each.
Failure time_gears(TrialRun& trial, GearTable& table);

/// Runs every gear of at most `largest` rows as often again, in turns alone and not; sets its time alone
/// by the median gain, so that a machine that is getting busier or quieter does not decide.
Failure time_lone_runs(TrialRun& trial, GearTable& table, std::size_t largest);

}  // namespace dynbatch
