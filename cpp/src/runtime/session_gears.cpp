#include "runtime/session_gears.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "memory/gear_memory.hpp"
#include "runtime/fitted_gears.hpp"
#include "runtime/gear_names.hpp"
#include "runtime/gear_trials.hpp"

namespace dynbatch {
namespace {

CompiledModel gears_of(const OrtWholeSession& session, std::optional<CompiledModel> told) {
  if (told) return fitted(std::move(*told), session, GearSource::caller);
  if (auto compiled = compiled_model(session.description().metadata))
    return fitted(with_bound_sizes(std::move(*compiled), session), session, GearSource::model);
  return only_gear(session);
}

/// -1 where two gears differ.
std::vector<std::int64_t> common_shape(const std::vector<CompiledGear>& gears, std::size_t output) {
  std::vector<std::int64_t> shape = gears.front().output_shapes[output];
  for (const CompiledGear& gear : gears) {
    const std::vector<std::int64_t>& other = gear.output_shapes[output];
    for (std::size_t axis = 0; axis < std::min(shape.size(), other.size()); ++axis) {
      if (shape[axis] != other[axis]) shape[axis] = -1;
    }
  }
  return shape;
}

std::size_t bytes_of(const std::vector<WholeTensor>& tensors) noexcept {
  std::size_t bytes = 0;
  for (const WholeTensor& tensor : tensors) bytes += tensor.size_bytes;
  return bytes;
}

}  // namespace

SessionGears::SessionGears(const OnnxModelSource& model, std::optional<CompiledModel> told,
                           const OnnxRuntimeOptions& options)
    : session_(model, options) {
  compiled_ = gears_of(session_, std::move(told));
  set_input_tensors();
  try_gears(session_, compiled_, tensors_);
  set_output_tensors();
  set_spec();
  set_table();
  lay_out_outputs();
}

void SessionGears::set_input_tensors() {
  for (std::size_t gear = 0; gear < compiled_.gears.size(); ++gear)
    tensors_.push_back({input_tensors(session_, compiled_, gear), {}});
}

void SessionGears::set_output_tensors() {
  for (std::size_t gear = 0; gear < compiled_.gears.size(); ++gear) {
    for (std::size_t i = 0; i < compiled_.outputs.size(); ++i) {
      const CompiledOutput& output = compiled_.outputs[i];
      tensors_[gear].outputs.push_back(
          whole_tensor(output.name, output.dtype, compiled_.gears[gear].output_shapes[i]));
    }
  }
}

void SessionGears::set_spec() {
  for (const OnnxTensorDeclaration& input : session_.inputs()) {
    const auto told = std::ranges::find(compiled_.inputs, input.name, &CompiledInput::name);
    spec_.inputs.push_back({.name = input.name,
                            .dtype = input.dtype,
                            .row_shape = Shape(told->shape),
                            .shared = true});
  }
  for (std::size_t i = 0; i < compiled_.outputs.size(); ++i) {
    spec_.outputs.push_back({.name = compiled_.outputs[i].name,
                             .dtype = compiled_.outputs[i].dtype,
                             .row_shape = Shape(common_shape(compiled_.gears, i)),
                             .shared = true});
  }
}

void SessionGears::set_table() {
  table_.kind = compiled_.kind;
  table_.filled = true;
  for (std::size_t gear = 0; gear < compiled_.gears.size(); ++gear) {
    const CompiledGear& compiled = compiled_.gears[gear];
    const bool is_batch = compiled_.kind == GearKind::batch && !compiled.sizes.empty();
    table_.gears.push_back(
        {.batch_size = is_batch ? static_cast<std::size_t>(compiled.sizes.front()) : 1,
         .sizes = is_batch ? std::vector<std::int64_t>() : compiled.sizes,
         .seconds = compiled.seconds,
         .input_bytes = bytes_of(tensors_[gear].inputs),
         .output_bytes = bytes_of(tensors_[gear].outputs)});
  }
  table_.cap = table_.largest();
}

void SessionGears::lay_out_outputs() {
  std::size_t total = 0;
  for (std::size_t i = 0; i < compiled_.outputs.size(); ++i) {
    std::size_t most = 0;
    for (const GearTensors& tensors : tensors_)
      most = std::max(most, tensors.outputs[i].size_bytes);
    output_offsets_.push_back(total);
    const std::size_t aligned = (most + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
    if (aligned < most || __builtin_add_overflow(total, aligned, &total))
      throw Error(ErrorCode::model, "gear memory overflows: use fewer or smaller gears");
  }
  output_memory_ = Pages(total);
}

std::vector<OutputView> SessionGears::execute(std::size_t gear, std::span<const InputView> inputs) {
  check_inputs(gear, inputs);
  std::vector<const void*> in;
  for (const InputView& input : inputs) in.push_back(input.data);
  std::vector<void*> out;
  for (const std::size_t offset : output_offsets_) out.push_back(output_memory_.data() + offset);
  if (const Failure failure = session_.run(tensors_[gear], in, out))
    throw Error(ErrorCode::execution, failure.message);
  std::vector<OutputView> outputs;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const WholeTensor& tensor = tensors_[gear].outputs[i];
    outputs.push_back({.data = out[i],
                       .size_bytes = tensor.size_bytes,
                       .dtype = tensor.dtype,
                       .shape = Shape(tensor.shape)});
  }
  return outputs;
}

void SessionGears::check_inputs(std::size_t gear, std::span<const InputView> inputs) const {
  const std::size_t expected = spec_.inputs.size();
  if (inputs.size() != expected) {
    throw Error(ErrorCode::invalid_input, "expected " + std::to_string(expected) + " inputs, got " +
                                              std::to_string(inputs.size()));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) check_input(gear, i, inputs[i]);
}

void SessionGears::check_input(std::size_t gear, std::size_t index, const InputView& input) const {
  const WholeTensor& expected = tensors_[gear].inputs[index];
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::invalid_input,
                "input '" + spec_.inputs[index].name + "': expected " + what);
  };
  if (input.dtype != expected.dtype)
    refuse(std::string("dtype ") + name_of(expected.dtype) + ", got " + name_of(input.dtype));
  if (!input.shape.valid() || !std::ranges::equal(input.shape.dims(), expected.shape)) {
    refuse("shape " + dims_text(expected.shape) + of_gear(gear) + "; got " +
           to_string(input.shape));
  }
  if (input.data == nullptr && expected.size_bytes > 0) refuse("data, got a null pointer");
}

/// ", as in the chosen gear 4 of 1, 2, 4, 8".
std::string SessionGears::of_gear(std::size_t gear) const {
  if (compiled_.gears[gear].sizes.empty()) return "";
  return ", as in the chosen gear " + gear_name(compiled_, gear) + " of " + gear_names(compiled_);
}

MemoryPlan SessionGears::memory_plan() const {
  MemoryPlan plan = plan_of_gears();  // inputs are read where they lie
  plan.output_blocks = 1;
  plan.output_block_bytes = output_memory_.size_bytes();
  plan.total_bytes = plan.output_block_bytes;
  return plan;
}

}  // namespace dynbatch
