// What stands behind a GearModel and runs one gear: batches of an executor (ExecutorGears), or whole tensors on
// ONNX Runtime (SessionGears). Everything but execute() may be called by any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <dynbatch/compiled_model.hpp>
#include <dynbatch/executor.hpp>
#include <dynbatch/gear.hpp>

#include "executor/ort_whole_session.hpp"

namespace dynbatch {

/// A tensor of that shape with its bytes. Throws Error(model), naming it, if they cannot be counted or it has more
/// than Shape::kMaxRank dimensions.
WholeTensor whole_tensor(const std::string& name, DataType dtype, std::vector<std::int64_t> shape);

/// The inputs of a gear, in the order of the session's. Throws as whole_tensor does.
std::vector<WholeTensor> input_tensors(const OrtWholeSession& session, const CompiledModel& model,
                                       std::size_t gear);

class GearRunner {
 public:
  GearRunner() = default;
  GearRunner(const GearRunner&) = delete;
  GearRunner& operator=(const GearRunner&) = delete;
  virtual ~GearRunner();

  virtual const ModelSpec& spec() const noexcept = 0;
  /// Null if what runs is not ONNX Runtime.
  virtual const OnnxModelDescription* description() const noexcept = 0;
  virtual MemoryPlan memory_plan() const = 0;
  /// As GearModel::execute, for one thread at a time.
  virtual std::vector<OutputView> execute(std::size_t gear, std::span<const InputView> inputs) = 0;

  /// As GearModel::run.
  Failure run(std::size_t gear, std::span<const void* const> inputs,
              std::span<void* const> outputs) const noexcept;
  const CompiledModel& compiled() const noexcept { return compiled_; }
  const GearTable& table() const noexcept { return table_; }
  const std::vector<GearTensors>& tensors() const noexcept { return tensors_; }

 protected:
  /// Runs on memory that has been checked to be there.
  virtual Failure run_checked(std::size_t gear, std::span<const void* const> inputs,
                              std::span<void* const> outputs) const noexcept = 0;
  /// What is common to the plans: bytes of each gear.
  MemoryPlan plan_of_gears() const;

  CompiledModel compiled_;
  GearTable table_;
  std::vector<GearTensors> tensors_;  // of each gear; inputs in the order of spec()
};

}  // namespace dynbatch
