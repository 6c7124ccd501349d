#include "executor/onnx_dimensions.hpp"

#include <algorithm>
#include <map>

namespace dynbatch::onnx {
namespace {

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
             listed({known.begin(), known.end()}));
    }
    if (value < 0)
      refuse("dimensions gives " + quoted(name) + " the value " + std::to_string(value));
  }
}

void check_axes(const Declarations& inputs, const OnnxRuntimeOptions& options) {
  for (const auto& [place, value] : options.input_dimensions) {
    const OnnxTensorDeclaration& input = inputs[index_of(inputs, place.input, "dimensions")];
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

}  // namespace

void check_bindings(const Declarations& inputs, const OnnxRuntimeOptions& options) {
  check_names(inputs, options);
  check_axes(inputs, options);
}

Dims bound_dims(const OnnxTensorDeclaration& input, const OnnxRuntimeOptions& options) {
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

std::string binding_hint(const OnnxTensorDeclaration& input, std::size_t axis) {
  const std::string& name = input.dimension_names[axis];
  return is_usable(name) ? "\"" + name + "\": value"
                         : "(\"" + input.name + "\", " + std::to_string(axis) + "): value";
}

int FreeDimensions::index_of(const OnnxTensorDeclaration& input, std::size_t axis) {
  const std::string& own = input.dimension_names[axis];
  const bool by_name = is_usable(own) && !batch_names_.contains(own);
  const std::string name = by_name ? own : input.name + "[" + std::to_string(axis) + "]";
  const int found = find(name);
  if (found != TensorSpec::kStatic) return found;
  dimensions_.push_back({name});
  return static_cast<int>(dimensions_.size()) - 1;
}

int FreeDimensions::find(const std::string& name) const {
  const auto found = std::ranges::find(dimensions_, name, &FreeDimension::name);
  return found == dimensions_.end() ? TensorSpec::kStatic
                                    : static_cast<int>(found - dimensions_.begin());
}

std::vector<FreeDimension> FreeDimensions::take() {
  if (dimensions_.size() > ModelSpec::kMaxDimensions) {
    std::vector<std::string> names;
    for (const FreeDimension& one : dimensions_) names.push_back(one.name);
    fail("the inputs have " + std::to_string(names.size()) +
         " free dimensions other than the batch, and at most " +
         std::to_string(ModelSpec::kMaxDimensions) + " are supported: " + listed(names) +
         ". Bind some of them with dimensions={...}");
  }
  return std::move(dimensions_);
}

}  // namespace dynbatch::onnx
