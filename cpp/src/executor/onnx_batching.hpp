// How the inputs and outputs that an ONNX model declares become rows: where the batch is, which inputs
// are shared, ragged or made, and what every free dimension is. Pure functions; no ONNX Runtime.
//
// Dimensions are bound first; then a model is read as if it had been exported with those values.
//   onnx_dimensions.hpp    what free dimensions are bound to, and which are left
//   onnx_batch_axis.hpp    which axis of an input is the batch
//   onnx_made_inputs.hpp   inputs that the runtime makes
//   onnx_declarations.hpp  what the model's own metadata declares
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

namespace dynbatch {

struct BoundInputs {
  std::vector<TensorSpec> specs;
  std::vector<FreeDimension> dimensions;
  std::size_t fixed_batch = 0;        // 0: batches of any size
  std::set<std::string> batch_names;  // dimensions called so are the batch
  /// The bindings that can be told to ONNX Runtime, which knows dimensions by name alone: wherever
  /// the name stands, it has this value.
  std::vector<std::pair<std::string, std::int64_t>> overrides;
};

/// Throws Error(invalid_argument) where the options do not fit the inputs, and Error(model), with
/// the way out, where the inputs cannot be batched.
BoundInputs bind_inputs(const std::vector<OnnxTensorDeclaration>& inputs,
                        const OnnxRuntimeOptions& options);

/// Those outputs that the options want, in their order. Throws Error(invalid_argument).
std::vector<OnnxTensorDeclaration> wanted_outputs(const std::vector<OnnxTensorDeclaration>& outputs,
                                                  const OnnxRuntimeOptions& options);

/// The wanted ones of `outputs`, as a session tells them to which the overrides were told. What no
/// declaration says about rows, only runs can show. Throws as bind_inputs does.
std::vector<TensorSpec> output_specs(const std::vector<OnnxTensorDeclaration>& outputs,
                                     const BoundInputs& inputs, const OnnxRuntimeOptions& options);

}  // namespace dynbatch
