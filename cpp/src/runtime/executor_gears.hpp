// Gears of an executor whose rows are alike: each is a batch size.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include <dynbatch/executor.hpp>

#include "runtime/gear_runner.hpp"
#include "runtime/trial_run.hpp"

namespace dynbatch {

class ExecutorGears final : public GearRunner {
 public:
  /// Throws as the constructor of GearModel does.
  ExecutorGears(std::unique_ptr<Executor> executor, const std::vector<std::size_t>& gears);

  const ModelSpec& spec() const noexcept override { return executor_->spec(); }
  const OnnxModelDescription* description() const noexcept override;
  MemoryPlan memory_plan() const override;
  std::vector<OutputView> execute(std::size_t gear, std::span<const InputView> inputs) override;

 private:
  /// What a run needs beside the stack; a thread keeps it, so that later runs allocate nothing.
  struct Addresses {
    std::vector<const std::byte*> inputs;
    std::vector<std::byte*> outputs;
  };

  Failure run_checked(std::size_t gear, std::span<const void* const> inputs,
                      std::span<void* const> outputs) const noexcept override;
  Failure set_addresses(Addresses& addresses, std::size_t gear, std::span<const void* const> inputs,
                        std::span<void* const> outputs) const;
  void warm_up(const std::vector<std::size_t>& gears);
  void describe(bool has_run);
  void describe_tensors(const CompiledGear& gear);
  std::vector<std::int64_t> output_shape(std::size_t index, std::size_t rows, bool has_run) const;

  std::unique_ptr<Executor> executor_;
  TrialRun trial_;
};

}  // namespace dynbatch
