// An executor whose rows differ in shape: it reads Batch::input_shapes and brings all outputs.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <dynbatch/executor.hpp>

namespace dynbatch::testing {

/// One float tensor, whole.
struct FloatTensor {
  Shape shape;
  std::vector<float> values;

  static FloatTensor zeros(Shape shape) {
    std::size_t elements = 1;
    for (const std::int64_t dim : shape.dims()) elements *= static_cast<std::size_t>(dim);
    return {.shape = shape, .values = std::vector<float>(elements)};
  }
};

/// Inputs and outputs of a run. Inputs of other types are read through `batch`.
struct ShapedRun {
  const Batch& batch;
  std::vector<FloatTensor> outputs;

  const Shape& shape(std::size_t input) const { return batch.input_shapes[input]; }
  const float* input(std::size_t index) const {
    return reinterpret_cast<const float*>(batch.inputs[index]);
  }
};

class ShapedExecutor final : public Executor {
 public:
  using RunFunction = std::function<Failure(ShapedRun&)>;
  ShapedExecutor(ModelSpec spec, RunFunction run) : spec_(std::move(spec)), run_(std::move(run)) {}

  const ModelSpec& spec() const noexcept override { return spec_; }
  Failure run(const Batch& batch, RunOutputs& outputs) noexcept override {
    ShapedRun run{.batch = batch, .outputs = {}};
    if (Failure failure = run_(run)) return failure;
    for (std::size_t i = 0; i < run.outputs.size(); ++i) {
      auto* const kept = new FloatTensor(std::move(run.outputs[i]));
      outputs.adopt(
          i, kept->values.data(), kept->shape,
          [](void* context) { delete static_cast<FloatTensor*>(context); }, kept);
    }
    return {};
  }
  bool offers_lone_runs() const noexcept override { return offers_lone_runs_; }
  void keep_lone_runs(bool keep) noexcept override { kept_lone_runs_ = keep; }

  void offer_lone_runs() { offers_lone_runs_ = true; }
  std::optional<bool> kept_lone_runs() const { return kept_lone_runs_; }

 private:
  ModelSpec spec_;
  RunFunction run_;
  bool offers_lone_runs_ = false;
  std::optional<bool> kept_lone_runs_;
};

/// An input x [n, length] and an output y [n, length] of floats, with the free dimension 'length'.
inline ModelSpec lines() {
  ModelSpec spec;
  spec.dimensions = {{"length"}};
  spec.inputs = {{.name = "x", .row_shape = Shape{-1}, .dimensions = {0}}};
  spec.outputs = {{.name = "y", .row_shape = Shape{-1}}};
  return spec;
}

/// y = 2 x.
inline Failure twice(ShapedRun& run) {
  FloatTensor y = FloatTensor::zeros(run.shape(0));
  for (std::size_t i = 0; i < y.values.size(); ++i) y.values[i] = 2.0F * run.input(0)[i];
  run.outputs.push_back(std::move(y));
  return {};
}

}  // namespace dynbatch::testing
