// From options to numbers: checks what the user asked for and settles sizes, before and after warm-up.
#pragma once

#include <cstddef>
#include <vector>

#include <dynbatch/gear.hpp>
#include <dynbatch/options.hpp>
#include <dynbatch/tensor.hpp>

#include "runtime/runtime.hpp"

namespace dynbatch {

inline constexpr std::size_t kMaxGears = 100;
/// Where rows wait, unless BatchingOptions::queue_bytes says otherwise.
inline constexpr std::size_t kDefaultQueueBytes = std::size_t{64} << 20;
/// Times that differ by less do not justify larger batches.
inline constexpr double kWorthwhile = 1.03;

/// What can be settled without running the model.
struct BatchingPlan {
  std::vector<std::size_t> gears;  // in the user's order
  std::size_t largest = 0;
  bool filled = false;
  std::size_t workers = 1;
};

/// Throws Error(invalid_argument), naming the option, what was expected and what came; and as
/// check_shapes does.
BatchingPlan plan_batching(const ModelSpec& spec, const BatchingOptions& options);

/// Checks that gears are 1 to kMaxGears sizes within range, without duplicates.
void check_gears(const std::vector<std::size_t>& gears);
/// Throws Error(model) where a row has more bytes than can be counted.
void check_shapes(const ModelSpec& spec);
/// Throws unless 0 <= delay <= 10 s.
void check_delay(std::chrono::nanoseconds delay);

/// The smallest gear whose time per row is within 3 % of the best one.
std::size_t measured_cap(const GearTable& table) noexcept;

/// Sizes of the memory for batches of up to `table.cap` rows. Throws as plan_batching does, and
/// Error(model) where a batch has more bytes than can be counted.
RuntimeSetup plan_memory(const ModelSpec& spec, const BatchingOptions& options,
                         const BatchingPlan& plan, const GearTable& table, bool merges);

/// Bytes that one batch of `rows` rows touches, of inputs or of outputs.
std::size_t bytes_of(const std::vector<TensorSpec>& tensors, std::size_t rows) noexcept;

}  // namespace dynbatch
