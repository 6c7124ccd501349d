#include "executor/onnx_batching.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>

namespace dynbatch {
namespace {

using Dims = std::vector<std::int64_t>;
using Declarations = std::vector<OnnxTensorDeclaration>;

constexpr std::int64_t kFree = -1;
// What exporters write where they have no name; two dimensions called so need not be equal.
constexpr const char* kNoName = "?";

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorCode::model, message); }
[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

bool is_free(const OnnxTensorDeclaration& input, std::size_t axis) { return input.shape[axis] < 0; }

std::string quoted(const std::string& name) { return "'" + name + "'"; }

template <class Names>
std::string listed(const Names& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + quoted(name);
  return text.empty() ? "none" : text;
}

/// "'x' [batch, 3, ?, 320]".
std::string described(const OnnxTensorDeclaration& declaration) {
  std::string text;
  for (std::size_t axis = 0; axis < declaration.shape.size(); ++axis) {
    const std::string& name = declaration.dimension_names[axis];
    text += axis == 0 ? "" : ", ";
    text += !is_free(declaration, axis) ? std::to_string(declaration.shape[axis])
            : name.empty()              ? kNoName
                                        : name;
  }
  return quoted(declaration.name) + " [" + text + "]";
}

std::string described(const Declarations& declarations) {
  std::string text;
  for (const OnnxTensorDeclaration& one : declarations) {
    text += (text.empty() ? "" : ", ") + described(one);
  }
  return text;
}

const OnnxTensorDeclaration& input_named(const Declarations& inputs, const std::string& name,
                                         const char* option) {
  const auto found = std::ranges::find(inputs, name, &OnnxTensorDeclaration::name);
  if (found != inputs.end()) return *found;
  std::vector<std::string> names;
  for (const OnnxTensorDeclaration& input : inputs) names.push_back(input.name);
  refuse(std::string(option) + " names the input " + quoted(name) + ", and the model has " +
         listed(names));
}

// Binding free dimensions.

void check_names(const Declarations& inputs, const OnnxRuntimeOptions& options) {
  std::set<std::string> known;
  for (const OnnxTensorDeclaration& input : inputs) {
    for (std::size_t axis = 0; axis < input.shape.size(); ++axis) {
      if (is_free(input, axis) && !input.dimension_names[axis].empty()) {
        known.insert(input.dimension_names[axis]);
      }
    }
  }
  for (const auto& [name, value] : options.dimensions) {
    if (!known.contains(name)) {
      refuse("dimensions names " + quoted(name) + ", and the free dimensions of the inputs are " +
             listed(known));
    }
    if (value < 0)
      refuse("dimensions gives " + quoted(name) + " the value " + std::to_string(value));
  }
}

void check_axes(const Declarations& inputs, const OnnxRuntimeOptions& options) {
  for (const auto& [place, value] : options.input_dimensions) {
    const OnnxTensorDeclaration& input = input_named(inputs, place.input, "dimensions");
    const std::string where = "dimensions gives axis " + std::to_string(place.axis) + " of input " +
                              described(input) + " the value " + std::to_string(value);
    if (place.axis >= input.shape.size()) refuse(where + ", and there is no such axis");
    if (value < 0) refuse(where);
    if (!is_free(input, place.axis) && input.shape[place.axis] != value) {
      refuse(where + ", and it is not free");
    }
    const auto named = options.dimensions.find(input.dimension_names[place.axis]);
    if (named != options.dimensions.end() && named->second != value) {
      refuse(where + ", and " + quoted(named->first) + " the value " +
             std::to_string(named->second));
    }
  }
}

Dims bind(const OnnxTensorDeclaration& input, const OnnxRuntimeOptions& options) {
  Dims dims = input.shape;
  for (std::size_t axis = 0; axis < dims.size(); ++axis) {
    if (!is_free(input, axis)) continue;
    dims[axis] = kFree;
    const auto named = options.dimensions.find(input.dimension_names[axis]);
    if (named != options.dimensions.end()) dims[axis] = named->second;
    const auto placed = options.input_dimensions.find({input.name, axis});
    if (placed != options.input_dimensions.end()) dims[axis] = placed->second;
  }
  return dims;
}

std::vector<std::pair<std::string, std::int64_t>> overrides_by_name(
    const Declarations& inputs, const std::vector<Dims>& bound) {
  std::map<std::string, std::set<std::int64_t>> values;
  for (std::size_t index = 0; index < inputs.size(); ++index) {
    for (std::size_t axis = 0; axis < bound[index].size(); ++axis) {
      if (is_free(inputs[index], axis)) {
        values[inputs[index].dimension_names[axis]].insert(bound[index][axis]);
      }
    }
  }
  std::vector<std::pair<std::string, std::int64_t>> overrides;
  for (const auto& [name, distinct] : values) {
    if (!name.empty() && distinct.size() == 1 && *distinct.begin() > 0) {
      overrides.emplace_back(name, *distinct.begin());
    }
  }
  return overrides;
}

// Finding the batch axis.

/// What is known of one input while its batch axis is looked for.
struct Candidate {
  const OnnxTensorDeclaration& declaration;
  Dims dims;                     // bound
  std::optional<bool> declared;  // shared, as the options say
  bool shared = false;
};

[[noreturn]] void fail_static_one(const Candidate& input) {
  fail("input " + described(input.declaration) + " has the leading dimension 1, " +
       (is_free(input.declaration, 0)
            ? "to which dimensions binds it: leave the batch axis free"
            : "which is static, so that no two rows can run together: re-export the model with a "
              "dynamic batch axis (torch.onnx.export: dynamic_axes or dynamic_shapes)"));
}

/// The batch to which the leading dimension of an input is fixed; throws where that is no batch.
std::size_t fixed_batch_of(const Candidate& input) {
  if (input.dims[0] == 1) fail_static_one(input);
  if (input.dims[0] < 1) {
    fail("input " + described(input.declaration) + " has no rows: its leading dimension is " +
         std::to_string(input.dims[0]));
  }
  return static_cast<std::size_t>(input.dims[0]);
}

/// Where no leading dimension is dynamic, the static ones may be a fixed batch.
std::size_t find_fixed_batch(std::vector<Candidate>& inputs, const Declarations& declarations) {
  std::vector<Candidate*> batched;
  for (Candidate& input : inputs) {
    if (!input.dims.empty() && !input.declared.value_or(false)) batched.push_back(&input);
  }
  for (const Candidate* input : batched) {
    if (input->dims[0] == 1) fail_static_one(*input);
  }
  const bool same = std::ranges::all_of(
      batched, [&](const Candidate* input) { return input->dims[0] == batched[0]->dims[0]; });
  if (batched.empty() || !same) {
    fail("no input has a batch axis: " + described(declarations) +
         ". Re-export the model with a dynamic leading dimension, or declare which inputs are "
         "shared if the others have a fixed batch");
  }
  const std::size_t rows = fixed_batch_of(*batched[0]);
  for (Candidate* input : batched) input->shared = false;
  return rows;
}

/// Settles which inputs are shared, and returns the fixed batch or 0.
std::size_t find_batch_axis(std::vector<Candidate>& inputs, const Declarations& declarations) {
  bool any_dynamic = false;
  std::size_t fixed = 0;
  for (Candidate& input : inputs) {
    if (input.dims.empty() && input.declared == false) {
      refuse("input " + described(input.declaration) +
             " is declared to have a batch axis, and is a scalar");
    }
    const bool dynamic = !input.dims.empty() && input.dims[0] == kFree;
    input.shared = input.declared.value_or(!dynamic);
    any_dynamic = any_dynamic || (dynamic && !input.shared);
  }
  if (!any_dynamic) return find_fixed_batch(inputs, declarations);
  for (const Candidate& input : inputs) {
    if (input.shared || input.dims[0] == kFree) continue;
    const std::size_t rows = fixed_batch_of(input);  // declared batched, though static
    if (fixed != 0 && fixed != rows) {
      fail("inputs have the fixed batches " + std::to_string(fixed) + " and " +
           std::to_string(rows) + ": " + described(declarations));
    }
    fixed = rows;
  }
  return fixed;
}

// Refusing what stays free.

void check_batch_axis_is_first(const std::vector<Candidate>& inputs) {
  std::map<std::string, std::string> batch_names;  // with the input that has it
  for (const Candidate& input : inputs) {
    if (input.shared || input.dims[0] != kFree) continue;
    const std::string& name = input.declaration.dimension_names[0];
    if (!name.empty() && name != kNoName) batch_names.emplace(name, input.declaration.name);
  }
  for (const Candidate& input : inputs) {
    for (std::size_t axis = input.shared ? 0 : 1; axis < input.dims.size(); ++axis) {
      if (input.dims[axis] != kFree) continue;
      const auto batch = batch_names.find(input.declaration.dimension_names[axis]);
      if (batch == batch_names.end()) continue;
      fail("input " + described(input.declaration) + " has the batch axis of input " +
           quoted(batch->second) + ", " + quoted(batch->first) + ", on axis " +
           std::to_string(axis) + ": only a batch on axis 0 can be run until shapes are supported");
    }
  }
}

/// "\"height\": value", or "(\"x\", 2): value" where a name would not tell the axis.
std::string binding_hint(const OnnxTensorDeclaration& input, std::size_t axis) {
  const std::string& name = input.dimension_names[axis];
  const bool by_name = !name.empty() && name != kNoName;
  return by_name ? "\"" + name + "\": value"
                 : "(\"" + input.name + "\", " + std::to_string(axis) + "): value";
}

void check_all_bound(const std::vector<Candidate>& inputs) {
  std::vector<std::string> hints;
  std::string unbound;
  for (const Candidate& input : inputs) {
    bool any = false;
    for (std::size_t axis = input.shared ? 0 : 1; axis < input.dims.size(); ++axis) {
      if (input.dims[axis] != kFree) continue;
      any = true;
      const std::string hint = binding_hint(input.declaration, axis);
      if (!std::ranges::count(hints, hint)) hints.push_back(hint);
    }
    if (any) unbound += (unbound.empty() ? "" : ", ") + described(input.declaration);
  }
  if (hints.empty()) return;
  std::string bindings;
  for (const std::string& hint : hints) bindings += (bindings.empty() ? "" : ", ") + hint;
  fail("dimensions other than the batch are free in input " + unbound +
       ": bind them with dimensions={" + bindings + "}");
}

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

TensorSpec make_spec(const OnnxTensorDeclaration& declaration, std::span<const std::int64_t> dims,
                     bool shared) {
  if (declaration.shape.size() > Shape::kMaxRank) {
    fail(described(declaration) + " has " + std::to_string(declaration.shape.size()) +
         " dimensions, and at most " + std::to_string(Shape::kMaxRank) + " are supported");
  }
  TensorSpec spec;
  spec.name = declaration.name;
  spec.dtype = declaration.dtype;
  spec.row_shape = Shape(shared ? dims : dims.subspan(1));
  spec.shared = shared;
  if (spec.has_known_shape()) check_row_size(spec);
  return spec;
}

}  // namespace

