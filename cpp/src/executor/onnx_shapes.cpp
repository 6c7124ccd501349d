#include "executor/onnx_shapes.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "executor/onnx_words.hpp"

namespace dynbatch {
namespace {

using namespace onnx_words;

using Declarations = std::vector<OnnxTensorDeclaration>;

/// Refuses a row that no memory could hold, so that nobody computes with its size.
void check_row_size(const TensorSpec& spec) {
  std::size_t bytes = size_of(spec.dtype);
  bool overflow = false;
  for (const std::int64_t dim : spec.row_shape.dims()) {
    overflow |= __builtin_mul_overflow(bytes, static_cast<std::size_t>(dim), &bytes);
  }
  if (overflow || bytes > std::numeric_limits<std::size_t>::max() / 2) {
    fail("a row of '" + spec.name + "' " + to_string(spec.row_shape) + " is larger than memory");
  }
}

bool is_counted(const TensorSpec& input) noexcept { return input.made >= Made::element_count; }

std::size_t index_of(const std::vector<TensorSpec>& inputs, const std::string& name,
                     const std::string& where) {
  const auto found = std::ranges::find(inputs, name, &TensorSpec::name);
  if (found != inputs.end()) return static_cast<std::size_t>(found - inputs.begin());
  std::vector<std::string> names;
  for (const TensorSpec& input : inputs) names.push_back(input.name);
  refuse(where + " names the input " + quoted(name) + ", and the model has " + listed(names));
}

std::vector<int> free_of(const TensorSpec& spec) {
  std::vector<int> free;
  for (const int dimension : spec.dimensions) {
    if (dimension != TensorSpec::kStatic) free.push_back(dimension);
  }
  return free;
}

void make(TensorSpec& target, const TensorSpec& by, std::size_t source, Made made,
          const std::string& where) {
  if (&target == &by) refuse(where + ": an input cannot be made of itself");
  if (target.made != Made::no)
    refuse(where + ": " + quoted(target.name) + " is made of another input already");
  if (target.shared || target.ragged)
    refuse(where + ": " + quoted(target.name) + " has no rows that could be made");
  target.made = made;
  target.source = source;
}

void make_mask(std::vector<TensorSpec>& inputs, std::size_t source, const std::string& name) {
  const TensorSpec& of = inputs[source];
  const std::string where = "inputs[" + quoted(of.name) + "].mask";
  TensorSpec& mask = inputs[index_of(inputs, name, where)];
  const std::vector<int> free = free_of(of);
  const std::vector<int> own = free_of(mask);
  const bool fits = !own.empty() && std::ranges::all_of(own, [&](int dimension) {
    return std::ranges::count(free, dimension) > 0;
  });
  if (!fits) {
    refuse(where + ": expected an input with free dimensions of " + quoted(of.name) + ", got " +
           quoted(name));
  }
  make(mask, of, source, Made::mask, where);
}

void make_length(std::vector<TensorSpec>& inputs, std::size_t source, const std::string& name) {
  const TensorSpec& of = inputs[source];
  const std::string where = "inputs[" + quoted(of.name) + "].length";
  TensorSpec& length = inputs[index_of(inputs, name, where)];
  const bool counts = length.dtype == DataType::int32 || length.dtype == DataType::int64 ||
                      length.dtype == DataType::float32;
  if (length.row_shape.rank() != 0 || length.shared || !counts) {
    refuse(where + ": expected an input of int32, int64 or float32 with one number a row, got " +
           quoted(name));
  }
  if (free_of(of).empty()) refuse(where + ": " + quoted(of.name) + " has no free dimension");
  make(length, of, source, Made::length, where);
}

/// The dimensions of the axes of a whole tensor, the batch's left out.
std::vector<int> by_whole_axis(const TensorSpec& spec) {
  std::vector<int> whole = spec.dimensions;
  if (whole.empty()) whole.assign(spec.row_shape.rank(), TensorSpec::kStatic);
  whole.insert(whole.begin() + static_cast<std::ptrdiff_t>(spec.batch_axis), TensorSpec::kStatic);
  return whole;
}

std::optional<std::size_t> axis_named(const OnnxTensorDeclaration& output,
                                      const std::vector<std::string>& names) {
  for (std::size_t axis = 0; axis < output.shape.size(); ++axis) {
    if (is_free(output, axis) && std::ranges::count(names, output.dimension_names[axis]) > 0)
      return axis;
  }
  return {};
}

class OutputSpecs {
 public:
  OutputSpecs(const ModelSpec& model, const std::vector<std::string>& batch_names,
              const OnnxRuntimeOptions& options)
      : model_(model), batch_names_(batch_names), options_(options) {}

