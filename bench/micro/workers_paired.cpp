// Two workers against one, and what the machine gives to runs by hand from two threads and from one.
// Callers block in infer(), one row at a time; a run uses one thread of ONNX Runtime.
#include <cmath>
#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <dynbatch/batcher.hpp>
#include <dynbatch/onnxruntime_executor.hpp>

#include "bare_executor.hpp"
#include "closed_loop.hpp"
#include "model_path.hpp"
#include "paired.hpp"
#include "rows.hpp"

namespace dynbatch::bench {
namespace {

constexpr std::size_t kCallers = 16;
constexpr float kTolerance = 1e-4F;  // of the answer's largest value

/// A model with one input and one output, and its answers to the rows of all callers.
class Model {
 public:
  Model(const char* name, OnnxRuntimeOptions options)
      : path_(model_path(name)), options_(std::move(options)) {
    BareExecutor bare(executor());
    const auto spec = executor()->spec();
    row_bytes_ = spec.inputs[0].row_bytes();
    view_ = {.dtype = DataType::float32, .shape = {1}};
    for (const std::int64_t dimension : spec.inputs[0].row_shape.dims())
      view_.shape.push_back(dimension);
    for (std::size_t i = 0; i < kCallers; ++i) {
      const SourceRows rows(row_bytes_, 1, 1 + i);
      bare.set_row(rows.row(0));
      bare.run();
      answers_.emplace(stamp_of(rows.row(0)), floats(bare.output()));
    }
  }
  std::unique_ptr<Executor> executor() const { return make_onnxruntime_executor(path_, options_); }
  std::size_t row_bytes() const noexcept { return row_bytes_; }
  InputView view(const std::byte* row) const {
    InputView view = view_;
    view.data = row;
    return view;
  }
  /// Throws if this is not the answer to the row with that stamp.
  void check(float stamp, std::span<const std::byte> answer) const {
    const std::vector<float>& expected = answers_.at(stamp);
    const std::vector<float> got = floats(answer);
    float largest = 0.0F;
    float difference = got.size() == expected.size() ? 0.0F : INFINITY;
    for (std::size_t i = 0; i < expected.size() && i < got.size(); ++i) {
      largest = std::max(largest, std::fabs(expected[i]));
      difference = std::max(difference, std::fabs(got[i] - expected[i]));
    }
    if (!(difference <= kTolerance * largest)) {
      throw std::runtime_error("wrong answer: differs from that to the row alone by " +
                               std::to_string(difference));
    }
  }

 private:
  static std::vector<float> floats(std::span<const std::byte> bytes) {
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  const std::string path_;
  const OnnxRuntimeOptions options_;
  std::size_t row_bytes_ = 0;
  InputView view_;
  std::map<float, std::vector<float>> answers_;
};

BatchingOptions with_workers(std::size_t workers) {
  BatchingOptions options;
  options.workers = workers;
  // The same size for both, whatever a noisy machine says at load which one is best.
  options.batching = Batching::always;
  options.max_batch_size = kCallers / 2;
  return options;
}

/// Callers of one batcher.
class Inference {
 public:
  Inference(const Model& model, std::size_t workers)
      : model_(model), batcher_(model.executor(), with_workers(workers)) {}

  class Producer {
   public:
    Producer(Inference& inference, std::size_t) : inference_(inference) {}
    void submit(std::size_t, const std::byte* row) {
      stamp_ = stamp_of(row);
      const InputView view = inference_.model_.view(row);
      ticket_ = inference_.batcher_.infer({&view, 1});
    }
    float answer(std::size_t) {
      ticket_.get();
      const OutputView output = ticket_.output(0);
      inference_.model_.check(stamp_,
                              {static_cast<const std::byte*>(output.data), output.size_bytes});
      return stamp_;
    }

   private:
    Inference& inference_;
    float stamp_ = 0.0F;
    Ticket ticket_;
  };

  RunTotals totals() const {
    const Stats stats = batcher_.stats();
    return {.batches = stats.batches, .rows = stats.rows};
  }

 private:
  const Model& model_;
  Batcher batcher_;
};

/// Threads that run the model by hand, each in a session of its own.
class BareRuns {
 public:
  BareRuns(const Model& model, std::size_t threads) : model_(model) {
    for (std::size_t i = 0; i < threads; ++i)
      runs_.push_back(std::make_unique<BareExecutor>(model.executor()));
  }

  class Producer {
   public:
    Producer(BareRuns& bare, std::size_t)
        : model_(bare.model_),
          // relaxed: only counts.
          run_(
              *bare.runs_[bare.next_.fetch_add(1, std::memory_order_relaxed) % bare.runs_.size()]) {
    }
    void submit(std::size_t, const std::byte* row) {
      stamp_ = stamp_of(row);
      run_.set_row(row);
      run_.run();
    }
    float answer(std::size_t) {
      model_.check(stamp_, run_.output());
      return stamp_;
    }

   private:
    const Model& model_;
    BareExecutor& run_;
    float stamp_ = 0.0F;
  };

  RunTotals totals() const { return {}; }

 private:
  const Model& model_;
  std::vector<std::unique_ptr<BareExecutor>> runs_;
  StdPlatform::atomic<std::size_t> next_{0};
};

void compare(const char* setting, const Model& model, const PairedOptions& options) {
  ClosedLoop crowd({.row_bytes = model.row_bytes(), .producers = kCallers});
  ClosedLoop one({.row_bytes = model.row_bytes(), .producers = 1});
  ClosedLoop two({.row_bytes = model.row_bytes(), .producers = 2});
  Inference two_workers(model, 2);
  Inference one_worker(model, 1);
  BareRuns bare_one(model, 1);
  BareRuns bare_two(model, 2);
  measure(setting,
          {{"2 workers", [&](double s) { return crowd.measure(two_workers, s); }},
           {"1 worker", [&](double s) { return crowd.measure(one_worker, s); }},
           {"by hand, 2 threads", [&](double s) { return two.measure(bare_two, s); }},
           {"by hand, 1 thread", [&](double s) { return one.measure(bare_one, s); }}},
          options);
}

}  // namespace

void measure_all(const PairedOptions& options) {
  const std::string callers = ", " + std::to_string(kCallers) + " callers";
  compare(("MLP 256-1024-256" + callers).c_str(), Model("mlp", {}), options);
  compare(("ocr_cls" + callers).c_str(),
          Model("ocr_cls", {.input_dimensions = {{{"x", 2}, 48}, {{"x", 3}, 192}}}), options);
}

}  // namespace dynbatch::bench