BoundInputs bind_inputs(const Declarations& inputs, const OnnxRuntimeOptions& options) {
  check_names(inputs, options);
  check_axes(inputs, options);
  for (const auto& [name, shared] : options.shared_inputs) input_named(inputs, name, "inputs");

  std::vector<Candidate> candidates;
  std::vector<Dims> bound;
  for (const OnnxTensorDeclaration& input : inputs) {
    bound.push_back(bind(input, options));
    const auto declared = options.shared_inputs.find(input.name);
    candidates.push_back({.declaration = input,
                          .dims = bound.back(),
                          .declared = declared == options.shared_inputs.end()
                                          ? std::nullopt
                                          : std::optional<bool>(declared->second)});
  }
  BoundInputs result;
  result.fixed_batch = find_batch_axis(candidates, inputs);
  check_batch_axis_is_first(candidates);
  check_all_bound(candidates);
  for (const Candidate& input : candidates) {
    result.specs.push_back(make_spec(input.declaration, input.dims, input.shared));
  }
  result.overrides = overrides_by_name(inputs, bound);
  return result;
}

Declarations wanted_outputs(const Declarations& outputs, const OnnxRuntimeOptions& options) {
  if (options.outputs.empty()) return outputs;
  Declarations wanted;
  for (const std::string& name : options.outputs) {
    const auto found = std::ranges::find(outputs, name, &OnnxTensorDeclaration::name);
    if (found == outputs.end()) {
      std::vector<std::string> names;
      for (const OnnxTensorDeclaration& output : outputs) names.push_back(output.name);
      refuse("outputs names " + quoted(name) + ", and the model has " + listed(names));
    }
    if (std::ranges::count(options.outputs, name) > 1) {
      refuse("outputs names " + quoted(name) + " twice");
    }
    wanted.push_back(*found);
  }
  return wanted;
}