  TensorSpec make(const OnnxTensorDeclaration& output) const {
    const auto found = options_.output_declarations.find(output.name);
    const OutputDeclaration declared =
        found == options_.output_declarations.end() ? OutputDeclaration{} : found->second;
    // ONNX Runtime tells an output of no declared shape like a scalar; neither has a known row.
    const bool unknown = output.shape.empty();
    std::vector<std::int64_t> dims =
        unknown ? std::vector<std::int64_t>{kFree, kFree} : output.shape;
    for (std::int64_t& dim : dims) dim = std::max(dim, kFree);
    const bool shared = declared.shared.value_or(false);
    const std::size_t axis =
        declared.batch_axis.value_or(axis_named(output, batch_names_).value_or(0));
    if (shared && declared.batch_axis)
      refuse("outputs declares " + quoted(output.name) + " both shared and with a batch axis");
    if (!shared && axis >= dims.size() && !unknown) {
      refuse("outputs declares the batch axis " + std::to_string(axis) + " of " +
             described(output) + ", and there is no such axis");
    }
    TensorSpec spec = make_spec(output, dims, shared, axis);
    spec.batch_axis = shared ? 0 : axis;
    spec.declared = declared.shared.has_value() || declared.batch_axis.has_value();
    spec.rows_per_row = declared.rows_per_row.value_or(1);
    if (spec.rows_per_row == 0)
      refuse("outputs[" + quoted(output.name) + "].rows_per_row: expected at least 1, got 0");
    if (!unknown && !shared) follow_dimensions(spec, output, declared.trim);
    return spec;
  }

 private:
  void follow_dimensions(TensorSpec& spec, const OnnxTensorDeclaration& output,
                         const std::string& trim) const {
    std::vector<int> followed(spec.row_shape.rank(), TensorSpec::kStatic);
    const auto row_axis = [&](std::size_t axis) { return axis - (axis > spec.batch_axis ? 1 : 0); };
    for (std::size_t axis = 0; axis < output.shape.size(); ++axis) {
      if (axis == spec.batch_axis || !is_free(output, axis)) continue;
      const auto same =
          std::ranges::find(model_.dimensions, output.dimension_names[axis], &FreeDimension::name);
      if (same != model_.dimensions.end())
        followed[row_axis(axis)] = static_cast<int>(same - model_.dimensions.begin());
    }
    if (!trim.empty()) {
      const std::string where = "outputs[" + quoted(output.name) + "].trim";
      const std::vector<int> input =
          by_whole_axis(model_.inputs[index_of(model_.inputs, trim, where)]);
      for (std::size_t axis = 0; axis < std::min(input.size(), output.shape.size()); ++axis) {
        if (axis != spec.batch_axis && input[axis] != TensorSpec::kStatic)
          followed[row_axis(axis)] = input[axis];
      }
    }
    const bool any = std::ranges::any_of(
        followed, [](int dimension) { return dimension != TensorSpec::kStatic; });
    if (any) spec.dimensions = std::move(followed);
  }

