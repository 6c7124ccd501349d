#include "executor/onnx_made_inputs.hpp"

#include <algorithm>
#include <set>

namespace dynbatch::onnx {
namespace {

constexpr const char* kBatchInputs = "batch_inputs";

std::string declaration_of(const std::string& name, const char* field) {
  return "inputs={\"" + name + "\": Input(" + field + "=...)}";
}

void set(std::vector<Making>& makings, const Declarations& inputs, std::size_t input, Making making,
         const std::string& option) {
  Making& place = makings[input];
  if (place.made != Made::no) {
    refuse(option + " names the input " + quoted(inputs[input].name) +
           ", which is declared as made of " + quoted(inputs[place.source].name) + " already");
  }
  place = making;
}

void check_batch_input(const BatchInput& declared) {
  if (!is_made_whole(declared.kind)) {
    refuse("batch_inputs: expected a kind of batch input, got " +
           std::string(declared.kind == Made::mask     ? "a mask"
                       : declared.kind == Made::length ? "a length"
                                                       : "none"));
  }
  if (declared.target_names.empty()) {
    refuse("batch_inputs: expected at least one target name for the source " +
           quoted(declared.source_input) + ", got none");
  }
  const DataType type = declared.data_type;
  if (type != DataType::int32 && type != DataType::int64 && type != DataType::float32) {
    refuse("batch_inputs: expected int32, int64 or float32 for " + listed(declared.target_names) +
           ", got " + name_of(type));
  }
}

void add_batch_inputs(std::vector<Making>& makings, const Declarations& inputs,
                      const OnnxRuntimeOptions& options) {
  for (const BatchInput& declared : options.batch_inputs) {
    check_batch_input(declared);
    const std::size_t source = index_of(inputs, declared.source_input, kBatchInputs);
    for (const std::string& target : declared.target_names) {
      const std::size_t input = index_of(inputs, target, kBatchInputs);
      if (inputs[input].dtype != declared.data_type) {
        refuse("batch_inputs: expected the type of input " + described(inputs[input]) + ", " +
               name_of(inputs[input].dtype) + ", got " + name_of(declared.data_type));
      }
      set(makings, inputs, input, {declared.kind, source}, kBatchInputs);
    }
  }
}

void check_sources(const std::vector<Making>& makings, const Declarations& inputs) {
  for (std::size_t input = 0; input < inputs.size(); ++input) {
    const Making& making = makings[input];
    if (making.made == Made::no || makings[making.source].made == Made::no) continue;
    refuse("input " + quoted(inputs[input].name) + " is declared as made of " +
           quoted(inputs[making.source].name) +
           ", which is itself made: expected one that callers give");
  }
}

/// What is made cannot be given in another way as well.
void check_not_declared_otherwise(const std::vector<Making>& makings, const Declarations& inputs,
                                  const OnnxRuntimeOptions& options) {
  for (std::size_t input = 0; input < inputs.size(); ++input) {
    const auto found = options.inputs.find(inputs[input].name);
    if (makings[input].made == Made::no || found == options.inputs.end()) continue;
    const InputDeclaration& declared = found->second;
    const bool places = declared.batch_axis || declared.shared;
    if (!declared.ragged && !(places && is_made_whole(makings[input].made)) &&
        !declared.shared.value_or(false)) {
      continue;
    }
    refuse("input " + quoted(inputs[input].name) + " is declared as made of " +
           quoted(inputs[makings[input].source].name) + ", and as one that callers give");
  }
}

std::set<int> dimensions_of(const TensorSpec& spec) {
  std::set<int> dimensions(spec.dimensions.begin(), spec.dimensions.end());
  dimensions.erase(TensorSpec::kStatic);
  return dimensions;
}

bool is_number_of_length(DataType type) {
  return type != DataType::boolean && type != DataType::float16 && type != DataType::bfloat16 &&
         type != DataType::float64;
}

void check_made_of_rows(const TensorSpec& made, const TensorSpec& source) {
  const bool is_mask = made.made == Made::mask;
  const std::string who =
      std::string(is_mask ? "mask " : "length ") + quoted(made.name) + " of " + quoted(source.name);
  const std::set<int> dimensions = dimensions_of(source);
  if (source.shared || made.shared) {
    refuse(who + ": expected two inputs with a batch axis, and " +
           quoted(source.shared ? source.name : made.name) + " is shared");
  }
  if (dimensions.empty()) {
    refuse(who + ": expected a source with a free dimension, got " + quoted(source.name) +
           (source.ragged ? ", which is ragged" : " with rows of " + to_string(source.row_shape)));
  }
  const std::set<int> own = dimensions_of(made);
  if (is_mask && (own.empty() || !std::ranges::includes(dimensions, own))) {
    refuse(who + ": expected free dimensions of the source and no others, got rows of " +
           to_string(made.row_shape) + " for rows of " + to_string(source.row_shape));
  }
  if (!is_mask && made.row_shape.rank() != 0) {
    refuse(who + ": expected one number a row, [batch], got rows of " + to_string(made.row_shape));
  }
  if (!is_mask && !is_number_of_length(made.dtype)) {
    refuse(who + ": expected integers or float32, got " + name_of(made.dtype));
  }
}

}  // namespace

std::vector<Making> find_makings(const Declarations& inputs, const OnnxRuntimeOptions& options) {
  std::vector<Making> makings(inputs.size());
  for (const auto& [name, declared] : options.inputs) {
    const std::size_t source = index_of(inputs, name, "inputs");
    const auto add = [&](const std::string& target, Made made, const char* field) {
      if (target.empty()) return;
      const std::string option = declaration_of(name, field);
      set(makings, inputs, index_of(inputs, target, option), {made, source}, option);
    };
    add(declared.mask, Made::mask, "mask");
    add(declared.length, Made::length, "length");
  }
  add_batch_inputs(makings, inputs, options);
  check_sources(makings, inputs);
  check_not_declared_otherwise(makings, inputs, options);
  return makings;
}

bool is_made_whole(Made made) {
  return made != Made::no && made != Made::mask && made != Made::length;
}

void check_ragged(const OnnxTensorDeclaration& input, const Dims& dims) {
  if (dims.size() == 1 && dims[0] == kFree) return;
  refuse("input " + described(input) +
         " is declared as ragged: expected one free dimension, [-1], "
         "in which the rows of all requests follow each other");
}

void check_made_whole(const OnnxTensorDeclaration& input, const Dims& dims, Made made) {
  const bool of_items = made == Made::item_shape;
  if (dims.size() == (of_items ? 2 : 1) && dims[0] == kFree) return;
  refuse("batch_inputs makes input " + described(input) + ": expected the shape " +
         (of_items ? "[-1, dimensions of an item]" : "[-1]"));
}

void check_made_rows(const std::vector<TensorSpec>& specs) {
  for (const TensorSpec& spec : specs) {
    if (spec.made == Made::mask || spec.made == Made::length) {
      check_made_of_rows(spec, specs[spec.source]);
    } else if (spec.made != Made::no && specs[spec.source].shared) {
      refuse("batch_inputs makes input " + quoted(spec.name) + " of " +
             quoted(specs[spec.source].name) + ", which is shared: expected one with rows");
    }
  }
}

}  // namespace dynbatch::onnx
