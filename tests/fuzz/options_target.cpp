// Options: whatever is asked for, whatever the model, and whatever times are measured, there is an
// Error(invalid_argument) that says why, or a plan within its bounds; a small plan also runs.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include <dynbatch/batcher.hpp>

#include "cpp/runtime/custom_executor.hpp"
#include "fuzz/fuzz_bytes.hpp"
#include "fuzz/fuzz_target.hpp"
#include "memory/gear_memory.hpp"
#include "runtime/batching_plan.hpp"

namespace dynbatch::testing {
namespace {

TensorSpec draw_tensor(FuzzBytes& bytes) {
  TensorSpec tensor{.name = bytes.name()};
  tensor.dtype = bytes.one_in(2) ? DataType::float32 : DataType::uint8;
  for (std::size_t rank = bytes.below(4); rank > 0; --rank) {
    tensor.row_shape.push_back(std::max<std::int64_t>(bytes.dimension(), 0));
  }
  return tensor;
}

ModelSpec draw_spec(FuzzBytes& bytes) {
  ModelSpec spec;
  spec.inputs.push_back(draw_tensor(bytes));
  if (bytes.one_in(4)) {
    spec.inputs.push_back(draw_tensor(bytes));
    spec.inputs.back().shared = true;
  }
  spec.outputs.push_back(draw_tensor(bytes));
  if (bytes.one_in(8)) spec.outputs.back().row_shape = Shape{-1};
  if (bytes.one_in(8)) spec.fixed_batch = bytes.size();
  return spec;
}

BatchingOptions draw_options(FuzzBytes& bytes) {
  BatchingOptions options;
  if (bytes.one_in(2)) options.max_batch_size = bytes.size();
  for (std::size_t count = bytes.one_in(16) ? bytes.byte() : bytes.below(4); count > 0; --count) {
    options.gears.push_back(bytes.size());
  }
  options.fill = static_cast<Fill>(bytes.below(3));
  options.batching = static_cast<Batching>(bytes.below(3));
  if (bytes.one_in(4)) {
    options.max_queue_delay = std::chrono::nanoseconds(static_cast<std::int64_t>(bytes.word()));
  }
  if (!bytes.one_in(4)) options.workers = bytes.size();
  if (bytes.one_in(2)) options.queue_capacity = bytes.size();
  if (bytes.one_in(4)) options.queue_bytes = bytes.size();
  options.caller_runs = bytes.one_in(2);
  options.verify = bytes.one_in(4);
  if (bytes.one_in(8)) options.row_tolerance = bytes.real();
  return options;
}

void expect_in_bounds(const ModelSpec& spec, const BatchingOptions& options,
                      const BatchingPlan& plan) {
  expect(!plan.gears.empty() && plan.gears.size() <= kMaxGears, "1 to 100 gears");
  expect(std::set(plan.gears.begin(), plan.gears.end()).size() == plan.gears.size(),
         "each gear once");
  expect(*std::ranges::min_element(plan.gears) >= 1, "gears of at least one row");
  expect(plan.largest == *std::ranges::max_element(plan.gears) && plan.largest <= 16383,
         "the largest gear");
  expect(options.max_batch_size.value_or(plan.largest) == plan.largest, "max_batch_size");
  expect(plan.workers >= 1 && plan.workers <= 1024, "1 to 1024 workers");
  expect(options.workers.value_or(plan.workers) == plan.workers, "the workers asked for");
  expect(spec.fixed_batch == 0 || (plan.filled && plan.largest == spec.fixed_batch),
         "a fixed batch as the only gear");
}

void expect_memory_in_bounds(const ModelSpec& spec, const BatchingOptions& options,
                             const BatchingPlan& plan, const RuntimeSetup& setup) {
  expect(setup.block_rows >= 1 && setup.block_rows <= plan.largest, "blocks of up to the largest");
  expect(setup.blocks >= plan.workers + 1 && setup.blocks <= 4096,
         "a block to wait in, up to 4096");
  expect(setup.output_blocks >= plan.workers + 1, "output blocks for all workers");
  const std::size_t block = BlockLayout(spec.inputs, memory_rows(setup)).block_bytes;
  std::size_t bytes = 0;
  expect(!__builtin_mul_overflow(block, std::size_t{setup.blocks}, &bytes), "a size of all blocks");
  if (options.queue_bytes) expect(bytes <= *options.queue_bytes, "queue_bytes to hold");
  if (options.queue_capacity) {
    const std::size_t rows = setup.exclusive ? 1 : setup.block_rows;
    expect((setup.blocks - plan.workers) * rows >= *options.queue_capacity, "queue_capacity rows");
  }
}

/// Whether the plan is small enough to be carried out for every input.
bool is_small(const ModelSpec& spec, const BatchingPlan& plan) {
  std::size_t bytes = 0;
  for (const auto* tensors : {&spec.inputs, &spec.outputs}) {
    for (const TensorSpec& tensor : *tensors) {
      std::size_t elements = 4;
      for (const std::int64_t dim : tensor.row_shape.dims()) {
        if (__builtin_mul_overflow(elements, static_cast<std::size_t>(dim), &elements))
          return false;
      }
      if (elements > 4096) return false;
      bytes += elements;
    }
  }
  return plan.workers <= 3 && plan.largest <= 64 && bytes * plan.largest <= 1 << 16;
}

void run_one_request(const ModelSpec& spec, const BatchingOptions& options) {
  const auto leave = [](const Batch&, RunOutputs&) { return Failure{}; };
  const auto batcher = made_or_refused(
      [&] { return std::make_unique<Batcher>(make_executor(leave, spec), options); },
      ErrorCode::invalid_argument, ErrorCode::model);
  if (!batcher) return;
  std::vector<std::vector<std::byte>> memory;
  std::vector<InputView> views;
  for (const TensorSpec& input : spec.inputs) {
    InputView view{.dtype = input.dtype};
    if (!input.shared) view.shape.push_back(1);
    for (const std::int64_t dim : input.row_shape.dims()) view.shape.push_back(dim);
    view.data = memory.emplace_back(input.row_bytes() + 1).data();
    views.push_back(view);
  }
  const auto delay = (*batcher)->max_queue_delay();
  (*batcher)->set_max_queue_delay(std::chrono::nanoseconds(0));
  const Ticket ticket = (*batcher)->infer(views);
  expect(ticket.accepted() && ticket.code() == ErrorCode::none,
         "an answer, not: " + ticket.failure().message);
  expect(delay == options.max_queue_delay, "the delay that was asked for");
}

}  // namespace
}  // namespace dynbatch::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dynbatch;
  using namespace dynbatch::testing;
  FuzzBytes bytes(data, size);
  const ModelSpec spec = draw_spec(bytes);
  const BatchingOptions options = draw_options(bytes);
  const auto plan = made_or_refused([&] { return plan_batching(spec, options); },
                                    ErrorCode::invalid_argument, ErrorCode::model);
  if (!plan) return 0;
  expect_in_bounds(spec, options, *plan);
  GearTable table;
  for (const std::size_t gear : plan->gears) {
    table.gears.push_back({.batch_size = gear, .seconds = 1e-6 * bytes.byte()});
  }
  const bool merges = options.batching != Batching::off && bytes.one_in(2);
  table.cap = merges ? measured_cap(table) : 1;
  expect(std::ranges::count(plan->gears, table.cap) == 1 || !merges, "a gear as the cap");
  const auto setup =
      made_or_refused([&] { return plan_memory(spec, options, *plan, table, merges); },
                      ErrorCode::invalid_argument, ErrorCode::model);
  if (setup) expect_memory_in_bounds(spec, options, *plan, *setup);
  if (is_small(spec, *plan)) run_one_request(spec, options);
  return 0;
}
