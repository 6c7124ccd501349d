// Batches of OnnxRuntimeExecutor whose tensors have shapes of their own: nothing is prepared for them, and
// ONNX Runtime brings all outputs.
#include <string>

#include "executor/ort_executor.hpp"

namespace dynbatch {
Failure OnnxRuntimeExecutor::run_shaped(const Batch& batch, RunOutputs& outputs) {
  thread_local RunScratch scratch;
  scratch.values.resize(spec_.inputs.size() + spec_.outputs.size());
  const std::span<ort::Value*> places(scratch.values);
  RunValues in(library_, spec_.inputs, places.first(spec_.inputs.size()), nullptr);
  RunValues out(library_, spec_.outputs, places.subspan(spec_.inputs.size()), nullptr);
  if (Failure failure = make_shaped(batch, in)) return failure;
  if (ort::Status* status = run_session(batch, in, out)) return failure_of(status);
  scratch.shapes.resize(spec_.outputs.size());
  if (Failure failure = read_any_shapes(out, scratch.shapes)) return failure;
  for (std::size_t tensor = 0; tensor < scratch.shapes.size(); ++tensor) {
    Failure failure = hand_over_one(batch, out, tensor, scratch.shapes[tensor], outputs);
    if (failure) return failure;
  }
  return {};
}

Failure OnnxRuntimeExecutor::make_shaped(const Batch& batch, RunValues& inputs) const {
  for (std::size_t tensor = 0; tensor < spec_.inputs.size(); ++tensor) {
    ort::Status* status = inputs.make(tensor, batch.input_shapes[tensor], batch.inputs[tensor]);
    if (status != nullptr) return failure_of(status);
  }
  return {};
}

Failure OnnxRuntimeExecutor::read_any_shapes(const RunValues& values,
                                             std::span<Shape> shapes) const {
  for (std::size_t tensor = 0; tensor < shapes.size(); ++tensor) {
    ort::Status* status = read_shape(library_, values.values()[tensor], shapes[tensor]);
    if (status != nullptr) return failure_of(status);
    if (shapes[tensor].valid()) continue;
    return {ErrorCode::model,
            "output '" + spec_.outputs[tensor].name + "' has the shape " +
                to_string(shapes[tensor]) + ": it may have at most " +
                std::to_string(Shape::kMaxRank) + " dimensions",
            nullptr};
  }
  return {};
}

}  // namespace dynbatch
