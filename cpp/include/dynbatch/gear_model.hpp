// GearModel: the gear calls themselves, without batching: choose a gear, then execute it.
//
// For programs that form their own batches. Not thread-safe: one thread at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include <dynbatch/executor.hpp>
#include <dynbatch/export.hpp>
#include <dynbatch/gear.hpp>
#include <dynbatch/tensor.hpp>

namespace dynbatch {

class DYNBATCH_EXPORT GearModel {
 public:
  /// Prepares and runs every gear once. `gears` in the user's order: 1 to 100 positive sizes, no
  /// duplicates. Throws Error(model) or Error(invalid_argument).
  GearModel(std::unique_ptr<Executor> executor, const std::vector<std::size_t>& gears);
  GearModel(const GearModel&) = delete;
  GearModel& operator=(const GearModel&) = delete;
  ~GearModel();

  /// Chooses the gear of the next execute(). Throws Error(invalid_argument) naming the gears if
  /// `batch_size` is none of them. The largest is chosen at first.
  void set_dynamic_batch_size(std::size_t batch_size);
  std::size_t dynamic_batch_size() const noexcept;
  /// Runs inputs with exactly the chosen gear's rows. The views are valid until the next call.
  /// Throws Error(invalid_input) or Error(execution).
  std::vector<OutputView> execute(std::span<const InputView> inputs);

  const ModelSpec& spec() const noexcept;
  const GearTable& gears() const noexcept;
  MemoryPlan memory_plan() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace dynbatch
