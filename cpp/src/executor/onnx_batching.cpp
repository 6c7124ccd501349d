#include "executor/onnx_batching.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "executor/onnx_shapes.hpp"
#include "executor/onnx_words.hpp"

namespace dynbatch {
namespace {

using namespace onnx_words;

using Dims = std::vector<std::int64_t>;
using Declarations = std::vector<OnnxTensorDeclaration>;

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
  std::optional<std::size_t> declared_axis;
  std::size_t batch_axis = 0;
  bool ragged = false;
  Made made = Made::no;  // one of Triton's: made whole, so that it has no batch axis
  bool is_searched() const noexcept { return !ragged && made == Made::no; }
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
  const std::int64_t batch = input.dims[input.batch_axis];
  if (batch == 1) fail_static_one(input);
  if (batch < 1) {
    fail("input " + described(input.declaration) + " has no rows: its leading dimension is " +
         std::to_string(batch));
  }
  return static_cast<std::size_t>(batch);
}

/// Where no leading dimension is dynamic, the static ones may be a fixed batch.
std::size_t find_fixed_batch(std::vector<Candidate>& inputs, const Declarations& declarations) {
  std::vector<Candidate*> batched;
  for (Candidate& input : inputs) {
    if (input.is_searched() && !input.dims.empty() && !input.declared.value_or(false))
      batched.push_back(&input);
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

bool says_batch(const std::string& name) {
  std::string lower;
  for (const char letter : name)
    lower.push_back(letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a')
                                                   : letter);
  return lower == "n" || lower.find("batch") != std::string::npos;
}

const std::string& name_at(const Candidate& input, std::size_t axis) {
  return input.declaration.dimension_names[axis];
}

bool is_named(const Candidate& input, std::size_t axis) {
  return input.dims[axis] == kFree && !name_at(input, axis).empty() &&
         name_at(input, axis) != kNoName;
}

/// The axis of an input whose name says that it is the batch, if another than the first one does.
std::optional<std::size_t> axis_that_says_batch(const Candidate& input) {
  if (input.dims.empty() || (is_named(input, 0) && says_batch(name_at(input, 0)))) return {};
  for (std::size_t axis = 1; axis < input.dims.size(); ++axis) {
    if (is_named(input, axis) && says_batch(name_at(input, axis))) return axis;
  }
  return {};
}

/// Where the names of the batch axis, or the lack of other free axes, say that it is.
std::optional<std::size_t> axis_by_name(const Candidate& input,
                                        const std::set<std::string>& names) {
  std::vector<std::size_t> free;
  std::vector<std::size_t> named;
  for (std::size_t axis = 0; axis < input.dims.size(); ++axis) {
    if (input.dims[axis] != kFree) continue;
    free.push_back(axis);
    if (is_named(input, axis) && names.contains(name_at(input, axis))) named.push_back(axis);
  }
  if (named.size() > 1) {
    fail("input " + described(input.declaration) +
         " has the batch's name on several axes: say which is meant, "
         "inputs={name: Input(batch_axis=...)}");
  }
  if (named.size() == 1) return named.front();
  if (free.size() == 1 && !is_named(input, free.front())) return free.front();
  return {};
}

/// The names that the batch axis has.
std::set<std::string> batch_names(const std::vector<Candidate>& inputs) {
  std::set<std::string> names;
  for (const Candidate& input : inputs) {
    if (!input.is_searched() || input.shared || input.dims.empty()) continue;
    if (input.dims[input.batch_axis] == kFree && is_named(input, input.batch_axis))
      names.insert(name_at(input, input.batch_axis));
  }
  return names;
}

/// Axes that are said, or are the first ones, or say it by their own names.
void settle_plain_axes(std::vector<Candidate>& inputs) {
  for (Candidate& input : inputs) {
    if (!input.is_searched()) continue;
    if (input.dims.empty() && (input.declared == false || input.declared_axis)) {
      refuse("input " + described(input.declaration) +
             " is declared to have a batch axis, and is a scalar");
    }
    if (input.declared_axis) {
      if (*input.declared_axis >= input.dims.size()) {
        refuse("inputs declares the batch axis " + std::to_string(*input.declared_axis) +
               " of input " + described(input.declaration) + ", and there is no such axis");
      }
      if (input.declared == true)
        refuse("inputs declares input " + described(input.declaration) +
               " both shared and with a batch axis");
      input.batch_axis = *input.declared_axis;
      input.shared = false;
      continue;
    }
    if (!input.declared) {
      if (const auto axis = axis_that_says_batch(input)) input.batch_axis = *axis;
    }
    const bool dynamic = !input.dims.empty() && input.dims[input.batch_axis] == kFree;
    input.shared = input.declared.value_or(!dynamic);
  }
}

/// Settles which inputs are shared and where the batch is, and returns the fixed batch or 0.
std::size_t find_batch_axis(std::vector<Candidate>& inputs, const Declarations& declarations) {
  settle_plain_axes(inputs);
  const std::set<std::string> names = batch_names(inputs);
  bool any_dynamic = false;
  for (Candidate& input : inputs) {
    if (input.ragged) any_dynamic = true;
    if (!input.is_searched()) continue;
    if (input.shared && !input.declared) {
      // As a state of [2, batch, 128] has it.
      if (const auto axis = axis_by_name(input, names)) {
        input.batch_axis = *axis;
        input.shared = false;
      }
    }
    any_dynamic = any_dynamic || (!input.shared && input.dims[input.batch_axis] == kFree);
  }
  if (!any_dynamic) return find_fixed_batch(inputs, declarations);
  std::size_t fixed = 0;
  for (const Candidate& input : inputs) {
    if (!input.is_searched() || input.shared || input.dims[input.batch_axis] == kFree) continue;
    const std::size_t rows = fixed_batch_of(input);  // declared batched, though static
    if (fixed != 0 && fixed != rows) {
      fail("inputs have the fixed batches " + std::to_string(fixed) + " and " +
           std::to_string(rows) + ": " + described(declarations));
    }
    fixed = rows;
  }
  return fixed;
}

// What stays free.

/// "\"height\": value", or "(\"x\", 2): value" where a name would not tell the axis.
std::string binding_hint(const OnnxTensorDeclaration& input, std::size_t axis) {
  const std::string& name = input.dimension_names[axis];
  const bool by_name = !name.empty() && name != kNoName;
  return by_name ? "\"" + name + "\": value"
                 : "(\"" + input.name + "\", " + std::to_string(axis) + "): value";
}

/// A shared input has one shape for all requests.
void check_shared_are_bound(const std::vector<Candidate>& inputs) {
  std::vector<std::string> hints;
  std::string unbound;
  for (const Candidate& input : inputs) {
    if (!input.shared) continue;
    bool any = false;
    for (std::size_t axis = 0; axis < input.dims.size(); ++axis) {
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
  fail("dimensions are free in the shared input " + unbound + ": bind them with dimensions={" +
       bindings + "}, or say where its batch is (inputs={name: Input(batch_axis=...)})");
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

}  // namespace

BoundInputs bind_inputs(const Declarations& inputs, const OnnxRuntimeOptions& options) {
  check_names(inputs, options);
  check_axes(inputs, options);
  for (const auto& [name, declared] : options.inputs) input_named(inputs, name, "inputs");
  const std::map<std::string, const BatchInput*> counted = counted_inputs(inputs, options);

  std::vector<Candidate> candidates;
  std::vector<Dims> bound;
  for (const OnnxTensorDeclaration& input : inputs) {
    bound.push_back(bind(input, options));
    Candidate& candidate = candidates.emplace_back(
        Candidate{.declaration = input, .dims = bound.back(), .declared = {}, .declared_axis = {}});
    if (const auto made = counted.find(input.name); made != counted.end())
      candidate.made = made->second->kind;
    const auto declared = options.inputs.find(input.name);
    if (declared == options.inputs.end()) continue;
    candidate.declared = declared->second.shared;
    candidate.declared_axis = declared->second.batch_axis;
    candidate.ragged = declared->second.ragged;
  }
  BoundInputs result;
  result.fixed_batch = find_batch_axis(candidates, inputs);
  check_shared_are_bound(candidates);
  const std::set<std::string> names = batch_names(candidates);
  result.batch_names.assign(names.begin(), names.end());
  FreeDimensions free;
  for (const Candidate& input : candidates) {
    TensorSpec& spec = result.specs.emplace_back(
        make_spec(input.declaration, input.dims, input.shared, input.batch_axis));
    if (input.ragged) {
      make_ragged(spec, input.declaration);
    } else if (input.made != Made::no) {
      spec = make_counted(input.declaration, input.made);
    } else if (!input.shared) {
      free.set(spec, input.declaration);
    }
  }
  result.dimensions = free.take(inputs);
  declare_pads(result.specs, options);
  declare_made(result.specs, options, counted);
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

ModelSpec make_model_spec(BoundInputs inputs, const Declarations& outputs,
                          const OnnxRuntimeOptions& options) {
  ModelSpec spec{.inputs = std::move(inputs.specs),
                 .outputs = {},
                 .fixed_batch = inputs.fixed_batch,
                 .dimensions = std::move(inputs.dimensions)};
  spec.outputs = output_specs(outputs, spec, inputs.batch_names, options);
  return spec;
}

OnnxBatching onnx_batching(const Declarations& inputs, const Declarations& outputs,
                           const OnnxRuntimeOptions& options) {
  check_declared("input", inputs);
  check_declared("output", outputs);
  BoundInputs bound = bind_inputs(inputs, options);
  auto overrides = bound.overrides;
  return {.spec = make_model_spec(std::move(bound), wanted_outputs(outputs, options), options),
          .overrides = std::move(overrides)};
}

}  // namespace dynbatch
