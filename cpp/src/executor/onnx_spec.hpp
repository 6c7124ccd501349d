// A declared input or output as a TensorSpec.
#pragma once

#include <cstddef>
#include <optional>

#include "executor/onnx_messages.hpp"

namespace dynbatch::onnx {

/// The declared type, and `dims` without their batch axis, if there is one. Throws Error(model) for more
/// dimensions than a Shape has, and for rows that no memory could hold.
TensorSpec make_spec(const OnnxTensorDeclaration& declaration, const Dims& dims,
                     std::optional<std::size_t> batch_axis);

/// Refuses a row that no memory could hold, so that nobody computes with its size.
void check_row_size(const TensorSpec& spec);

/// Refuses a value that elements of the input's type cannot have.
void check_pad(const TensorSpec& input);

}  // namespace dynbatch::onnx
