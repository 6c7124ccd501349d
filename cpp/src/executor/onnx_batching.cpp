#include "executor/onnx_batching.hpp"

#include <algorithm>

#include "executor/onnx_batch_axis.hpp"
#include "executor/onnx_dimensions.hpp"
#include "executor/onnx_made_inputs.hpp"
#include "executor/onnx_messages.hpp"
#include "executor/onnx_spec.hpp"

namespace dynbatch {
namespace {

using namespace onnx;

/// Who declares by hand may leave names out; everything here reads one for each dimension.
void check_declared(const char* what, const Declarations& declarations) {
  for (const OnnxTensorDeclaration& one : declarations) {
    if (one.dimension_names.size() == one.shape.size()) continue;
    refuse(std::string(what) + " " + quoted(one.name) + " is declared with " +
           std::to_string(one.shape.size()) + " dimensions and " +
           std::to_string(one.dimension_names.size()) +
           " dimension names: expected a name for each, \"\" where there is none");
  }
}

void check_declared_ragged(const InputRole& input) {
  const InputDeclaration& declared = input.declared;
  check_ragged(*input.declaration, input.dims);
  const char* const other = declared.shared.value_or(false) ? "shared"
                            : declared.batch_axis           ? "batch_axis"
                            : !declared.mask.empty()        ? "mask"
                            : !declared.length.empty()      ? "length"
                                                            : nullptr;
  if (other == nullptr) return;
  refuse("input " + quoted(input.declaration->name) + " is declared as ragged, and with " + other +
         ": expected one of the two");
}

std::vector<InputRole> roles_of(const Declarations& inputs, const std::vector<Making>& makings,
                                const OnnxRuntimeOptions& options) {
  std::vector<InputRole> roles;
  for (std::size_t index = 0; index < inputs.size(); ++index) {
    InputRole& role = roles.emplace_back();
    role.declaration = &inputs[index];
    role.dims = bound_dims(inputs[index], options);
    const auto declared = options.inputs.find(inputs[index].name);
    if (declared != options.inputs.end()) role.declared = declared->second;
    role.ragged = role.declared.ragged;
    role.made_whole = is_made_whole(makings[index].made);
    if (role.ragged) check_declared_ragged(role);
    if (role.made_whole) check_made_whole(inputs[index], role.dims, makings[index].made);
  }
  return roles;
}

/// Whose dimension stands at an axis: a mask without names for its dimensions has those of its source.
const InputRole& owner_of(const std::vector<InputRole>& roles, const std::vector<Making>& makings,
                          std::size_t index, std::size_t axis) {
  const InputRole& own = roles[index];
  const InputRole& source = roles[makings[index].source];
  const bool has_the_same = makings[index].made == Made::mask && axis < source.dims.size() &&
                            source.dims.size() == own.dims.size() && source.dims[axis] == kFree &&
                            source.batch_axis == own.batch_axis;
  return has_the_same && !is_usable(own.declaration->dimension_names[axis]) ? source : own;
}

void check_shared_is_bound(const std::vector<InputRole>& roles) {
  std::vector<std::string> hints;
  std::string unbound;
  std::string declarations;
  for (const InputRole& input : roles) {
    if (!input.is_shared() || !std::ranges::count(input.dims, kFree)) continue;
    for (std::size_t axis = 0; axis < input.dims.size(); ++axis) {
      if (input.dims[axis] != kFree) continue;
      const std::string hint = binding_hint(*input.declaration, axis);
      if (!std::ranges::count(hints, hint)) hints.push_back(hint);
    }
    unbound += (unbound.empty() ? "" : ", ") + described(*input.declaration);
    if (declarations.empty()) declarations = batch_axis_hint(input.declaration->name);
  }
  if (hints.empty()) return;
  std::string bindings;
  for (const std::string& hint : hints) bindings += (bindings.empty() ? "" : ", ") + hint;
  fail("dimensions are free in input " + unbound +
       ", which is shared: bind them with dimensions={" + bindings +
       "}, or say where its batch is with " + declarations);
}

TensorSpec input_spec(const std::vector<InputRole>& roles, const std::vector<Making>& makings,
                      std::size_t index, FreeDimensions& dimensions) {
  const InputRole& role = roles[index];
  TensorSpec spec = make_spec(*role.declaration, role.dims, role.batch_axis);
  spec.shared = role.is_shared();
  spec.ragged = role.ragged;
  spec.made = makings[index].made;
  spec.source = makings[index].source;
  spec.pad = role.declared.pad;
  spec.pad_mode = role.declared.pad_mode;
  check_pad(spec);
  if (!role.batch_axis) return spec;
  std::vector<int> of_row;
  for (std::size_t axis = 0; axis < role.dims.size(); ++axis) {
    if (axis == role.batch_axis) continue;
    of_row.push_back(
        role.dims[axis] == kFree
            ? dimensions.index_of(*owner_of(roles, makings, index, axis).declaration, axis)
            : TensorSpec::kStatic);
  }
  const auto is_dimension = [](int dimension) { return dimension != TensorSpec::kStatic; };
  if (std::ranges::any_of(of_row, is_dimension)) spec.dimensions = std::move(of_row);
  return spec;
}

}  // namespace

BoundInputs bind_inputs(const Declarations& inputs, const OnnxRuntimeOptions& options) {
  check_bindings(inputs, options);
  for (const auto& [name, declared] : options.inputs) index_of(inputs, name, "inputs");
  const std::vector<Making> makings = find_makings(inputs, options);
  std::vector<InputRole> roles = roles_of(inputs, makings, options);
  BatchAxes axes = find_batch_axes(roles);
  check_shared_is_bound(roles);

  BoundInputs result;
  FreeDimensions dimensions(axes.names);
  std::vector<Dims> bound;
  for (std::size_t index = 0; index < inputs.size(); ++index) {
    result.specs.push_back(input_spec(roles, makings, index, dimensions));
    bound.push_back(roles[index].dims);
  }
  check_made_rows(result.specs);
  result.dimensions = dimensions.take();
  result.fixed_batch = axes.fixed_batch;
  result.batch_names = std::move(axes.names);
  result.overrides = overrides_by_name(inputs, bound);
  return result;
}

OnnxBatching onnx_batching(const Declarations& inputs, const Declarations& outputs,
                           const OnnxRuntimeOptions& options) {
  check_declared("input", inputs);
  check_declared("output", outputs);
  BoundInputs bound = bind_inputs(inputs, options);
  std::vector<TensorSpec> of_outputs = output_specs(outputs, bound, options);
  return {.spec = {.inputs = std::move(bound.specs),
                   .outputs = std::move(of_outputs),
                   .fixed_batch = bound.fixed_batch,
                   .dimensions = std::move(bound.dimensions)},
          .overrides = std::move(bound.overrides)};
}

}  // namespace dynbatch
