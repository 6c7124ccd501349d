// Executors whose runs are a function of the test's, and a gate at which runs can be held.
#pragma once

#include <condition_variable>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <dynbatch/executor.hpp>

namespace dynbatch::testing {

using RunFunction = std::function<Failure(const Batch&, RunOutputs&)>;

/// float32 inputs and outputs of one row shape each; what a run does is the test's.
class CustomExecutor final : public Executor {
 public:
  explicit CustomExecutor(RunFunction run, ModelSpec spec = one_float(), bool reruns = true)
      : run_(std::move(run)), spec_(std::move(spec)), reruns_(reruns) {}

  const ModelSpec& spec() const noexcept override { return spec_; }
  Failure run(const Batch& batch, RunOutputs& outputs) noexcept override {
    return run_(batch, outputs);
  }
  bool reruns() const noexcept override { return reruns_; }
  bool offers_lone_runs() const noexcept override { return offers_lone_runs_; }
  void keep_lone_runs(bool keep) noexcept override {
    kept_ = keep;
    offers_lone_runs_ = keep;
  }

  void offer_lone_runs() noexcept { offers_lone_runs_ = true; }
  /// What keep_lone_runs() was told.
  std::optional<bool> kept_lone_runs() const noexcept { return kept_; }

  /// One input x and one output y, of one float a row.
  static ModelSpec one_float() {
    ModelSpec spec;
    spec.inputs = {{.name = "x", .dtype = DataType::float32, .row_shape = Shape{1}}};
    spec.outputs = {{.name = "y", .dtype = DataType::float32, .row_shape = Shape{1}}};
    return spec;
  }

 private:
  RunFunction run_;
  ModelSpec spec_;
  bool reruns_;
  bool offers_lone_runs_ = false;
  std::optional<bool> kept_;
};

inline const float* floats(const std::byte* bytes) { return reinterpret_cast<const float*>(bytes); }
inline float* floats(std::byte* bytes) { return reinterpret_cast<float*>(bytes); }

/// y = x + 1 for batches of CustomExecutor::one_float().
inline Failure add_one(const Batch& batch) {
  for (std::size_t row = 0; row < batch.rows; ++row) {
    floats(batch.outputs[0])[row] = floats(batch.inputs[0])[row] + 1.0F;
  }
  return {};
}

inline Failure failed(const char* why) { return {ErrorCode::execution, why, nullptr}; }

inline std::unique_ptr<Executor> make_executor(RunFunction run,
                                               ModelSpec spec = CustomExecutor::one_float()) {
  return std::make_unique<CustomExecutor>(std::move(run), std::move(spec));
}

/// Open at first. While it is closed, pass() blocks.
class Gate {
 public:
  void close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    --waiting_;
  }
  /// Blocks until `count` threads stand at the gate.
  void wait_for(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int waiting_ = 0;
};

}  // namespace dynbatch::testing
