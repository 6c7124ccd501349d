// TrialRun: runs an executor on memory of its own, before there is a batcher: for warm-up, the probe of
// row independence, and gear calls. One thread at a time.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <dynbatch/error.hpp>
#include <dynbatch/executor.hpp>

#include "base/platform.hpp"
#include "memory/gear_memory.hpp"
#include "memory/output_block.hpp"

namespace dynbatch {

/// An output has not a row for each of the batch, on its first axis.
class OutputAxisError : public Error {
 public:
  explicit OutputAxisError(const std::string& message) : Error(ErrorCode::model, message) {}
};

class TrialRun {
 public:
  /// Memory for batches of up to `rows` rows. Shared inputs get memory of their own.
  TrialRun(Executor& executor, std::size_t rows);
  ~TrialRun();
  TrialRun(const TrialRun&) = delete;
  TrialRun& operator=(const TrialRun&) = delete;

  /// Row `row` of a batched input, or the whole of a shared one.
  std::byte* input_row(std::size_t input, std::size_t row) noexcept;
  /// Runs the first `rows` rows; `elapsed` (if not null) gets the time in nanoseconds. A failure has
  /// ErrorCode::model if an output does not have one row for each of the batch.
  Failure run(std::size_t rows, Nanoseconds* elapsed = nullptr, bool alone = false) noexcept;
  /// After a run that succeeded: output `index`, valid until the next run.
  OutputView output(std::size_t index, std::size_t rows) const noexcept;

  /// What Executor::prepare() gets for this memory; run() uses its slots from then on.
  PreparedMemory prepared(std::vector<std::size_t> batch_sizes);
  const GearMemory& inputs() const noexcept { return inputs_; }
  const GearMemory& outputs() const noexcept { return outputs_; }

 private:
  Executor& executor_;
  GearMemory inputs_;
  GearMemory outputs_;
  std::vector<std::vector<std::byte>> shared_;  // per input; empty for batched ones
  OutputBlock<StdPlatform> block_;
  bool has_slots_ = false;
};

}  // namespace dynbatch
