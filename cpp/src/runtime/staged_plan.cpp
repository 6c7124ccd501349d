#include "runtime/staged_plan.hpp"

#include <algorithm>
#include <string>

#include <dynbatch/error.hpp>

#include "base/cpus.hpp"

namespace dynbatch {
namespace {

constexpr std::size_t kDefaultQueueRows = 1024;
constexpr std::size_t kMostRows = 65536;
constexpr std::size_t kLeastArenaBytes = 4096;
// Runs whose outputs readers may keep, where one request filled the batch.
constexpr std::size_t kMostLendable = 32;
constexpr Nanoseconds kLongestLinger = 20'000;

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

bool is_counted(const TensorSpec& input) noexcept { return input.made >= Made::element_count; }

std::vector<TensorSpec> gathered_by_rows(const ModelSpec& spec) {
  std::vector<TensorSpec> inputs;
  for (const TensorSpec& input : spec.inputs) {
    if (!input.shared && !input.ragged && !is_counted(input)) inputs.push_back(input);
  }
  return inputs;
}

/// For whoever wants the largest batches whatever they cost: a run costs more than any padding, so that there
/// are as few as can be, and of those with the same number the ones that pad least.
CostTable few_runs() {
  constexpr double kRun = 1e9;
  return {{1, 2}, {1.0, 2.0}, {kRun + 1, kRun + 2, kRun + 2, kRun + 4}};
}

}  // namespace

StagedSetup plan_staging(const ModelSpec& spec, const BatchingOptions& options,
                         const BatchingPlan& plan, const ShapeWarmUp& found, RuntimeSetup& setup) {
  const bool merges = found.common.report.merges;
  setup.workers = plan.workers * options.set_size;
  setup.exclusive = !merges;
  setup.whole_requests = !merges;  // rows that are not known to be independent stay together
  const std::uint32_t cap = static_cast<std::uint32_t>(found.common.table.cap);
  setup.block_rows = merges ? cap : static_cast<std::uint32_t>(plan.largest);
  // What is counted of a request is counted of all its rows: it is not cut.
  if (std::ranges::any_of(spec.inputs, is_counted)) {
    setup.whole_requests = true;
    setup.block_rows = static_cast<std::uint32_t>(plan.largest);
  }
  const std::size_t capacity = options.queue_capacity.value_or(kDefaultQueueRows);
  if (capacity == 0 || capacity > kMostRows) {
    refuse("queue_capacity: expected 1 to " + std::to_string(kMostRows) + " rows, got " +
           std::to_string(capacity));
  }
  // Those that run, too.
  setup.blocks = static_cast<std::uint32_t>(capacity + setup.workers * setup.block_rows);
  setup.output_blocks = 2 * setup.workers + kMostLendable;
  setup.max_delay = options.max_queue_delay.count();
  setup.longest_linger = usable_cpus() > 1 ? kLongestLinger : 0;
  setup.callers_run = options.caller_runs;
  setup.output_row_shapes = found.common.output_row_shapes;

  StagedSetup staged;
  staged.runs = plan.workers;
  staged.lone = {
      .least_work = found.least_lone_work, .weighed = found.plan.weighed(), .cost = found.cost};
  staged.arena_bytes = options.queue_bytes.value_or(kDefaultQueueBytes);
  if (staged.arena_bytes < kLeastArenaBytes) {
    refuse("queue_bytes: expected at least " + std::to_string(kLeastArenaBytes) +
           " where rows differ in shape, got " + std::to_string(staged.arena_bytes));
  }
  ShapePlan shapes = found.plan;
  // Rows that mix would be answered in the company of those that fill the batch of their gear.
  if (!merges && options.batching != Batching::off) std::ranges::fill(shapes.gear_batches, 0);
  const bool own_batches =
      std::ranges::any_of(shapes.gear_batches, [](std::size_t batch) { return batch > 0; });
  std::vector<std::size_t> fill_gears;
  if (plan.filled) {
    fill_gears = plan.gears;
    std::sort(fill_gears.begin(), fill_gears.end());
  }
  if (plan.filled || own_batches) {
    for (const TensorSpec& input : spec.inputs) {
      if (input.ragged || is_counted(input)) {
        refuse(std::string(plan.filled ? "fill" : "dims") + ": input '" + input.name +
               "', which is ragged or counts rows, cannot be filled up to a gear");
      }
    }
  }
  staged.stager = {.plan = shapes,
                   .outputs = found.outputs,
                   .fill_gears = fill_gears,
                   .fill_row = found.common.fill_row,
                   .fill_sizes = {}};
  std::copy(found.fill_sizes.begin(), found.fill_sizes.end(), staged.stager.fill_sizes.begin());
  const bool by_time = options.batching == Batching::automatic && found.cost.is_measured();
  staged.former = {.plan = std::move(shapes),
                   .cost = options.batching == Batching::always ? few_runs() : found.cost,
                   .tolerance = by_time ? kWorthwhile - 1.0 : 0.0,
                   .largest_rows = merges ? cap : setup.block_rows,
                   .fill_gears = std::move(fill_gears),
                   .staging_bytes = staged.arena_bytes,
                   .inputs = gathered_by_rows(spec)};
  return staged;
}

}  // namespace dynbatch
