#include "runtime/batching_plan.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include <dynbatch/error.hpp>

#include "base/cpus.hpp"

namespace dynbatch {
namespace {

constexpr std::size_t kMaxRows = RequestQueue<StdPlatform, Part<StdPlatform>>::kMaxRows;
constexpr std::size_t kDefaultMaxBatchSize = 32;
constexpr std::size_t kDefaultQueueRows = 1024;
constexpr std::size_t kMaxBlocks = 4096;
// Output blocks that readers may keep before results are copied out for them.
constexpr std::size_t kMostLendable = 32;
constexpr std::size_t kLendableBytes = std::size_t{64} << 20;
constexpr Nanoseconds kLongestLinger = 20'000;
constexpr std::size_t kMaxWorkers = 1024;
constexpr std::size_t kMostSets = 8;
// Blocks that are used in rotation while they suffice: about what a core's own cache holds, and one that
// is written, one that waits and one that nobody has just read beside those that run.
constexpr std::size_t kRotatingBytes = std::size_t{1} << 20;
constexpr std::size_t kFewestRotating = 3;
// Far more than any memory, so that the bytes of several times kMaxBlocks blocks can be counted.
constexpr std::size_t kMostBlockBytes =
    std::numeric_limits<std::size_t>::max() / (4 * (kMaxBlocks + kMaxWorkers));

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

std::string list(const std::vector<std::size_t>& values) {
  std::string text = "[";
  for (const std::size_t value : values)
    text += (text.size() > 1 ? ", " : "") + std::to_string(value);
  return text + "]";
}

void check_batch_size(const char* name, std::size_t value) {
  if (value == 0 || value > kMaxRows) {
    refuse(std::string(name) + ": expected 1 to " + std::to_string(kMaxRows) + ", got " +
           std::to_string(value));
  }
}

std::string fixed_batch(const ModelSpec& spec) {
  return "the batch is fixed to " + std::to_string(spec.fixed_batch) +
         " (by the model, or by dimensions that bind it)";
}

std::vector<std::size_t> powers_of_two_up_to(std::size_t largest) {
  std::vector<std::size_t> gears;
  for (std::size_t gear = 1; gear < largest; gear *= 2) gears.push_back(gear);
  gears.push_back(largest);
  return gears;
}

}  // namespace

void check_gears(const std::vector<std::size_t>& gears) {
  if (gears.empty() || gears.size() > kMaxGears) {
    refuse("gears: expected 1 to " + std::to_string(kMaxGears) + " sizes, got " +
           std::to_string(gears.size()));
  }
  for (const std::size_t gear : gears) check_batch_size("gears", gear);
  std::vector<std::size_t> sorted = gears;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end())
    refuse("gears: " + std::to_string(*twice) + " is given twice in " + list(gears));
}

void check_shapes(const ModelSpec& spec) {
  const auto check = [](const std::vector<TensorSpec>& tensors, const char* what) {
    for (const TensorSpec& tensor : tensors) {
      const auto dims = tensor.row_shape.dims();
      if (!tensor.has_known_shape() || std::ranges::find(dims, 0) != dims.end()) continue;
      std::size_t bytes = size_of(tensor.dtype);
      for (const std::int64_t dim : dims) {
        if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(dim), &bytes)) {
          throw Error(ErrorCode::model, std::string(what) + " '" + tensor.name +
                                            "': expected a row whose bytes can be counted, got " +
                                            name_of(tensor.dtype) + to_string(tensor.row_shape));
        }
      }
    }
  };
  check(spec.inputs, "input");
  check(spec.outputs, "output");
}

void check_delay(std::chrono::nanoseconds delay) {
  if (delay.count() < 0 || delay > std::chrono::seconds(10)) {
    refuse("max_queue_delay: expected 0 to 10 seconds, got " +
           std::to_string(std::chrono::duration<double>(delay).count()) +
           (delay.count() > 0 ? "; it is in seconds: 0.005 is 5 ms" : ""));
  }
}

