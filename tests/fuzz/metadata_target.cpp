// Model metadata: whatever inputs and outputs a model declares and whatever is asked of them, there is
// a refusal that says why, or a spec that holds together.
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

#include "cpp/executor/ort_mutexes.hpp"
#include "fuzz/fuzz_bytes.hpp"
#include "fuzz/fuzz_target.hpp"

namespace dynbatch::testing {
namespace {

std::vector<OnnxTensorDeclaration> draw_declarations(FuzzBytes& bytes) {
  std::vector<OnnxTensorDeclaration> declarations(bytes.below(5));
  for (OnnxTensorDeclaration& one : declarations) {
    one.name = bytes.name();
    one.dtype = static_cast<DataType>(bytes.one_in(16) ? bytes.byte() : 1 + bytes.below(8));
    const std::size_t rank = bytes.one_in(16) ? bytes.below(20) : bytes.below(5);
    for (std::size_t axis = 0; axis < rank; ++axis) {
      const bool free = bytes.one_in(2);
      one.shape.push_back(free ? -1 : bytes.dimension());
      if (!bytes.one_in(64)) one.dimension_names.push_back(bytes.name());
    }
  }
  return declarations;
}

InputDeclaration draw_input(FuzzBytes& bytes) {
  InputDeclaration input;
  if (bytes.one_in(2)) input.shared = bytes.one_in(2);
  if (bytes.one_in(4)) input.batch_axis = bytes.size();
  if (bytes.one_in(4)) input.pad = bytes.one_in(2) ? bytes.real() : bytes.byte();
  if (bytes.one_in(4)) input.mask = bytes.name();
  if (bytes.one_in(8)) input.length = bytes.name();
  input.ragged = bytes.one_in(8);
  return input;
}

OutputDeclaration draw_output(FuzzBytes& bytes) {
  OutputDeclaration output;
  if (bytes.one_in(4)) output.shared = bytes.one_in(2);
  if (bytes.one_in(4)) output.batch_axis = bytes.size();
  if (bytes.one_in(4)) output.rows_per_row = bytes.size();
  if (bytes.one_in(4)) output.trim = bytes.name();
  return output;
}

/// Mostly words of the format, in any order.
std::string draw_text(FuzzBytes& bytes) {
  static constexpr const char* kWords[] = {"input ",
                                           "output ",
                                           "batch_input ",
                                           "batch_output ",
                                           "x ",
                                           "\n",
                                           "pad=1 ",
                                           "mask=y ",
                                           "ragged=true ",
                                           "shared=false ",
                                           "trim=x ",
                                           "\"y\" ",
                                           "batch_axis=1 ",
                                           "rows_per_row=2 ",
                                           "data_type=FP32 ",
                                           "# ",
                                           "length=",
                                           "source_input=x ",
                                           "target_name=\"a b\" ",
                                           "kind=BATCH_ELEMENT_COUNT ",
                                           "kind=BATCH_SCATTER_WITH_INPUT_SHAPE ",
                                           "\\",
                                           "\"",
                                           "="};
  std::string text;
  for (std::size_t count = bytes.below(24); count > 0; --count) {
    if (bytes.one_in(16)) {
      text += static_cast<char>(bytes.byte());
    } else {
      text += kWords[bytes.below(std::size(kWords))];
    }
  }
  return text;
}

OnnxRuntimeOptions draw_options(FuzzBytes& bytes) {
  OnnxRuntimeOptions options;
  for (std::size_t count = bytes.below(3); count > 0; --count) {
    options.dimensions[bytes.name()] = bytes.dimension();
  }
  for (std::size_t count = bytes.below(3); count > 0; --count) {
    const std::string input = bytes.name();
    options.input_dimensions[{input, bytes.size()}] = bytes.dimension();
  }
  for (std::size_t count = bytes.below(3); count > 0; --count) {
    options.inputs[bytes.name()] = draw_input(bytes);
  }
  for (std::size_t count = bytes.one_in(2) ? bytes.below(3) : 0; count > 0; --count) {
    options.output_declarations[bytes.name()] = draw_output(bytes);
  }
  for (std::size_t count = bytes.one_in(4) ? bytes.below(3) : 0; count > 0; --count) {
    options.batch_inputs.push_back({static_cast<Made>(bytes.below(9)),
                                    {bytes.name()},
                                    static_cast<DataType>(1 + bytes.below(8)),
                                    bytes.name()});
  }
  for (std::size_t count = bytes.one_in(4) ? bytes.below(3) : 0; count > 0; --count) {
    options.batch_outputs.push_back({{bytes.name()}, bytes.name()});
  }
  for (std::size_t count = bytes.below(3); count > 0; --count) {
    options.outputs.push_back(bytes.name());
  }
  return options;
}

/// The bytes of a row, or nothing where they are more than a size can say.
std::optional<std::size_t> row_bytes(const TensorSpec& spec) {
  std::size_t bytes = size_of(spec.dtype);
  for (const std::int64_t dim : spec.row_shape.dims()) {
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(dim), &bytes)) return std::nullopt;
  }
  return bytes;
}

