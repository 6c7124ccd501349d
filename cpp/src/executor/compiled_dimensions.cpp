#include <algorithm>
#include <optional>
#include <string>

#include <dynbatch/compiled_model.hpp>

#include "executor/onnx_messages.hpp"

namespace dynbatch {
namespace {

using onnx::is_free;

constexpr std::int64_t kFree = -1;

[[noreturn]] void fail(const std::string& message) {
  throw Error(ErrorCode::model, std::string(kCompiledModelKey) +
                                    " in the model's metadata does not fit the model: " + message +
                                    ". Compile it again");
}

const OnnxTensorDeclaration& declaration_of(const std::vector<OnnxTensorDeclaration>& inputs,
                                            const CompiledInput& compiled) {
  const auto found = std::ranges::find(inputs, compiled.name, &OnnxTensorDeclaration::name);
  if (found == inputs.end()) {
    fail("it names the input " + onnx::quoted(compiled.name) + ", and the inputs are " +
         onnx::described(inputs));
  }
  bool fits = compiled.shape.size() == found->shape.size() && compiled.dtype == found->dtype;
  for (std::size_t axis = 0; fits && axis < compiled.shape.size(); ++axis)
    fits = is_free(*found, axis) || compiled.shape[axis] == found->shape[axis];
  if (!fits) {
    fail("it gives " + onnx::quoted(compiled.name) + " another type or shape than the model, " +
         onnx::described(*found));
  }
  return *found;
}

/// Whether the first axis of this input is the batch, which stays free: -1 if that of any input is, else whatever
/// all have that the model leaves free.
class FirstAxes {
 public:
  FirstAxes(const CompiledModel& model, const std::vector<OnnxTensorDeclaration>& inputs) {
    for (const CompiledInput& input : model.inputs) {
      if (input.shape.empty() || !is_free(declaration_of(inputs, input), 0)) continue;
      const std::int64_t size = input.shape.front();
      any_free_ = any_free_ || size == kFree;
      all_alike_ = all_alike_ && (!common_ || *common_ == size);
      common_ = size;
    }
  }
  bool is_batch(const CompiledInput& input) const {
    return any_free_ ? input.shape.front() == kFree : all_alike_;
  }

 private:
  std::optional<std::int64_t> common_;
  bool any_free_ = false;
  bool all_alike_ = true;
};

}  // namespace

OnnxRuntimeOptions with_compiled_dimensions(OnnxRuntimeOptions options,
                                            const OnnxModelMetadata& metadata,
                                            const std::vector<OnnxTensorDeclaration>& inputs) {
  const std::optional<CompiledModel> model = compiled_model(metadata);
  if (!model) return options;
  const FirstAxes first(*model, inputs);
  for (const CompiledInput& input : model->inputs) {
    const OnnxTensorDeclaration& declared = declaration_of(inputs, input);
    for (std::size_t axis = 0; axis < input.shape.size(); ++axis) {
      if (!is_free(declared, axis) || input.shape[axis] == kFree) continue;
      if (axis == 0 && first.is_batch(input)) continue;
      if (options.dimensions.contains(declared.dimension_names[axis])) continue;
      options.input_dimensions.emplace(InputAxis{input.name, axis}, input.shape[axis]);
    }
  }
  return options;
}

}  // namespace dynbatch