BatchingPlan plan_batching(const ModelSpec& spec, const BatchingOptions& options) {
  BatchingPlan plan;
  check_shapes(spec);
  if (options.max_batch_size) check_batch_size("max_batch_size", *options.max_batch_size);
  if (!options.gears.empty()) check_gears(options.gears);
  check_delay(options.max_queue_delay);
  plan.workers = options.workers.value_or(usable_cpus());
  if (plan.workers == 0 || plan.workers > kMaxWorkers) {
    refuse("workers: expected 1 to " + std::to_string(kMaxWorkers) + ", got " +
           std::to_string(plan.workers));
  }
  if (options.set_size == 0 || options.set_size > kMostSets)
    refuse("set_size: expected 1 to " + std::to_string(kMostSets) + ", got " +
           std::to_string(options.set_size));
  if (options.row_tolerance && !(*options.row_tolerance >= 0.0)) {
    refuse("row_tolerance: expected a number of at least 0, got " +
           std::to_string(*options.row_tolerance));
  }
  if (spec.fixed_batch > 0) {
    const std::vector<std::size_t> only{spec.fixed_batch};
    if (!options.gears.empty() && options.gears != only) {
      refuse("gears: " + fixed_batch(spec) + ", so expected " + list(only) + ", got " +
             list(options.gears));
    }
    if (options.max_batch_size && *options.max_batch_size != spec.fixed_batch) {
      refuse("max_batch_size: " + fixed_batch(spec) + ", got " +
             std::to_string(*options.max_batch_size));
    }
    if (options.fill == Fill::no) {
      refuse("fill: expected true or automatic, since " + fixed_batch(spec) + "; got false");
    }
    check_batch_size("fixed batch", spec.fixed_batch);
    plan.gears = only;
    plan.filled = true;
  } else {
    plan.gears = options.gears.empty()
                     ? powers_of_two_up_to(options.max_batch_size.value_or(kDefaultMaxBatchSize))
                     : options.gears;
    plan.filled = options.fill == Fill::yes;
  }
  plan.largest = *std::max_element(plan.gears.begin(), plan.gears.end());
  if (options.max_batch_size && *options.max_batch_size != plan.largest) {
    refuse("max_batch_size: expected the largest gear, " + std::to_string(plan.largest) + " of " +
           list(plan.gears) + "; got " + std::to_string(*options.max_batch_size));
  }
  return plan;
}

std::size_t measured_cap(const GearTable& table) noexcept {
  const auto per_row = [](const Gear& gear) {
    return gear.seconds / static_cast<double>(gear.batch_size);
  };
  double best = 0.0;
  for (const Gear& gear : table.gears) {
    if (best == 0.0 || per_row(gear) < best) best = per_row(gear);
  }
  std::size_t cap = table.largest();
  for (const Gear& gear : table.gears) {
    if (per_row(gear) <= kWorthwhile * best) cap = std::min(cap, gear.batch_size);
  }
  return cap;
}

std::size_t bytes_of(const std::vector<TensorSpec>& tensors, std::size_t rows) noexcept {
  std::size_t bytes = 0;
  for (const TensorSpec& tensor : tensors) {
    if (!tensor.shared && tensor.has_known_shape()) bytes += tensor.row_bytes() * rows;
  }
  return bytes;
}

