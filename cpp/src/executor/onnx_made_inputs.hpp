// Inputs that the runtime makes out of others: masks, lengths, and Triton's batch inputs.
#pragma once

#include <cstddef>
#include <vector>

#include "executor/onnx_messages.hpp"

namespace dynbatch::onnx {

/// What an input is made of; Made::no: callers give it.
struct Making {
  Made made = Made::no;
  std::size_t source = 0;
};

/// For each input, as the options declare it. Throws Error(invalid_argument) where they contradict
/// themselves or name what is no input.
std::vector<Making> find_makings(const Declarations& inputs, const OnnxRuntimeOptions& options);

/// Whether the input is one of a batch, and has no batch axis of its own.
bool is_made_whole(Made made);

/// Throws Error(invalid_argument) where an input that is declared as ragged or as made has not the
/// shape or type for it. `specs` of all inputs, with `made` and `source`.
void check_ragged(const OnnxTensorDeclaration& input, const Dims& dims);
void check_made_whole(const OnnxTensorDeclaration& input, const Dims& dims, Made made);
void check_made_rows(const std::vector<TensorSpec>& specs);

}  // namespace dynbatch::onnx
