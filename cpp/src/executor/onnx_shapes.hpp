// What becomes of declarations where rows differ in shape: free dimensions, ragged and made inputs, and the
// outputs that follow them. Pure functions; no ONNX Runtime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

namespace dynbatch {

/// A spec of these dimensions. Throws Error(model) if it has too many of them, or more bytes than memory.
TensorSpec make_spec(const OnnxTensorDeclaration& declaration, std::span<const std::int64_t> dims,
                     bool shared, std::size_t batch_axis = 0);

/// Gives the free dimensions of inputs their numbers: one for each name, one for each that has no name.
class FreeDimensions {
 public:
  void set(TensorSpec& spec, const OnnxTensorDeclaration& declaration);
  /// Throws Error(model) if there are too many.
  std::vector<FreeDimension> take(const std::vector<OnnxTensorDeclaration>& inputs);

 private:
  std::vector<FreeDimension> found_;
};

/// The rows of any shape of a flat input. Throws Error(model) if the model does not take it so.
void make_ragged(TensorSpec& spec, const OnnxTensorDeclaration& declaration);
/// One of Triton's batch inputs, which is made whole.
TensorSpec make_counted(const OnnxTensorDeclaration& declaration, Made made);
/// The targets of options.batch_inputs. Throws Error(invalid_argument).
std::map<std::string, const BatchInput*> counted_inputs(
    const std::vector<OnnxTensorDeclaration>& inputs, const OnnxRuntimeOptions& options);
void declare_pads(std::vector<TensorSpec>& inputs, const OnnxRuntimeOptions& options);
/// Masks and lengths, and the sources of all that is made. Throws Error(invalid_argument).
void declare_made(std::vector<TensorSpec>& inputs, const OnnxRuntimeOptions& options,
                  const std::map<std::string, const BatchInput*>& counted);

/// `model` has the inputs and the free dimensions.
std::vector<TensorSpec> output_specs(const std::vector<OnnxTensorDeclaration>& outputs,
                                     const ModelSpec& model,
                                     const std::vector<std::string>& batch_names,
                                     const OnnxRuntimeOptions& options);

}  // namespace dynbatch
