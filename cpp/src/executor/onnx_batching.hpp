// How the inputs and outputs that an ONNX model declares become rows: which inputs are batched,
// which are shared, and what every free dimension is bound to. Pure functions; no ONNX Runtime.
//
// Dimensions are bound first; then a model is read as if it had been exported with those values:
//   a dynamic leading dimension      the input is batched
//   the batch's name on another axis  likewise, there; or the only free axis, if it has no name
//   a scalar, or a static one        the input is shared, unless declared otherwise
//   no dynamic one, all the same B   the model has a fixed batch of B, and all inputs are batched
// Other dimensions of batched inputs that stay free differ between requests (ModelSpec::dimensions).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

namespace dynbatch {

struct BoundInputs {
  std::vector<TensorSpec> specs;
  std::size_t fixed_batch = 0;  // 0: batches of any size
  /// The bindings that can be told to ONNX Runtime, which knows dimensions by name alone: wherever
  /// the name stands, it has this value.
  std::vector<std::pair<std::string, std::int64_t>> overrides;
  std::vector<FreeDimension> dimensions;
  std::vector<std::string> batch_names;  // of the batch axis, where it has one
};

/// Throws Error(invalid_argument) where the options do not fit the inputs, and Error(model), with
/// the way out, where the inputs cannot be batched.
BoundInputs bind_inputs(const std::vector<OnnxTensorDeclaration>& inputs,
                        const OnnxRuntimeOptions& options);

/// Those outputs that the options want, in their order. Throws Error(invalid_argument).
std::vector<OnnxTensorDeclaration> wanted_outputs(const std::vector<OnnxTensorDeclaration>& outputs,
                                                  const OnnxRuntimeOptions& options);

/// `outputs` as a session tells them to which the overrides were told. Only a run shows whether an output has
/// the batch where it is said to be. Throws Error(model), and Error(invalid_argument) where the options do not
/// fit the outputs.
ModelSpec make_model_spec(BoundInputs inputs, const std::vector<OnnxTensorDeclaration>& outputs,
                          const OnnxRuntimeOptions& options);

}  // namespace dynbatch
