// What the free dimensions of a model's inputs are bound to, and which are left for requests to settle.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "executor/onnx_messages.hpp"

namespace dynbatch::onnx {

/// Refuses bindings that do not fit the inputs.
void check_bindings(const Declarations& inputs, const OnnxRuntimeOptions& options);

/// The dimensions of an input after binding; kFree where one is not bound.
Dims bound_dims(const OnnxTensorDeclaration& input, const OnnxRuntimeOptions& options);

/// The bindings that can be told to ONNX Runtime, which knows dimensions by name alone: wherever the
/// name stands, it has this value.
std::vector<std::pair<std::string, std::int64_t>> overrides_by_name(const Declarations& inputs,
                                                                    const std::vector<Dims>& bound);

/// "\"height\": value", or "(\"x\", 2): value" where a name would not tell the axis.
std::string binding_hint(const OnnxTensorDeclaration& input, std::size_t axis);

/// The free dimensions of a model, in the order in which they are met.
class FreeDimensions {
 public:
  explicit FreeDimensions(std::set<std::string> batch_names)
      : batch_names_(std::move(batch_names)) {}

  /// The index of the dimension that stands at an axis of an input. Axes of one usable name are one
  /// dimension; an axis without one is a dimension of its own, as is one that is called like the batch.
  int index_of(const OnnxTensorDeclaration& input, std::size_t axis);
  /// The index of the dimension of that name, or TensorSpec::kStatic.
  int find(const std::string& name) const;
  /// All of them; throws Error(model) if they are more than ModelSpec has room for.
  std::vector<FreeDimension> take();

 private:
  std::set<std::string> batch_names_;
  std::vector<FreeDimension> dimensions_;
};

}  // namespace dynbatch::onnx
