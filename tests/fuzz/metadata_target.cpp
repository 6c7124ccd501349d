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
    options.inputs[bytes.name()].shared = bytes.one_in(2);
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

void expect_sound(const OnnxBatching& batching, std::size_t inputs,
                  const OnnxRuntimeOptions& options, std::size_t outputs) {
  const ModelSpec& spec = batching.spec;
  expect(spec.inputs.size() == inputs, "every input");
  bool any_batched = false;
  for (const TensorSpec& input : spec.inputs) {
    expect(input.row_shape.valid(), "a shape of a rank that is supported");
    expect(input.has_known_shape(), "no free dimension in a row");
    expect(row_bytes(input) == input.row_bytes(), "a row that memory can hold");
    any_batched = any_batched || !input.shared;
  }
  expect(any_batched, "an input with a batch axis");
  expect(spec.fixed_batch != 1, "more than one row in a fixed batch");
  expect(spec.outputs.size() == (options.outputs.empty() ? outputs : options.outputs.size()),
         "every output that is wanted");
  for (std::size_t i = 0; i < spec.outputs.size(); ++i) {
    const TensorSpec& output = spec.outputs[i];
    expect(output.row_shape.valid() && !output.shared, "an output with rows");
    for (const std::int64_t dim : output.row_shape.dims()) expect(dim >= -1, "-1 or a size");
    expect(!output.has_known_shape() || row_bytes(output) == output.row_bytes(),
           "a row that memory can hold");
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
  const auto options = draw_options(bytes);
  const auto outputs = draw_declarations(bytes);
  const auto batching = made_or_refused([&] { return onnx_batching(inputs, outputs, options); },
                                        ErrorCode::model, ErrorCode::invalid_argument);
  if (batching) expect_sound(*batching, inputs.size(), options, outputs.size());
  return 0;
}
