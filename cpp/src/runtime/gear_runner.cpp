#include "runtime/gear_runner.hpp"

#include <algorithm>
#include <utility>

#include "runtime/gear_names.hpp"

namespace dynbatch {
namespace {

Failure invalid(std::string message) {
  return {ErrorCode::invalid_input, std::move(message), nullptr};
}

/// Whether there is memory for each tensor; a failure names the one that has none.
template <class Addresses, class Named>
Failure check_addresses(const char* what, const std::vector<WholeTensor>& tensors,
                        const std::vector<Named>& names, Addresses addresses) {
  if (addresses.size() != tensors.size()) {
    return invalid(std::string("expected ") + std::to_string(tensors.size()) + " " + what +
                   "s, got " + std::to_string(addresses.size()));
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (addresses[i] != nullptr || tensors[i].size_bytes == 0) continue;
    return invalid(std::string(what) + " '" + names[i].name + "': expected " +
                   std::to_string(tensors[i].size_bytes) + " bytes of memory, got a null pointer");
  }
  return {};
}

}  // namespace

WholeTensor whole_tensor(const std::string& name, DataType dtype, std::vector<std::int64_t> shape) {
  if (shape.size() > Shape::kMaxRank) {
    throw Error(ErrorCode::model, "'" + name + "': expected at most " +
                                      std::to_string(Shape::kMaxRank) + " dimensions, got " +
                                      dims_text(shape));
  }
  std::size_t bytes = size_of(dtype);
  bool counted = true;
  bool empty = false;
  for (const std::int64_t dim : shape) {
    empty = empty || dim == 0;
    counted = counted && dim >= 0 &&
              (dim == 0 || !__builtin_mul_overflow(bytes, static_cast<std::size_t>(dim), &bytes));
  }
  if (!counted) {
    throw Error(ErrorCode::model,
                "'" + name + "': expected a tensor whose bytes can be counted, got " +
                    name_of(dtype) + dims_text(shape) + ": use fewer or smaller gears");
  }
  return {.dtype = dtype, .shape = std::move(shape), .size_bytes = empty ? 0 : bytes};
}

std::vector<WholeTensor> input_tensors(const OrtWholeSession& session, const CompiledModel& model,
                                       std::size_t gear) {
  const auto shapes = model.input_shapes(gear);
  std::vector<WholeTensor> tensors;
  for (const OnnxTensorDeclaration& input : session.inputs()) {
    const auto told = std::ranges::find(model.inputs, input.name, &CompiledInput::name);
    const auto index = static_cast<std::size_t>(told - model.inputs.begin());
    tensors.push_back(whole_tensor(input.name, input.dtype, shapes[index]));
  }
  return tensors;
}

GearRunner::~GearRunner() = default;

Failure GearRunner::run(std::size_t gear, std::span<const void* const> inputs,
                        std::span<void* const> outputs) const noexcept {
  if (gear >= tensors_.size()) {
    return {ErrorCode::invalid_argument,
            "gear: expected an index below " + std::to_string(tensors_.size()) + ", got " +
                std::to_string(gear),
            nullptr};
  }
  const GearTensors& tensors = tensors_[gear];
  Failure failure = check_addresses("input", tensors.inputs, spec().inputs, inputs);
  if (!failure) failure = check_addresses("output", tensors.outputs, compiled_.outputs, outputs);
  return failure ? failure : run_checked(gear, inputs, outputs);
}

MemoryPlan GearRunner::plan_of_gears() const {
  MemoryPlan plan;
  for (const Gear& gear : table_.gears) {
    plan.gears.push_back({.batch_size = gear.batch_size,
                          .input_bytes = gear.input_bytes,
                          .output_bytes = gear.output_bytes});
  }
  return plan;
}

}  // namespace dynbatch
