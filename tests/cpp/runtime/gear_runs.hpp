// Gears as tests of GearModel tell and run them, and plain runs of ONNX Runtime to compare with.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/gear_model.hpp>

#include "cpp/executor/onnx_graph.hpp"
#include "runtime/sample_rows.hpp"

namespace dynbatch::testing {

using Sizes = std::vector<std::int64_t>;
using Bytes = std::vector<std::byte>;

/// Gears of these sizes, for inputs of these shapes; none: those that the model declares.
inline CompiledModel gears_of(GearKind kind, const std::vector<Sizes>& gears,
                              const std::vector<std::pair<std::string, Sizes>>& inputs = {}) {
  CompiledModel model;
  model.kind = kind;
  for (const auto& [name, shape] : inputs) model.inputs.push_back({name, DataType::float32, shape});
  for (const Sizes& sizes : gears) model.gears.push_back({sizes, {}, 0.0});
  return model;
}

inline GearModel load(const OnnxGraph& graph, const OnnxRuntimeOptions& options = {}) {
  const std::string bytes = graph.bytes();
  return GearModel(bytes.data(), bytes.size(), options);
}
inline GearModel load(const OnnxGraph& graph, CompiledModel gears,
                      const OnnxRuntimeOptions& options = {}) {
  const std::string bytes = graph.bytes();
  return GearModel(bytes.data(), bytes.size(), std::move(gears), options);
}

/// Memory for one run of a gear: inputs of random values, and outputs with `spare` bytes behind them, all of
/// which are kUntouched before the run.
struct GearRun {
  static constexpr std::byte kUntouched{0xA5};

  GearRun(const GearModel& model, std::size_t of_gear, unsigned seed = 1, std::size_t spare = 0)
      : gear(of_gear) {
    std::mt19937 random(seed);
    for (std::size_t i = 0; i < model.spec().inputs.size(); ++i) {
      inputs.emplace_back(model.input_bytes(gear, i));
      make_up(inputs.back(), model.spec().inputs[i].dtype, random);
    }
    for (std::size_t i = 0; i < model.compiled().outputs.size(); ++i)
      outputs.emplace_back(model.output_bytes(gear, i) + spare, kUntouched);
  }
  Failure run(const GearModel& model) {
    std::vector<const void*> in;
    for (const Bytes& input : inputs) in.push_back(input.data());
    std::vector<void*> out;
    for (Bytes& output : outputs) out.push_back(output.data());
    return model.run(gear, in, out);
  }

  std::size_t gear;
  std::vector<Bytes> inputs;
  std::vector<Bytes> outputs;
};

template <class Element>
std::vector<Element> elements_of(const Bytes& bytes, std::size_t size_bytes) {
  std::vector<Element> elements(size_bytes / sizeof(Element));
  if (size_bytes > 0) std::memcpy(elements.data(), bytes.data(), size_bytes);
  return elements;
}

inline std::vector<float> floats(const OutputView& output) {
  const auto* const first = static_cast<const float*>(output.data);
  return {first, first + output.size_bytes / sizeof(float)};
}

}  // namespace dynbatch::testing
