// Models of y = 2 x + 1, whose answers a test knows, and memory to run them in.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

#include "cpp/executor/kept_outputs.hpp"
#include "cpp/executor/onnx_graph.hpp"
#include "cpp/executor/test_surroundings.hpp"

namespace dynbatch::testing {

inline std::unique_ptr<Executor> open_small(const std::string& name,
                                            const OnnxRuntimeOptions& options = {}) {
  return make_onnxruntime_executor(small_model(name), options);
}

inline std::unique_ptr<Executor> open_graph(const OnnxGraph& graph,
                                            const OnnxRuntimeOptions& options = {}) {
  const std::string bytes = graph.bytes();
  return make_onnxruntime_executor(bytes.data(), bytes.size(), options);
}

/// y = 2 x + 1 of the given shape.
inline OnnxGraph affine(const std::vector<Dim>& dims) {
  return OnnxGraph()
      .input("x", DataType::float32, dims)
      .constant("two", {2.0F})
      .constant("one", {1.0F})
      .node("Mul", {"x", "two"}, {"doubled"})
      .node("Add", {"doubled", "one"}, {"y"})
      .output("y", DataType::float32, dims);
}

inline std::vector<float> rising(std::size_t count, float first = 0.0F) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

inline std::vector<float> affine_of(std::vector<float> values) {
  for (float& value : values) value = 2.0F * value + 1.0F;
  return values;
}

/// Memory for slots of one float32 input and one float32 output. It never moves.
struct FloatSlots {
  FloatSlots(std::size_t slots, std::size_t elements)
      : inputs(slots, std::vector<float>(elements)), outputs(slots, std::vector<float>(elements)) {}

  PreparedMemory prepared(const std::vector<std::size_t>& sizes) {
    PreparedMemory memory;
    for (std::vector<float>& slot : inputs) memory.input_slots.push_back({bytes_of(slot)});
    for (std::vector<float>& slot : outputs) memory.output_slots.push_back({bytes_of(slot)});
    memory.batch_sizes = sizes;
    return memory;
  }
  void fill(std::size_t slot, const std::vector<float>& values) {
    std::copy(values.begin(), values.end(), inputs[slot].begin());
    std::fill(outputs[slot].begin(), outputs[slot].end(), -1.0F);
  }
  /// Runs the first rows of a slot.
  struct How {
    bool alone = false;
    bool shrinks = false;
  };
  Failure run(Executor& executor, std::uint32_t slot, std::size_t rows) {
    return run(executor, slot, rows, How());
  }
  Failure run(Executor& executor, std::uint32_t slot, std::size_t rows, const How& how) {
    const std::byte* in = bytes_of(inputs[slot]);
    std::byte* out = bytes_of(outputs[slot]);
    Batch batch;
    batch.rows = rows;
    batch.inputs = {&in, 1};
    batch.outputs = {&out, 1};
    batch.input_slot = slot;
    batch.output_slot = slot;
    batch.alone = how.alone;
    batch.shrinks = how.shrinks;
    KeptOutputs kept;
    return executor.run(batch, kept);
  }
  static std::byte* bytes_of(std::vector<float>& values) {
    return reinterpret_cast<std::byte*>(values.data());
  }

  std::vector<std::vector<float>> inputs;
  std::vector<std::vector<float>> outputs;
};

}  // namespace dynbatch::testing
