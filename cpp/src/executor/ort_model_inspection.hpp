// What a loaded session tells about its model: declared inputs and outputs, and metadata.
#pragma once

#include <string>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

#include "executor/ort_abi.hpp"

namespace dynbatch {

/// The inputs that a caller must give, in the model's order; those that have an initialiser as
/// their default are not among them. Throws Error(model) for types that no batch can hold.
std::vector<OnnxTensorDeclaration> read_inputs(const ort::Api& api, const ort::Session* session);

/// The outputs. One of a type that no batch can hold is left out if others are wanted; otherwise
/// (`wanted` is empty, or names it) this throws Error(model).
std::vector<OnnxTensorDeclaration> read_outputs(const ort::Api& api, const ort::Session* session,
                                                const std::vector<std::string>& wanted);

OnnxModelMetadata read_metadata(const ort::Api& api, const ort::Session* session);

}  // namespace dynbatch