void expect_sound(const TensorSpec& tensor, const ModelSpec& spec) {
  expect(tensor.row_shape.valid(), "a shape of a rank that is supported");
  expect(tensor.batch_axis <= tensor.row_shape.rank() || tensor.made != Made::no,
         "a batch axis that is there");
  for (const std::int64_t dim : tensor.row_shape.dims()) expect(dim >= -1, "-1 or a size");
  expect(!tensor.has_known_shape() || row_bytes(tensor) == tensor.row_bytes(),
         "a row that memory can hold");
  expect(tensor.dimensions.empty() || tensor.dimensions.size() == tensor.row_shape.rank(),
         "a dimension for each axis");
  for (std::size_t axis = 0; axis < tensor.dimensions.size(); ++axis) {
    const int dimension = tensor.dimensions[axis];
    if (dimension == TensorSpec::kStatic) continue;
    expect(dimension >= 0 && static_cast<std::size_t>(dimension) < spec.dimensions.size(),
           "a dimension of the model");
    expect(tensor.row_shape[axis] == -1, "a free axis");
  }
}

void expect_sound_input(const TensorSpec& input, const ModelSpec& spec) {
  expect_sound(input, spec);
  const bool rows_made =
      input.made == Made::no || input.made == Made::mask || input.made == Made::length;
  expect(input.has_known_shape() || !input.shared, "a shared input of one shape");
  for (std::size_t axis = 0; axis < input.row_shape.rank(); ++axis) {
    const bool is_free = input.row_shape[axis] == -1 && !input.ragged && rows_made;
    const bool has_dimension =
        !input.dimensions.empty() && input.dimensions[axis] != TensorSpec::kStatic;
    expect(is_free == has_dimension, "a dimension for each free axis");
  }
  if (input.made == Made::no) return;
  expect(input.source < spec.inputs.size(), "a source");
  expect(spec.inputs[input.source].made == Made::no, "a source that callers give");
}

void expect_sound(const OnnxBatching& batching, std::size_t inputs,
                  const OnnxRuntimeOptions& options, std::size_t outputs) {
  const ModelSpec& spec = batching.spec;
  expect(spec.inputs.size() == inputs, "every input");
  expect(spec.dimensions.size() <= ModelSpec::kMaxDimensions, "few dimensions");
  bool any_batched = false;
  for (const TensorSpec& input : spec.inputs) {
    expect_sound_input(input, spec);
    any_batched = any_batched || !input.shared;
  }
  expect(any_batched, "an input with a batch axis");
  expect(spec.fixed_batch != 1, "more than one row in a fixed batch");
  expect(spec.outputs.size() == (options.outputs.empty() ? outputs : options.outputs.size()),
         "every output that is wanted");
  for (std::size_t i = 0; i < spec.outputs.size(); ++i) {
    const TensorSpec& output = spec.outputs[i];
    expect_sound(output, spec);
    expect(output.rows_per_row > 0, "rows for a row");
    expect(!output.scattered_as || *output.scattered_as < spec.inputs.size(),
           "an input to scatter as");
    expect(options.outputs.empty() || output.name == options.outputs[i],
           "the order of the options");
  }
  std::set<std::string> told;
  for (const auto& [name, value] : batching.overrides) {
    expect(!name.empty() && value > 0 && told.insert(name).second, "each override once, above 0");
  }
}

}  // namespace
}  // namespace dynbatch::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dynbatch;
  using namespace dynbatch::testing;
  FuzzBytes bytes(data, size);
  const auto inputs = draw_declarations(bytes);
  auto options = draw_options(bytes);
  const auto outputs = draw_declarations(bytes);
  if (bytes.one_in(4)) {
    OnnxModelMetadata metadata;
    metadata.custom[kOnnxDeclarationsKey] = draw_text(bytes);
    const auto merged = made_or_refused([&] { return with_onnx_declarations(options, metadata); },
                                        ErrorCode::model, ErrorCode::model);
    if (!merged) return 0;
    options = *merged;
  }
  const auto batching = made_or_refused([&] { return onnx_batching(inputs, outputs, options); },
                                        ErrorCode::model, ErrorCode::invalid_argument);
  if (batching) expect_sound(*batching, inputs.size(), options, outputs.size());
  return 0;
}
