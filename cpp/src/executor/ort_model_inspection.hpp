// What a loaded session tells about its model: declared inputs and outputs, and metadata.
#pragma once

#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

#include "executor/ort_abi.hpp"

namespace dynbatch {

/// The inputs that a caller must give, in the model's order; those that have an initialiser as
/// their default are not among them. Throws Error(model) for types that no batch can hold.
std::vector<OnnxTensorDeclaration> read_inputs(const ort::Api& api, const ort::Session* session);
std::vector<OnnxTensorDeclaration> read_outputs(const ort::Api& api, const ort::Session* session);

OnnxModelMetadata read_metadata(const ort::Api& api, const ort::Session* session);

}  // namespace dynbatch
