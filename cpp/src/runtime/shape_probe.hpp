// The probes of a model whose rows differ in shape: rows alone against the same rows in company, and rows at
// their own sizes against the same rows padded.
#pragma once

#include <span>

#include "runtime/dry_runs.hpp"
#include "runtime/find_layouts.hpp"
#include "runtime/row_probe.hpp"
#include "runtime/shape_plan.hpp"

namespace dynbatch {

/// Rows of equal sizes. At most 5 runs of at most 3 rows (or the smallest gear above, where batches are
/// filled); stops after 2 s.
ProbeResult probe_shaped_rows(ShapedModel& model, std::span<const OutputLayout> layouts);

/// Rows of different sizes, of those that the dry runs found, padded as requests will be: in company if
/// `merges`, else each by itself. At most 6 runs; stops after 2 s.
ProbeResult probe_padding(ShapedModel& model, std::span<const OutputLayout> layouts,
                          const ShapePlan& shapes, const DryRuns& dry, bool merges);

}  // namespace dynbatch
