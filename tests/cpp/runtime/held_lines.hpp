// A batcher over rows of different lengths whose runs can be held at a gate: y = 2 x.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/batcher.hpp>

#include "cpp/runtime/custom_executor.hpp"
#include "cpp/runtime/float_rows.hpp"
#include "cpp/runtime/shaped_executor.hpp"

namespace dynbatch::testing {

class HeldLines {
 public:
  static constexpr float kPoison = -1.0F;   // a run with such an element fails
  static constexpr float kRefused = -2.0F;  // only its row does

  explicit HeldLines(BatchingOptions options, ModelSpec spec = lines())
      : batcher(std::make_unique<Lines>(*this, std::move(spec)),
                with_defaults(std::move(options))) {
    const std::lock_guard lock(mutex_);
    shapes_.clear();
  }
  ~HeldLines() { gate.open(); }

  /// One row.
  Ticket submit(const std::vector<float>& row, const SubmitOptions& options = {}) {
    const InputView view = rows_of(row, row.size());
    return batcher.submit({&view, 1}, options);
  }
  Ticket infer(const std::vector<float>& row) {
    const InputView view = rows_of(row, row.size());
    return batcher.infer({&view, 1});
  }
  /// A request whose run stands at the closed gate.
  Ticket occupy() {
    gate.close();
    Ticket ticket = submit(std::vector<float>(99, 1.0F));
    gate.wait_for(1);
    return ticket;
  }
  /// Of the input of each run so far, in their order.
  std::vector<std::string> shapes() const {
    const std::lock_guard lock(mutex_);
    return shapes_;
  }
  int most_inside() const { return most_inside_; }

  Gate gate;

 private:
  class Lines final : public Executor {
   public:
    Lines(HeldLines& held, ModelSpec spec) : held_(held), spec_(std::move(spec)) {}
    const ModelSpec& spec() const noexcept override { return spec_; }
    Failure run(const Batch& batch, RunOutputs& outputs) noexcept override {
      return held_.run(batch, outputs, spec_.inputs[0].batch_axis);
    }

   private:
    HeldLines& held_;
    ModelSpec spec_;
  };

  static BatchingOptions with_defaults(BatchingOptions options) {
    options.batching =
        options.batching == Batching::automatic ? Batching::always : options.batching;
    options.verify = false;
    if (!options.workers) options.workers = 1;
    return options;
  }

  Failure run(const Batch& batch, RunOutputs& outputs, std::size_t batch_axis) {
    const Shape& shape = batch.input_shapes[0];
    const int inside = ++inside_;
    int most = most_inside_;
    while (most < inside && !most_inside_.compare_exchange_weak(most, inside)) {
    }
    {
      const std::lock_guard lock(mutex_);
      shapes_.push_back(to_string(shape));
    }
    gate.pass();
    auto* const y = new FloatTensor(FloatTensor::zeros(shape));
    const float* const x = floats(batch.inputs[0]);
    bool poisoned = false;
    for (std::size_t i = 0; i < y->values.size(); ++i) {
      y->values[i] = 2.0F * x[i];
      poisoned = poisoned || x[i] == kPoison;
      if (x[i] == kRefused && batch_axis == 0)
        outputs.fail_row(i / static_cast<std::size_t>(shape[1]), failed("row refused"));
    }
    --inside_;
    outputs.adopt(
        0, y->values.data(), y->shape,
        [](void* context) { delete static_cast<FloatTensor*>(context); }, y);
    return poisoned ? failed("poison") : Failure{};
  }

  mutable std::mutex mutex_;
  std::vector<std::string> shapes_;
  std::atomic<int> inside_{0};
  std::atomic<int> most_inside_{0};

 public:
  Batcher batcher;  // last: its threads end first
};

inline std::vector<float> doubled(std::vector<float> row) {
  for (float& value : row) value *= 2.0F;
  return row;
}

/// Rows are padded to the longest of their batch.
inline BatchingOptions padded_to_longest() {
  BatchingOptions options;
  options.lengths["length"] = {};
  return options;
}

}  // namespace dynbatch::testing