RuntimeSetup plan_memory(const ModelSpec& spec, const BatchingOptions& options,
                         const BatchingPlan& plan, const GearTable& table, bool merges) {
  RuntimeSetup setup;
  setup.workers = plan.workers;
  setup.exclusive = !merges;
  setup.whole_requests = !merges;  // rows that are not known to be independent stay together
  setup.block_rows = static_cast<std::uint32_t>(merges ? table.cap : plan.largest);
  if (plan.filled) {
    setup.fill_gears = plan.gears;
    std::sort(setup.fill_gears.begin(), setup.fill_gears.end());
  }
  const std::size_t memory = memory_rows(setup);
  // Each block may hold another batch key, so shared inputs count once a block.
  const auto bytes_of_block = [&](std::size_t block_rows) {
    std::size_t bytes = BlockLayout(spec.inputs, block_rows).block_bytes;
    for (const TensorSpec& input : spec.inputs) {
      if (input.shared && bytes <= kMostBlockBytes) bytes += input.row_bytes();
    }
    if (bytes > kMostBlockBytes) {
      throw Error(ErrorCode::model,
                  "a batch of " + std::to_string(block_rows) + " rows has " +
                      std::to_string(bytes) +
                      " bytes, which no memory holds; use a smaller max_batch_size");
    }
    return std::max<std::size_t>(1, bytes);
  };
  const std::size_t input_block = bytes_of_block(memory);
  // Limits are held against the largest gear, since the measured cap differs from load to load.
  const std::size_t largest_block = bytes_of_block(std::max(memory, plan.largest));
  // A request that is not merged takes a block, however few rows it has.
  const std::size_t rows = setup.exclusive ? 1 : setup.block_rows;
  // The batches that run hold `workers` blocks; the rest is the queue.
  const std::size_t least = plan.workers + 1;
  std::size_t blocks = least;
  if (options.queue_capacity) {
    if (*options.queue_capacity == 0) refuse("queue_capacity: expected at least 1 row, got 0");
    const std::size_t waiting = (*options.queue_capacity - 1) / rows + 1;  // rounded up
    // Far above the limit, which is checked below, so that nothing wraps around.
    blocks = std::max(least, std::min(waiting, 2 * kMaxBlocks) + plan.workers);
    const std::size_t bytes =
        options.queue_bytes.value_or(std::max(kDefaultQueueBytes, least * input_block));
    if (blocks <= kMaxBlocks && blocks * input_block > bytes) {
      refuse("queue_capacity=" + std::to_string(*options.queue_capacity) + " rows and " +
             std::to_string(plan.workers) + " batches that run need " +
             std::to_string(blocks * input_block) + " bytes, above queue_bytes=" +
             std::to_string(bytes) + "; raise queue_bytes or lower " + "queue_capacity");
    }
  } else {
    const std::size_t bytes = options.queue_bytes.value_or(kDefaultQueueBytes);
    if (options.queue_bytes && least * largest_block > bytes) {
      refuse("queue_bytes=" + std::to_string(bytes) +
             " is too little for batches of max_batch_size=" + std::to_string(plan.largest) +
             " rows: expected at least " + std::to_string(least * largest_block) +
             " bytes for the " + std::to_string(plan.workers) + " that run and one that waits");
    }
    blocks =
        std::max(least, std::min(bytes / input_block, kDefaultQueueRows / rows + plan.workers));
  }
  if (blocks > kMaxBlocks) {
    if (options.queue_capacity) {
      refuse("queue_capacity: expected at most " +
             std::to_string((kMaxBlocks - plan.workers) * rows) + " rows in batches of " +
             std::to_string(rows) + ", got " + std::to_string(*options.queue_capacity));
    }
    blocks = kMaxBlocks;
  }
  setup.blocks = static_cast<std::uint32_t>(blocks);
  setup.rotating_blocks = static_cast<std::uint32_t>(
      std::max(plan.workers + kFewestRotating, kRotatingBytes / input_block));
  const std::size_t output_block =
      std::max<std::size_t>(1, BlockLayout(spec.outputs, memory).block_bytes);
  setup.output_blocks =
      plan.workers + std::clamp<std::size_t>(kLendableBytes / output_block, plan.workers,
                                             kMostLendable + plan.workers);
  setup.max_delay = options.max_queue_delay.count();
  setup.longest_linger = usable_cpus() > 1 ? kLongestLinger : 0;
  setup.callers_run = options.caller_runs;
  return setup;
}

}  // namespace dynbatch
