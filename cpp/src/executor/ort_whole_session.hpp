// An ONNX model on ONNX Runtime as it is: inputs and outputs are whole tensors, and no batch is looked for in
// them. Any number of threads may run it at once, each on memory of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <dynbatch/error.hpp>
#include <dynbatch/onnxruntime_executor.hpp>

#include "executor/ort_handles.hpp"
#include "executor/ort_library.hpp"
#include "executor/ort_session.hpp"

namespace dynbatch {

/// A tensor whose dimensions are all known.
struct WholeTensor {
  DataType dtype = DataType::float32;
  std::vector<std::int64_t> shape;
  std::size_t size_bytes = 0;
};

/// What one gear runs with.
struct GearTensors {
  std::vector<WholeTensor> inputs;   // in the model's own order
  std::vector<WholeTensor> outputs;  // in the order in which they are wanted
};

class OrtWholeSession {
 public:
  /// Of `options` what a session needs: threads, session entries, bound dimensions and the wanted outputs.
  /// Throws Error(model), and Error(invalid_argument) where options do not fit the model.
  OrtWholeSession(const OnnxModelSource& model, const OnnxRuntimeOptions& options);

  const OnnxModelDescription& description() const noexcept { return description_; }
  /// As they are declared, with what is bound; -1 where a dimension is free.
  const std::vector<OnnxTensorDeclaration>& inputs() const noexcept { return inputs_; }
  const std::vector<OnnxTensorDeclaration>& outputs() const noexcept { return outputs_; }

  /// Reads the inputs where they lie and writes the outputs to their places, without a copy: one for each
  /// tensor of `gear`, null only where it has no bytes. Allocates nothing after a thread's first run, apart
  /// from ONNX Runtime.
  Failure run(const GearTensors& gear, std::span<const void* const> inputs,
              std::span<void* const> outputs) const noexcept;
  /// Runs for the shapes that the outputs get; gear.outputs is not read.
  Failure run_for_shapes(const GearTensors& gear, std::span<const void* const> inputs,
                         std::vector<std::vector<std::int64_t>>& shapes) const;

 private:
  class Values;

  void open(const OnnxModelSource& model, const OnnxRuntimeOptions& options);
  void find_passed_through();
  Failure make_inputs(Values& values, const GearTensors& gear,
                      std::span<const void* const> inputs) const;
  Failure make_outputs(Values& values, const GearTensors& gear,
                       std::span<void* const> outputs) const;
  Failure run(Values& values) const;
  Failure failure_of(ort::Status* status) const;
  Failure read_shapes(const Values& values, std::vector<std::vector<std::int64_t>>& shapes) const;

  const OrtLibrary& library_;
  OnnxModelDescription description_;
  std::vector<OnnxTensorDeclaration> inputs_;
  std::vector<OnnxTensorDeclaration> outputs_;
  std::vector<const char*> input_names_;   // into inputs_
  std::vector<const char*> output_names_;  // into outputs_
  /// Outputs, each with the input that the graph hands out again under the same name: ONNX Runtime leaves
  /// their memory as it is.
  struct PassedThrough {
    std::size_t output = 0;
    std::size_t input = 0;
  };
  std::vector<PassedThrough> passed_through_;
  ort::Handle<ort::Session> session_;
};

}  // namespace dynbatch