  const ModelSpec& model_;
  const std::vector<std::string>& batch_names_;
  const OnnxRuntimeOptions& options_;
};

/// The graph hands an input out again, as it is.
void pass_through(TensorSpec& output, const TensorSpec& input) {
  if (input.shared) {
    fail("output " + quoted(output.name) +
         " is a shared input, so it has no rows: re-export the model without this output");
  }
  output.row_shape = input.row_shape;
  output.batch_axis = input.batch_axis;
  output.dimensions = input.dimensions;
  if (output.has_known_shape()) check_row_size(output);  // the types need not be the same
}

}  // namespace

TensorSpec make_spec(const OnnxTensorDeclaration& declaration, std::span<const std::int64_t> dims,
                     bool shared, std::size_t batch_axis) {
  if (declaration.shape.size() > Shape::kMaxRank) {
    fail(described(declaration) + " has " + std::to_string(declaration.shape.size()) +
         " dimensions, and at most " + std::to_string(Shape::kMaxRank) + " are supported");
  }
  TensorSpec spec;
  spec.name = declaration.name;
  spec.dtype = declaration.dtype;
  for (std::size_t axis = 0; axis < dims.size(); ++axis) {
    if (shared || axis != batch_axis) spec.row_shape.push_back(dims[axis]);
  }
  spec.shared = shared;
  spec.batch_axis = shared ? 0 : batch_axis;
  if (spec.has_known_shape()) check_row_size(spec);
  return spec;
}

void FreeDimensions::set(TensorSpec& spec, const OnnxTensorDeclaration& declaration) {
  std::vector<int> numbers(spec.row_shape.rank(), TensorSpec::kStatic);
  bool any = false;
  for (std::size_t at = 0; at < numbers.size(); ++at) {
    if (spec.row_shape[at] != kFree) continue;
    any = true;
    const std::size_t axis = at + (at >= spec.batch_axis ? 1 : 0);
    const std::string& own = declaration.dimension_names[axis];
    const std::string name =
        own.empty() || own == kNoName ? declaration.name + "[" + std::to_string(axis) + "]" : own;
    const auto known = std::ranges::find(found_, name, &FreeDimension::name);
    numbers[at] = static_cast<int>(known - found_.begin());
    if (known == found_.end()) found_.push_back({.name = name});
  }
  if (any) spec.dimensions = std::move(numbers);
}

std::vector<FreeDimension> FreeDimensions::take(const Declarations& inputs) {
  if (found_.size() <= ModelSpec::kMaxDimensions) return std::move(found_);
  std::vector<std::string> names;
  for (const FreeDimension& dimension : found_) names.push_back(dimension.name);
  fail("the inputs " + described(inputs) + " have " + std::to_string(names.size()) +
       " free dimensions (" + listed(names) + "), and at most " +
       std::to_string(ModelSpec::kMaxDimensions) +
       " are supported: bind some with dimensions={...}");
}

void make_ragged(TensorSpec& spec, const OnnxTensorDeclaration& declaration) {
  if (declaration.shape.size() != 1 || !is_free(declaration, 0)) {
    fail("ragged input " + described(declaration) +
         ": expected a model that takes all rows in one flat tensor of shape [?]");
  }
  spec.ragged = true;
  spec.shared = false;
  spec.batch_axis = 0;
  spec.row_shape = Shape{kFree};
  spec.dimensions.clear();
}

TensorSpec make_counted(const OnnxTensorDeclaration& declaration, Made made) {
  TensorSpec spec;
  spec.name = declaration.name;
  spec.dtype = declaration.dtype;
  spec.row_shape = Shape{kFree};
  spec.made = made;
  return spec;
}

std::map<std::string, const BatchInput*> counted_inputs(const Declarations& inputs,
                                                        const OnnxRuntimeOptions& options) {
  std::map<std::string, const BatchInput*> counted;
  for (const BatchInput& made : options.batch_inputs) {
    if (made.kind < Made::element_count) refuse("batch_inputs: expected one of Triton's kinds");
    for (const std::string& name : made.target_names) {
      const std::string where = "batch_inputs: target " + quoted(name);
      const auto target = std::ranges::find(inputs, name, &OnnxTensorDeclaration::name);
      if (target == inputs.end()) refuse(where + " is no input of the model");
      if (target->dtype != made.data_type) {
        refuse(where + ": expected the data type of the model's input, " + name_of(target->dtype) +
               ", got " + name_of(made.data_type));
      }
      const bool counts = made.data_type == DataType::int32 || made.data_type == DataType::int64 ||
                          made.data_type == DataType::float32;
      if (!counts)
        refuse(where + ": expected int32, int64 or float32, got " + name_of(made.data_type));
      const std::size_t rank = made.kind == Made::item_shape ? 2 : 1;
      if (target->shape.size() != rank || !is_free(*target, 0)) {
        refuse(where + ": expected an input of " + std::to_string(rank) +
               " dimensions, the first of them free, got " + described(*target));
      }
      if (!counted.emplace(name, &made).second) refuse(where + " is named twice");
    }
  }
  return counted;
}

void declare_pads(std::vector<TensorSpec>& inputs, const OnnxRuntimeOptions& options) {
  for (TensorSpec& input : inputs) {
    const auto declared = options.inputs.find(input.name);
    if (declared == options.inputs.end()) continue;
    input.pad = declared->second.pad;
    input.pad_mode = declared->second.pad_mode;
  }
}

void declare_made(std::vector<TensorSpec>& inputs, const OnnxRuntimeOptions& options,
                  const std::map<std::string, const BatchInput*>& counted) {
  for (TensorSpec& input : inputs) {
    const auto made = counted.find(input.name);
    if (made == counted.end()) continue;
    const std::string where = "batch_inputs: source_input of " + quoted(input.name);
    input.source = index_of(inputs, made->second->source_input, where);
    const TensorSpec& source = inputs[input.source];
    if (source.shared || is_counted(source))
      refuse(where + ": expected an input with rows, got " + quoted(source.name));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto declared = options.inputs.find(inputs[i].name);
    if (declared == options.inputs.end()) continue;
    if (!declared->second.mask.empty()) make_mask(inputs, i, declared->second.mask);
    if (!declared->second.length.empty()) make_length(inputs, i, declared->second.length);
  }
}

std::vector<TensorSpec> output_specs(const Declarations& outputs, const ModelSpec& model,
                                     const std::vector<std::string>& batch_names,
                                     const OnnxRuntimeOptions& options) {
  const auto known = [&](const std::string& name) {
    return std::ranges::find(outputs, name, &OnnxTensorDeclaration::name) != outputs.end();
  };
  for (const auto& [name, declared] : options.output_declarations) {
    if (!known(name)) refuse("outputs declares " + quoted(name) + ", which is no output");
  }
  const OutputSpecs specs(model, batch_names, options);
  std::vector<TensorSpec> made;
  for (const OnnxTensorDeclaration& output : outputs) {
    TensorSpec& spec = made.emplace_back(specs.make(output));
    const auto input = std::ranges::find(model.inputs, spec.name, &TensorSpec::name);
    if (input != model.inputs.end()) pass_through(spec, *input);
  }
  for (const BatchOutput& scattered : options.batch_outputs) {
    for (const std::string& name : scattered.target_names) {
      const auto target = std::ranges::find(made, name, &TensorSpec::name);
      if (target == made.end()) refuse("batch_outputs: target " + quoted(name) + " is no output");
      target->scattered_as = index_of(model.inputs, scattered.source_input,
                                      "batch_outputs: source_input of " + quoted(name));
    }
  }
  return made;
}

}  // namespace dynbatch
