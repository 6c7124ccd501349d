// Dry runs at load: finds sizes that the model accepts, and runs it with several batches and sizes, from which
// the layout of its outputs follows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/batching_plan.hpp"
#include "runtime/find_layouts.hpp"
#include "runtime/shape_plan.hpp"
#include "runtime/shape_samples.hpp"
#include "runtime/shaped_trial.hpp"

namespace dynbatch {

/// What the runs at load share.
struct ShapedModel {
  const ModelSpec& spec;
  const BatchingPlan& plan;
  const ShapeSamples& samples;
  ShapedTrial& trial;
  std::size_t queue_bytes;          // requests with larger rows are refused
  std::vector<std::int64_t> sizes;  // which the model accepts: find_sizes
  std::int64_t ragged_length = 1;

  /// The rows that a batch of at least `rows` has: more where it must have the size of a gear.
  std::size_t filled_to(std::size_t rows) const noexcept;
  SampleRow sample(std::size_t index, std::span<const std::int64_t> of_sizes) const {
    return samples.at(index, of_sizes, ragged_length);
  }
  /// Gathers `rows` (completed with the first) at `at_sizes`, and runs them. Throws Error(model) if the
  /// executor breaks its contract.
  Failure run(std::vector<const SampleRow*> rows, std::span<const std::int64_t> at_sizes);
};

/// A gear with `free` in dimensions where it takes any size.
std::vector<std::int64_t> resolved(const std::vector<std::int64_t>& gear,
                                   const std::vector<std::int64_t>& free);

/// What a row takes of queue_bytes.
double queued_bytes(const ModelSpec& spec, const std::vector<std::int64_t>& sizes);

/// Whether sizes that nobody named may be tried: those with which the smallest batch has at most 64 MiB of inputs,
/// or four times what it has at sizes that are `sure` to run. Many free dimensions multiply.
bool may_be_tried(const ShapedModel& model, const std::vector<std::int64_t>& sizes,
                  const std::vector<std::int64_t>& sure);

/// Sets `sizes` and `ragged_length`: those of the examples, else of the first gear, from the middle one on, that
/// one row runs with. Dimensions without gears are the first of 32, 64, 16, 128, 224, 8, 1. What may not be tried
/// is left out, but for batches of up to 256 MiB where nothing smaller runs. A failure: none runs; it is the first
/// one seen.
Failure find_sizes(ShapedModel& model, const ShapePlan& shapes);

/// What was run, the first with the fewest rows at model.sizes. `obstacle` if a run with more rows failed.
struct DryRuns {
  std::vector<DryRun> runs;
  std::string obstacle;
  /// Per dimension: the sizes that ran while the others had model.sizes, rising.
  std::vector<std::vector<std::int64_t>> accepted;

  std::size_t largest_batch() const { return std::ranges::max(runs, {}, &DryRun::rows).rows; }
};
DryRuns run_dry(ShapedModel& model, const ShapePlan& shapes);

/// Size gears, with model.sizes in dimensions without one, from the fewest elements to the most; without those that
/// may not be tried so.
std::vector<std::vector<std::int64_t>> resolved_gears(const ShapedModel& model,
                                                      const ShapePlan& shapes);

}  // namespace dynbatch
