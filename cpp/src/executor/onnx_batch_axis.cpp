#include "executor/onnx_batch_axis.hpp"

#include <algorithm>
#include <cctype>

namespace dynbatch::onnx {
namespace {

using Roles = std::vector<InputRole>;

/// The name of a free dimension that has a usable one; "" for others.
std::string name_at(const InputRole& input, std::size_t axis) {
  const std::string& name = input.declaration->dimension_names[axis];
  return input.dims[axis] == kFree && is_usable(name) ? name : "";
}

/// Whether the input may have a batch axis.
bool may_be_batched(const InputRole& input) {
  return !input.ragged && !input.made_whole && !input.dims.empty() &&
         !input.declared.shared.value_or(false);
}

std::string all_described(const Roles& inputs) {
  Declarations declarations;
  for (const InputRole& input : inputs) declarations.push_back(*input.declaration);
  return described(declarations);
}

[[noreturn]] void fail_ambiguous(const std::vector<const InputRole*>& inputs,
                                 const std::string& why) {
  std::string names;
  std::string hints;
  for (const InputRole* input : inputs) {
    const std::string separator = names.empty() ? "" : ", ";
    names += separator + described(*input->declaration);
    hints += separator + "\"" + input->declaration->name + "\": Input(batch_axis=...)";
  }
  fail("the batch axis cannot be told of input " + names + ": " + why +
       ". Declare it with inputs={" + hints + "}");
}

/// Whether exporters call the batch so.
bool says_batch(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name == "n" || name.find("batch") != std::string::npos;
}

/// Where axis 0 is free: the batch is there, unless one other axis alone has a name that says batch.
std::size_t first_or_named_axis(const InputRole& input) {
  std::vector<std::size_t> named;
  for (std::size_t axis = 0; axis < input.dims.size(); ++axis) {
    if (says_batch(name_at(input, axis))) named.push_back(axis);
  }
  return named.size() == 1 ? named.front() : 0;
}

/// What is declared, and inputs whose axis 0 is free.
void settle_declared(InputRole& input) {
  const InputDeclaration& declared = input.declared;
  const bool says_shared = declared.shared.value_or(false);
  const std::string who = "input " + described(*input.declaration);
  if (says_shared && declared.batch_axis) {
    refuse(who + " is declared as shared, and with the batch axis " +
           std::to_string(*declared.batch_axis));
  }
  if (input.dims.empty() && (declared.batch_axis || declared.shared == false)) {
    refuse(who + " is declared to have a batch axis, and is a scalar");
  }
  if (!may_be_batched(input)) return;
  if (declared.batch_axis && *declared.batch_axis >= input.dims.size()) {
    refuse(who + " is declared with the batch axis " + std::to_string(*declared.batch_axis) +
           ", and there is no such axis");
  }
  if (declared.batch_axis) {
    input.batch_axis = declared.batch_axis;
  } else if (input.dims[0] == kFree) {
    input.batch_axis = first_or_named_axis(input);
  }
}

bool has_free_batch(const InputRole& input) {
  return input.ragged || (input.batch_axis && input.dims[*input.batch_axis] == kFree);
}

std::set<std::string> names_of(const InputRole& input) {
  std::set<std::string> names;
  for (std::size_t axis = 0; axis < input.dims.size(); ++axis) {
    if (const std::string name = name_at(input, axis); !name.empty()) names.insert(name);
  }
  return names;
}

/// Where no axis 0 is free: the one name that all inputs with free dimensions have; "" if there is none.
std::string shared_name(const Roles& inputs) {
  std::vector<const InputRole*> free;
  std::set<std::string> common;
  for (const InputRole& input : inputs) {
    if (!may_be_batched(input) || !std::ranges::count(input.dims, kFree)) continue;
    std::set<std::string> names = names_of(input);
    if (!free.empty())
      std::erase_if(names, [&](const auto& name) { return !common.contains(name); });
    common = std::move(names);
    free.push_back(&input);
  }
  if (common.size() != 1) return "";
  const std::string& name = *common.begin();
  const bool may_be_fixed = std::ranges::all_of(
      free, [&](const InputRole* input) { return input->dims[0] == free[0]->dims[0]; });
  if (may_be_fixed && !says_batch(name)) {
    fail_ambiguous(free,
                   quoted(name) +
                       " may be the batch, or the leading dimension, which is static. "
                       "Re-export the model with a dynamic leading dimension if rows lie along it");
  }
  return name;
}

void settle_by_name(InputRole& input, const std::set<std::string>& batch_names) {
  if (input.batch_axis || !may_be_batched(input)) return;
  for (std::size_t axis = 1; axis < input.dims.size(); ++axis) {
    if (!batch_names.contains(name_at(input, axis))) continue;
    if (input.batch_axis) fail_ambiguous({&input}, "it has the name of a batch twice");
    input.batch_axis = axis;
  }
  if (!input.batch_axis && input.declared.shared == false) input.batch_axis = 0;
}

void check_unambiguous(const Roles& inputs, const std::set<std::string>& batch_names) {
  std::vector<const InputRole*> ambiguous;
  for (const InputRole& input : inputs) {
    if (!input.batch_axis || input.declared.batch_axis) continue;
    for (std::size_t axis = 0; axis < input.dims.size(); ++axis) {
      if (axis == *input.batch_axis || !batch_names.contains(name_at(input, axis))) continue;
      ambiguous.push_back(&input);
      break;
    }
  }
  if (!ambiguous.empty()) fail_ambiguous(ambiguous, "axes have the name of a batch elsewhere");
}

// Fixed batches.

std::int64_t batch_of(const InputRole& input) { return input.dims[input.batch_axis.value_or(0)]; }

[[noreturn]] void fail_static_one(const InputRole& input) {
  const std::size_t axis = input.batch_axis.value_or(0);
  const bool free = is_free(*input.declaration, axis);
  fail("input " + described(*input.declaration) + " has the " +
       (axis == 0 ? "leading dimension 1, " : "batch 1 on axis " + std::to_string(axis) + ", ") +
       (free ? "to which dimensions binds it: leave the batch axis free"
             : "which is static, so that no two rows can run together: re-export the model with a "
               "dynamic batch axis (torch.onnx.export: dynamic_axes or dynamic_shapes)"));
}

/// The batch to which the batch axis of an input is fixed; throws where that is no batch.
std::size_t fixed_batch_of(const InputRole& input) {
  if (batch_of(input) == 1) fail_static_one(input);
  if (batch_of(input) < 1) {
    fail("input " + described(*input.declaration) + " has no rows: its batch axis is " +
         std::to_string(batch_of(input)));
  }
  return static_cast<std::size_t>(batch_of(input));
}

/// Where no batch axis is free, static leading dimensions may be a fixed batch.
std::size_t find_fixed_batch(Roles& inputs) {
  std::vector<InputRole*> batched;
  for (InputRole& input : inputs) {
    if (may_be_batched(input)) batched.push_back(&input);
  }
  for (const InputRole* input : batched) {
    if (batch_of(*input) == 1) fail_static_one(*input);
  }
  const bool same = std::ranges::all_of(
      batched, [&](const InputRole* input) { return batch_of(*input) == batch_of(*batched[0]); });
  if (batched.empty() || !same) {
    fail("no input has a batch axis: " + all_described(inputs) +
         ". Re-export the model with a dynamic leading dimension, or declare which inputs are "
         "shared if the others have a fixed batch");
  }
  const std::size_t rows = fixed_batch_of(*batched[0]);
  for (InputRole* input : batched) input->batch_axis = input->batch_axis.value_or(0);
  return rows;
}

/// Inputs that are declared to have a batch axis, though it is static, fix the batch of the others.
std::size_t declared_fixed_batch(const Roles& inputs) {
  std::size_t fixed = 0;
  for (const InputRole& input : inputs) {
    if (!input.batch_axis || has_free_batch(input)) continue;
    const std::size_t rows = fixed_batch_of(input);
    if (fixed != 0 && fixed != rows) {
      fail("inputs have the fixed batches " + std::to_string(fixed) + " and " +
           std::to_string(rows) + ": " + all_described(inputs));
    }
    fixed = rows;
  }
  return fixed;
}

}  // namespace

BatchAxes find_batch_axes(Roles& inputs) {
  BatchAxes found;
  for (InputRole& input : inputs) settle_declared(input);
  const auto has_axis = [](const InputRole& input) { return input.ragged || input.batch_axis; };
  if (std::ranges::none_of(inputs, has_axis)) {
    if (std::string name = shared_name(inputs); !name.empty()) found.names.insert(std::move(name));
  }
  for (const InputRole& input : inputs) {
    if (!input.batch_axis) continue;
    const std::string name = name_at(input, *input.batch_axis);
    if (!name.empty()) found.names.insert(name);
  }
  for (InputRole& input : inputs) settle_by_name(input, found.names);
  check_unambiguous(inputs, found.names);
  found.fixed_batch = std::ranges::any_of(inputs, has_free_batch) ? declared_fixed_batch(inputs)
                                                                  : find_fixed_batch(inputs);
  return found;
}

}  // namespace dynbatch::onnx
