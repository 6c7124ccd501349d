// Model files: bytes that are an ONNX model with odd declarations, or were one until some of them
// changed, are refused with an Error or become an executor whose batches keep to its spec.
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <dynbatch/batcher.hpp>
#include <dynbatch/error.hpp>
#include <dynbatch/onnxruntime_executor.hpp>

#include "cpp/executor/onnx_graph.hpp"
#include "cpp/executor/ort_mutexes.hpp"
#include "fuzz/fuzz_bytes.hpp"
#include "fuzz/fuzz_target.hpp"

namespace dynbatch::testing {
namespace {

constexpr std::size_t kMostRowBytes = 1 << 12;

std::vector<Dim> draw_dims(FuzzBytes& bytes) {
  std::vector<Dim> dims;
  static constexpr const char* kNames[] = {"batch", "height", "?"};
  for (std::size_t rank = bytes.one_in(32) ? bytes.below(12) : bytes.below(4); rank > 0; --rank) {
    Dim dim;
    if (bytes.one_in(2)) {
      dim.name = kNames[bytes.below(3)];
    } else if (!bytes.one_in(8)) {
      dim.value = static_cast<std::int64_t>(bytes.below(5));
    }
    dims.push_back(dim);
  }
  return dims;
}

std::string draw_model(FuzzBytes& bytes) {
  static constexpr const char* kOps[] = {"Identity", "Relu",    "Add",   "Mul",  "Shape", "Size",
                                         "Flatten",  "NonZero", "Floor", "Nope", "Max",   "Concat"};
  static constexpr const char* kNames[] = {"x", "y", "z", "c", ""};
  const auto name = [&] { return kNames[bytes.below(4)]; };
  const auto type = [&] { return static_cast<DataType>(bytes.one_in(8) ? bytes.byte() : 1); };
  OnnxGraph graph;
  for (std::size_t count = 1 + bytes.below(2); count > 0; --count) {
    graph.input(count == 1 ? "x" : name(), type(), draw_dims(bytes));
  }
  if (bytes.one_in(2)) graph.constant("c", std::vector<float>(bytes.below(3) + 1, 2.0F));
  for (std::size_t count = bytes.below(3); count > 0; --count) {
    const char* const op = kOps[bytes.below(std::size(kOps))];
    const char* const first = name();
    const char* const second = name();
    const bool two = bytes.one_in(2);
    const std::initializer_list<std::string_view> one_input{first};
    const std::initializer_list<std::string_view> two_inputs{first, second};
    graph.node(op, two ? two_inputs : one_input, {count == 1 ? "y" : "z"});
  }
  for (std::size_t count = 1 + bytes.below(2); count > 0; --count) {
    const char* const output = count == 1 ? "y" : name();
    if (bytes.one_in(4)) {
      graph.output(output, type());
    } else {
      graph.output(output, type(), draw_dims(bytes));
    }
  }
  if (bytes.one_in(8)) graph.metadata("key", std::string(bytes.below(9), '\xff'));
  return graph.bytes();
}

void change(std::string& model, FuzzBytes& bytes) {
  for (std::size_t changes = bytes.one_in(2) ? bytes.below(4) : 0; changes > 0; --changes) {
    model[bytes.word() % model.size()] = static_cast<char>(bytes.byte());
  }
  if (bytes.one_in(16)) model.resize(bytes.word() % model.size());
}

bool is_small(const ModelSpec& spec) {
  if (spec.fixed_batch > 64) return false;
  for (const auto* tensors : {&spec.inputs, &spec.outputs}) {
    for (const TensorSpec& tensor : *tensors) {
      if (tensor.row_bytes() > kMostRowBytes) return false;
    }
  }
  return true;
}

/// The whole shape of an input for one row, with 2 in free dimensions.
Shape one_row(const TensorSpec& input) {
  Shape shape;
  std::size_t axis = 0;
  for (const std::int64_t dim : input.row_shape.dims()) {
    if (!input.shared && axis++ == input.batch_axis) shape.push_back(1);
    shape.push_back(dim < 0 ? 2 : dim);
  }
  if (!input.shared && axis == input.batch_axis) shape.push_back(1);
  return shape;
}

void run_a_request(std::unique_ptr<Executor> executor) {
  BatchingOptions options{.workers = 1};
  if (executor->spec().fixed_batch == 0) options.max_batch_size = 2;
  const auto batcher =
      made_or_refused([&] { return std::make_unique<Batcher>(std::move(executor), options); },
                      ErrorCode::model, ErrorCode::invalid_argument);
  if (!batcher) return;
  const ModelSpec& spec = (*batcher)->spec();
  std::vector<std::vector<std::byte>> memory;
  std::vector<InputView> views;
  for (const TensorSpec& input : spec.inputs) {
    InputView view{.dtype = input.dtype, .shape = one_row(input)};
    std::size_t bytes = size_of(input.dtype);
    for (const std::int64_t dim : view.shape.dims()) bytes *= static_cast<std::size_t>(dim);
    view.data = memory.emplace_back(bytes + 1).data();
    views.push_back(view);
  }
  const Ticket ticket = (*batcher)->infer(views);
  if (ticket.code() != ErrorCode::none) {
    expect(!ticket.failure().message.empty(), "a failure that says why");
    return;
  }
  for (std::size_t i = 0; i < spec.outputs.size(); ++i) {
    const OutputView output = ticket.output(i);
    expect(output.shape.valid(), "a shape of an answer");
    // AddressSanitizer watches the copy.
    const auto* const data = static_cast<const std::byte*>(output.data);
    const std::vector<std::byte> copy(data, data + output.size_bytes);
    expect(copy.size() == output.size_bytes, "bytes to read");
  }
}

}  // namespace
}  // namespace dynbatch::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dynbatch;
  using namespace dynbatch::testing;
  FuzzBytes bytes(data, size);
  std::string model = draw_model(bytes);
  change(model, bytes);
  OnnxRuntimeOptions options;
  if (bytes.one_in(3)) options.dimensions["height"] = bytes.dimension();
  if (bytes.one_in(8)) options.inputs["x"].shared = bytes.one_in(2);
  if (bytes.one_in(8)) options.outputs = {"y"};
  auto executor = made_or_refused(
      [&] {
        try {
          return make_onnxruntime_executor(model.data(), model.size(), options);
        } catch (const std::bad_alloc&) {
          throw Error(ErrorCode::model, "no memory for a tensor whose size the model makes up");
        }
      },
      ErrorCode::model, ErrorCode::invalid_argument);
  if (executor && is_small((*executor)->spec())) run_a_request(std::move(*executor));
  return 0;
}
