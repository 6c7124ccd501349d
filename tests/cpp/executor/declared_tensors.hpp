// Inputs and outputs as models declare them, and the refusals that the rules answer them with.
#pragma once

#include <string>
#include <vector>

#include "cpp/executor/onnx_graph.hpp"
#include "cpp/executor/test_surroundings.hpp"
#include "executor/onnx_batching.hpp"

namespace dynbatch::testing {

inline OnnxTensorDeclaration declare(const std::string& name, const std::vector<Dim>& dims,
                                     DataType dtype = DataType::float32) {
  OnnxTensorDeclaration declaration;
  declaration.name = name;
  declaration.dtype = dtype;
  for (const Dim& dim : dims) {
    declaration.shape.push_back(dim.value);
    declaration.dimension_names.push_back(dim.name);
  }
  return declaration;
}

/// The message with which inputs are refused; "" if they are not.
inline std::string refusal(const std::vector<OnnxTensorDeclaration>& inputs,
                           const OnnxRuntimeOptions& options = {},
                           ErrorCode code = ErrorCode::model) {
  return message_of([&] { bind_inputs(inputs, options); }, code);
}

/// The message with which options are refused that do not fit the inputs.
inline std::string misfit(const std::vector<OnnxTensorDeclaration>& inputs,
                          const OnnxRuntimeOptions& options) {
  return refusal(inputs, options, ErrorCode::invalid_argument);
}

}  // namespace dynbatch::testing
