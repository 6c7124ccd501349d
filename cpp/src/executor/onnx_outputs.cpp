// The output side of onnx_batching.hpp.
#include <algorithm>

#include "executor/onnx_batching.hpp"
#include "executor/onnx_messages.hpp"
#include "executor/onnx_spec.hpp"

namespace dynbatch {
namespace {

using namespace onnx;

std::string declared_as(const std::string& output, const char* field) {
  return "outputs={\"" + output + "\": Output(" + field + ")}";
}

std::size_t input_named(const BoundInputs& inputs, const std::string& name,
                        const std::string& option) {
  const auto found = std::ranges::find(inputs.specs, name, &TensorSpec::name);
  if (found != inputs.specs.end()) return static_cast<std::size_t>(found - inputs.specs.begin());
  std::vector<std::string> names;
  for (const TensorSpec& input : inputs.specs) names.push_back(input.name);
  refuse(option + " names the input " + quoted(name) + ", and the model has " + listed(names));
}

/// The source of BATCH_SCATTER_WITH_INPUT_SHAPE for an output, if it is a target of that.
std::optional<std::size_t> scatter_source(const std::string& output, const BoundInputs& inputs,
                                          const OnnxRuntimeOptions& options) {
  std::optional<std::size_t> source;
  for (const BatchOutput& declared : options.batch_outputs) {
    for (const std::string& target : declared.target_names) {
      if (target != output) continue;
      if (source) refuse("batch_outputs names the output " + quoted(output) + " twice");
      source = input_named(inputs, declared.source_input, "batch_outputs");
    }
  }
  if (!source) return source;
  const TensorSpec& input = inputs.specs[*source];
  if (input.shared || input.made != Made::no) {
    refuse("batch_outputs scatters output " + quoted(output) + " with the shapes of input " +
           quoted(input.name) + ", which is " + (input.shared ? "shared" : "made") +
           ": expected one that callers give with rows");
  }
  return source;
}

void check_names(const Declarations& outputs, const OnnxRuntimeOptions& options) {
  for (const auto& [name, declared] : options.output_declarations) {
    index_of(outputs, name, "outputs", "output");
  }
  for (const BatchOutput& declared : options.batch_outputs) {
    if (declared.target_names.empty()) {
      refuse("batch_outputs: expected at least one target name for the source " +
             quoted(declared.source_input) + ", got none");
    }
    for (const std::string& target : declared.target_names) {
      index_of(outputs, target, "batch_outputs", "output");
    }
  }
}

void check_consistent(const OnnxTensorDeclaration& output, const OutputDeclaration& declared,
                      bool scattered) {
  const bool has_rows = declared.shared == false || declared.batch_axis || declared.rows_per_row ||
                        !declared.trim.empty();
  const std::string who = "output " + described(output);
  if (declared.shared.value_or(false) && has_rows) {
    refuse(who + " is declared as shared, and as one with rows: expected one of the two");
  }
  if (scattered && (has_rows || declared.shared)) {
    refuse(who +
           " is declared as scattered, and as one with a batch axis or as shared: expected one of "
           "the two");
  }
  if (declared.rows_per_row == std::size_t{0})
    refuse(who + " is declared with 0 rows per row: expected 1 or more");
  if (declared.batch_axis && !output.shape.empty() && *declared.batch_axis >= output.shape.size()) {
    refuse(who + " is declared with the batch axis " + std::to_string(*declared.batch_axis) +
           ", and there is no such axis");
  }
  if (declared.batch_axis && *declared.batch_axis >= Shape::kMaxRank) {
    refuse(who + " is declared with the batch axis " + std::to_string(*declared.batch_axis) +
           ": expected 0 to " + std::to_string(Shape::kMaxRank - 1));
  }
}

/// Declared, or the axis that has the batch's name, or 0.
std::size_t batch_axis_of(const OnnxTensorDeclaration& output, const OutputDeclaration& declared,
                          const BoundInputs& inputs) {
  if (declared.batch_axis) return *declared.batch_axis;
  for (std::size_t axis = 0; axis < output.shape.size(); ++axis) {
    if (is_free(output, axis) && inputs.batch_names.contains(output.dimension_names[axis])) {
      return axis;
    }
  }
  return 0;
}

/// ONNX Runtime tells an output of no declared shape like a scalar; neither has a known row.
Dims dims_of(const OnnxTensorDeclaration& output, std::size_t batch_axis) {
  if (output.shape.empty()) return Dims(std::max<std::size_t>(2, batch_axis + 1), kFree);
  Dims dims = output.shape;
  for (std::int64_t& dim : dims) dim = std::max(dim, kFree);
  return dims;
}

/// Axes that have the name of an input's free dimension have its size.
void set_dimensions_by_name(TensorSpec& spec, const OnnxTensorDeclaration& output,
                            const BoundInputs& inputs) {
  std::vector<int> of_row;
  bool any = false;
  for (std::size_t axis = 0; axis < output.shape.size(); ++axis) {
    if (axis == spec.batch_axis) continue;
    const std::string& name = output.dimension_names[axis];
    const auto found = std::ranges::find(inputs.dimensions, name, &FreeDimension::name);
    const bool is_dimension = is_free(output, axis) && found != inputs.dimensions.end();
    of_row.push_back(is_dimension ? static_cast<int>(found - inputs.dimensions.begin())
                                  : TensorSpec::kStatic);
    any = any || is_dimension;
  }
  if (any) spec.dimensions = std::move(of_row);
}

/// Output(trim=...): at the same axes of the whole tensor.
void trim(TensorSpec& spec, const OnnxTensorDeclaration& output, const TensorSpec& input) {
  const std::string who =
      "output " + described(output) + " is declared as trimmed like input " + quoted(input.name);
  if (input.dimensions.empty()) refuse(who + ", which has no free dimension");
  spec.dimensions.resize(spec.row_shape.rank(), TensorSpec::kStatic);
  for (std::size_t place = 0; place < input.dimensions.size(); ++place) {
    if (input.dimensions[place] == TensorSpec::kStatic) continue;
    const std::size_t axis = place + (place >= input.batch_axis ? 1 : 0);
    if (axis == spec.batch_axis)
      refuse(who + ", and axis " + std::to_string(axis) + " is its batch");
    if (axis >= output.shape.size() || !is_free(output, axis)) {
      refuse(who + ": expected a free dimension on axis " + std::to_string(axis));
    }
    spec.dimensions[axis - (axis > spec.batch_axis ? 1 : 0)] = input.dimensions[place];
  }
}

/// An output that the graph hands out as it came in has the input's rows.
void set_like_input(TensorSpec& spec, const OutputDeclaration& declared, const BoundInputs& inputs,
                    std::size_t index) {
  const TensorSpec& input = inputs.specs[index];
  const bool is_whole =
      input.made != Made::no && input.made != Made::mask && input.made != Made::length;
  if (input.shared && !declared.shared.value_or(false)) {
    fail("output " + quoted(spec.name) +
         " is a shared input, so it has no rows: re-export the model without this output, or "
         "declare "
         "it with " +
         declared_as(spec.name, "shared=True"));
  }
  const bool differs = declared.batch_axis.value_or(input.batch_axis) != input.batch_axis ||
                       declared.rows_per_row.value_or(1) != 1 ||
                       (declared.shared.value_or(false) && !input.shared && !is_whole);
  if (differs) {
    refuse("output " + quoted(spec.name) +
           " is an input that is handed out as it is, and declared as "
           "something else: expected the declaration of the input");
  }
  spec.row_shape = input.row_shape;
  spec.batch_axis = input.batch_axis;
  spec.dimensions = input.dimensions;
  spec.shared = input.shared || is_whole;
  if (input.ragged) spec.scattered_as = index;
  check_row_size(spec);  // the types need not be the same
}

TensorSpec output_spec(const OnnxTensorDeclaration& output, const BoundInputs& inputs,
                       const OnnxRuntimeOptions& options) {
  const auto found = options.output_declarations.find(output.name);
  const OutputDeclaration declared =
      found == options.output_declarations.end() ? OutputDeclaration() : found->second;
  const auto scattered_as = scatter_source(output.name, inputs, options);
  check_consistent(output, declared, scattered_as.has_value());
  const bool shared = declared.shared.value_or(false);
  const std::size_t axis = batch_axis_of(output, declared, inputs);
  TensorSpec spec = make_spec(output, dims_of(output, axis),
                              shared ? std::nullopt : std::optional<std::size_t>(axis));
  const auto same = std::ranges::find(inputs.specs, spec.name, &TensorSpec::name);
  if (same != inputs.specs.end()) {
    set_like_input(spec, declared, inputs, static_cast<std::size_t>(same - inputs.specs.begin()));
    return spec;
  }
  spec.declared = declared.shared.has_value() || declared.batch_axis.has_value();
  spec.shared = shared;
  spec.rows_per_row = declared.rows_per_row.value_or(1);
  spec.scattered_as = scattered_as;
  if (shared) return spec;
  if (scattered_as) {
    spec.batch_axis = 0;
    spec.row_shape = Shape{kFree};
    return spec;
  }
  set_dimensions_by_name(spec, output, inputs);
  if (!declared.trim.empty()) {
    const std::string option = declared_as(output.name, "trim=...");
    trim(spec, output, inputs.specs[input_named(inputs, declared.trim, option)]);
  }
  return spec;
}

}  // namespace

Declarations wanted_outputs(const Declarations& outputs, const OnnxRuntimeOptions& options) {
  if (options.outputs.empty()) return outputs;
  Declarations wanted;
  for (const std::string& name : options.outputs) {
    const auto found = std::ranges::find(outputs, name, &OnnxTensorDeclaration::name);
    if (found == outputs.end()) {
      refuse("outputs names " + quoted(name) + ", and the model has " + listed(names_of(outputs)));
    }
    if (std::ranges::count(options.outputs, name) > 1) {
      refuse("outputs names " + quoted(name) + " twice");
    }
    wanted.push_back(*found);
  }
  return wanted;
}

std::vector<TensorSpec> output_specs(const Declarations& outputs, const BoundInputs& inputs,
                                     const OnnxRuntimeOptions& options) {
  check_names(outputs, options);
  std::vector<TensorSpec> specs;
  for (const OnnxTensorDeclaration& output : wanted_outputs(outputs, options)) {
    specs.push_back(output_spec(output, inputs, options));
  }
  return specs;
}

}  // namespace dynbatch
