// Gears of any kind, of an ONNX model that runs on ONNX Runtime as it is.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <dynbatch/gear_model.hpp>

#include "base/pages.hpp"
#include "runtime/gear_runner.hpp"

namespace dynbatch {

class SessionGears final : public GearRunner {
 public:
  /// Without `told` gears, those that the model brings. Throws as the constructors of GearModel do.
  SessionGears(const OnnxModelSource& model, std::optional<CompiledModel> told,
               const OnnxRuntimeOptions& options);

  const ModelSpec& spec() const noexcept override { return spec_; }
  const OnnxModelDescription* description() const noexcept override {
    return &session_.description();
  }
  MemoryPlan memory_plan() const override;
  std::vector<OutputView> execute(std::size_t gear, std::span<const InputView> inputs) override;

 private:
  Failure run_checked(std::size_t gear, std::span<const void* const> inputs,
                      std::span<void* const> outputs) const noexcept override {
    return session_.run(tensors_[gear], inputs, outputs);
  }
  void set_input_tensors();
  void set_output_tensors();
  void set_spec();
  void set_table();
  void lay_out_outputs();
  void check_inputs(std::size_t gear, std::span<const InputView> inputs) const;
  void check_input(std::size_t gear, std::size_t index, const InputView& input) const;
  std::string of_gear(std::size_t gear) const;

  OrtWholeSession session_;
  ModelSpec spec_;
  std::vector<std::size_t> output_offsets_;  // in output_memory_, with room for each gear
  Pages output_memory_;                      // of execute()
};

}  // namespace dynbatch
