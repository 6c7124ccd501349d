#include "runtime/compile_checks.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "executor/onnx_messages.hpp"
#include "runtime/gear_names.hpp"

namespace dynbatch {
namespace {

using Dims = std::vector<std::int64_t>;
using Declarations = std::vector<OnnxTensorDeclaration>;

constexpr std::int64_t kFree = -1;
constexpr std::int64_t kLargestRecommended = 2048;  // batch, by ATC's own documentation

[[noreturn]] void fail(const char* code, const char* option, std::string given,
                       std::string allowed) {
  throw CompileError(code, option, std::move(given), std::move(allowed));
}

std::string text_of(const InputShape& shape) {
  std::string text;
  for (const std::int64_t dim : shape.dims) text += (text.empty() ? "" : ",") + std::to_string(dim);
  return shape.name + ":" + text;
}

void check_dimension_names(const CompileOptions& options, const Declarations& inputs) {
  std::set<std::string> known;
  for (const OnnxTensorDeclaration& input : inputs) {
    for (std::size_t axis = 0; axis < input.shape.size(); ++axis) {
      if (onnx::is_free(input, axis) && !input.dimension_names[axis].empty())
        known.insert(input.dimension_names[axis]);
    }
  }
  for (const auto& [name, value] : options.dimensions) {
    const std::string given = name + "=" + std::to_string(value);
    if (!known.contains(name)) {
      fail("E10001", "dimension", given,
           "one of the free dimensions of the inputs: " +
               onnx::listed({known.begin(), known.end()}));
    }
    if (value < 1) fail("E10001", "dimension", given, "a size above 0");
  }
}

std::optional<std::int64_t> bound(const CompileOptions& options, const OnnxTensorDeclaration& input,
                                  std::size_t axis) {
  if (!onnx::is_free(input, axis)) return std::nullopt;
  const auto found = options.dimensions.find(input.dimension_names[axis]);
  if (found == options.dimensions.end()) return std::nullopt;
  return found->second;
}

void check_rank(const InputShape& shape, const OnnxTensorDeclaration& input, bool of_batches) {
  if (shape.dims.size() == input.shape.size()) return;
  const bool is_empty = shape.dims.empty() && of_batches;
  fail(is_empty ? "E10012" : "E10001", "input_shape", text_of(shape),
       std::to_string(input.shape.size()) + " dimensions, as the model's input " +
           onnx::described(input) + " has them");
}

/// Binds what is bound by name, and checks what the model fixes.
void fit_shape(InputShape& shape, const OnnxTensorDeclaration& input,
               const CompileOptions& options) {
  const std::string given = text_of(shape);
  for (std::size_t axis = 0; axis < shape.dims.size(); ++axis) {
    std::int64_t& dim = shape.dims[axis];
    if (const auto value = bound(options, input, axis)) {
      if (dim != kFree && dim != *value) {
        fail("E10001", "input_shape", given,
             std::to_string(*value) + " in dimension " + std::to_string(axis) +
                 ", to which --dimension binds '" + input.dimension_names[axis] + "'");
      }
      dim = *value;
    } else if (!onnx::is_free(input, axis) && dim != input.shape[axis]) {
      fail("E10001", "input_shape", given,
           std::to_string(input.shape[axis]) + " in dimension " + std::to_string(axis) +
               ", which the model fixes: its input is " + onnx::described(input) +
               (dim == kFree ? "; export it with that dimension free" : ""));
    }
  }
}

/// As the model declares it.
InputShape declared_shape(const OnnxTensorDeclaration& input, const CompileOptions& options) {
  InputShape shape{input.name, input.shape};
  for (std::size_t axis = 0; axis < shape.dims.size(); ++axis) {
    if (!onnx::is_free(input, axis)) continue;
    const auto value = bound(options, input, axis);
    if (!value) {
      fail("E10001", "input_shape", options.input_shape.value_or("none"),
           "a shape for " + onnx::described(input) +
               ", which the model leaves free, or --dimension for its names");
    }
    shape.dims[axis] = *value;
  }
  return shape;
}

void fit_shapes(GearRequest& request, const CompileOptions& options, const Declarations& inputs) {
  const bool has_gears = !request.option.empty();
  if (has_gears && request.shapes.size() != inputs.size()) {
    fail("E10001", "input_shape", options.input_shape.value_or(""),
         "all " + std::to_string(inputs.size()) + " inputs with --" + request.option + ": " +
             onnx::described(inputs));
  }
  for (InputShape& shape : request.shapes) {
    const auto input = std::ranges::find(inputs, shape.name, &OnnxTensorDeclaration::name);
    if (input == inputs.end())
      fail("E10001", "input_shape", text_of(shape),
           "inputs of the model: " + onnx::described(inputs));
    check_rank(shape, *input, request.option == "dynamic_batch_size");
    fit_shape(shape, *input, options);
  }
  for (const OnnxTensorDeclaration& input : inputs) {
    if (std::ranges::count(request.shapes, input.name, &InputShape::name) == 0)
      request.shapes.push_back(declared_shape(input, options));
  }
}

/// Bytes of a tensor; none if they cannot be counted.
std::optional<std::size_t> bytes_of(DataType dtype, const Dims& shape) {
  std::size_t bytes = size_of(dtype);
  for (const std::int64_t dim : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(dim), &bytes)) return std::nullopt;
  }
  return bytes;
}