std::vector<TensorSpec> output_specs(const Declarations& outputs,
                                     const std::vector<TensorSpec>& inputs) {
  std::vector<TensorSpec> specs;
  for (const OnnxTensorDeclaration& output : outputs) {
    // ONNX Runtime tells an output of no declared shape like a scalar; neither has a known row.
    Dims dims = output.shape.empty() ? Dims{kFree, kFree} : output.shape;
    for (std::int64_t& dim : dims) dim = std::max(dim, kFree);
    TensorSpec& spec = specs.emplace_back(make_spec(output, dims, false));
    const auto input = std::ranges::find(inputs, spec.name, &TensorSpec::name);
    if (input == inputs.end()) continue;
    // The graph hands an input out again, as it is.
    if (input->shared) {
      fail("output " + quoted(spec.name) +
           " is a shared input, so it has no rows: re-export the model without this output");
    }
    spec.row_shape = input->row_shape;
    check_row_size(spec);  // the types need not be the same
  }
  return specs;
}

OnnxBatching onnx_batching(const Declarations& inputs, const Declarations& outputs,
                           const OnnxRuntimeOptions& options) {
  check_declared("input", inputs);
  check_declared("output", outputs);
  BoundInputs bound = bind_inputs(inputs, options);
  std::vector<TensorSpec> of_outputs = output_specs(wanted_outputs(outputs, options), bound.specs);
  return {.spec = {.inputs = std::move(bound.specs),
                   .outputs = std::move(of_outputs),
                   .fixed_batch = bound.fixed_batch},
          .overrides = std::move(bound.overrides)};
}

}  // namespace dynbatch
