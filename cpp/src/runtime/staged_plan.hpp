// From what load has found to the setup of a runtime that stages its batches.
#pragma once

#include <dynbatch/options.hpp>

#include "runtime/batching_plan.hpp"
#include "runtime/runtime.hpp"
#include "runtime/shape_warm_up.hpp"

namespace dynbatch {

/// Takes what it needs out of `found`. Throws Error(invalid_argument).
StagedSetup plan_staging(const ModelSpec& spec, const BatchingOptions& options,
                         const BatchingPlan& plan, const ShapeWarmUp& found, RuntimeSetup& setup);

}  // namespace dynbatch