std::optional<std::size_t> input_bytes(const CompiledModel& model, std::size_t gear) {
  const std::vector<Dims> shapes = model.input_shapes(gear);
  std::size_t total = 0;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const auto bytes = bytes_of(model.inputs[i].dtype, shapes[i]);
    if (!bytes || __builtin_add_overflow(total, *bytes, &total)) return std::nullopt;
  }
  return total;
}

}  // namespace

CompiledModel fit_request(GearRequest request, const CompileOptions& options,
                          const Declarations& inputs) {
  check_dimension_names(options, inputs);
  fit_shapes(request, options, inputs);
  check_free_dimensions(request, options);
  CompiledModel model;
  model.kind = request.kind;
  for (const InputShape& shape : request.shapes) {
    const auto input = std::ranges::find(inputs, shape.name, &OnnxTensorDeclaration::name);
    model.inputs.push_back({shape.name, input->dtype, shape.dims});
  }
  for (Dims& sizes : request.gears) model.gears.push_back({std::move(sizes), {}, 0.0});
  if (model.gears.empty()) model.gears.emplace_back();
  if (!options.fixed) return model;
  const std::vector<Dims> shapes = model.input_shapes(0);
  for (std::size_t i = 0; i < shapes.size(); ++i) model.inputs[i].shape = shapes[i];
  model.gears.front().sizes.clear();
  return model;
}

void check_batch_axes(const CompiledModel& model, const CompileOptions& options,
                      const OnnxModelDescription& description) {
  if (model.kind != GearKind::batch) return;
  ModelSpec spec;
  try {
    spec = onnx_batching(description.inputs, {}, with_onnx_declarations({}, description.metadata))
               .spec;
  } catch (const Error&) {
    return;  // where the batch is cannot be told
  }
  for (const TensorSpec& input : spec.inputs) {
    const auto compiled = std::ranges::find(model.inputs, input.name, &CompiledInput::name);
    const bool is_fixed = compiled->shape.empty() || compiled->shape.front() != kFree;
    if (is_fixed || input.shared || input.ragged || input.batch_axis == 0) continue;
    fail("E10018", "input_shape", options.input_shape.value_or(""),
         "-1 in the batch axis of input " + onnx::quoted(input.name) + ", which is dimension " +
             std::to_string(input.batch_axis) +
             ": for a batch axis that is not first, use --dynamic_dims with --input_format=ND");
  }
}

void warn_of_sizes(const GearRequest& request, std::vector<std::string>& warnings) {
  if (request.kind != GearKind::batch) return;
  std::string large;
  for (const Dims& sizes : request.gears) {
    if (sizes.front() <= kLargestRecommended) continue;
    large += (large.empty() ? "" : ", ") + std::to_string(sizes.front());
  }
  if (large.empty()) return;
  warnings.push_back("--dynamic_batch_size: " + large + " is above " +
                     std::to_string(kLargestRecommended) + ", the largest that is recommended");
}

std::vector<std::size_t> checked_input_bytes(const CompiledModel& model, const std::string& option,
                                             std::size_t memory_bytes) {
  std::vector<std::size_t> all;
  for (std::size_t gear = 0; gear < model.gears.size(); ++gear) {
    const auto bytes = input_bytes(model, gear);
    if (!bytes || *bytes > memory_bytes) {
      fail("E19999", option.empty() ? "input_shape" : option.c_str(),
           gear_name(model, gear) + " (" + (bytes ? std::to_string(*bytes) : "uncountable") +
               " bytes of inputs)",
           "gears that the memory of " + std::to_string(memory_bytes) +
               " bytes holds: give fewer or smaller gears");
    }
    all.push_back(*bytes);
  }
  return all;
}

std::string output_path(const std::string& model_path, const CompileOptions& options) {
  if (!options.output) fail("E10058", "output", "none", "the name of the file to write");
  std::filesystem::path output(*options.output);
  const std::string name = output.filename().string();
  if (name.empty() || name == "." || name == "..")
    fail("E10001", "output", output.string(), "the name of a file");
  if (output.extension().empty()) output += ".om";
  std::error_code error;
  if (std::filesystem::is_directory(output, error))
    fail("E10001", "output", output.string(), "a file, and this is a folder");
  const std::filesystem::path folder = output.parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder, error))
    fail("E10001", "output", output.string(), "a file in a folder that exists");
  if (std::filesystem::equivalent(output, model_path, error))
    fail("E10001", "output", output.string(), "another file than the model, which is kept");
  return output.string();
}

}  // namespace dynbatch
