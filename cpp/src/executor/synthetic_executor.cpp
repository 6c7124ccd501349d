#include <dynbatch/synthetic_executor.hpp>

#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <utility>

#include "base/platform.hpp"

namespace dynbatch {
namespace {

class SyntheticExecutor final : public Executor {
 public:
  explicit SyntheticExecutor(SyntheticOptions options);

  const ModelSpec& spec() const noexcept override { return spec_; }
  Failure run(const Batch& batch, RunOutputs& outputs) noexcept override;
  void terminate() noexcept override;
  bool runs_on_callers() const noexcept override { return options_.runs_on_callers; }

 private:
  Failure run_batch(const Batch& batch, RunOutputs& outputs);
  void spend(std::size_t rows) const noexcept;
  bool is_terminated() const noexcept;
  std::size_t find_poison(std::span<const float> x, std::size_t rows) const noexcept;

  const SyntheticOptions options_;
  ModelSpec spec_;
  // Says when to stop and nothing else, so that no other memory is ordered by it.
  StdPlatform::atomic<bool> terminated_{false};
};

SyntheticExecutor::SyntheticExecutor(SyntheticOptions options) : options_(std::move(options)) {
  const Shape row{static_cast<std::int64_t>(options_.row_elements)};
  spec_.inputs = {{.name = "x", .dtype = DataType::float32, .row_shape = row}};
  spec_.outputs = {{.name = "y", .dtype = DataType::float32, .row_shape = row}};
  spec_.fixed_batch = options_.fixed_batch;
}

Failure SyntheticExecutor::run(const Batch& batch, RunOutputs& outputs) noexcept {
  try {
    return run_batch(batch, outputs);
  } catch (const std::exception& error) {
    return {ErrorCode::execution, error.what(), nullptr};
  }
}

Failure SyntheticExecutor::run_batch(const Batch& batch, RunOutputs& outputs) {
  if (options_.on_run) options_.on_run(batch);
  if (options_.fixed_batch != 0 && batch.rows != options_.fixed_batch) {
    return {ErrorCode::execution,
            "expected a batch of " + std::to_string(options_.fixed_batch) + " rows, got " +
                std::to_string(batch.rows),
            nullptr};
  }
  spend(batch.rows);
  if (is_terminated()) return {ErrorCode::execution, "the executor is terminated", nullptr};
  const std::size_t count = batch.rows * options_.row_elements;
  const std::span x(reinterpret_cast<const float*>(batch.inputs[0]), count);
  const std::size_t poisoned = find_poison(x, batch.rows);
  if (poisoned != batch.rows) {
    return {ErrorCode::execution, "row " + std::to_string(poisoned) + " is poisoned", nullptr};
  }
  auto* y = reinterpret_cast<float*>(batch.outputs[0]);
  if (y == nullptr) {
    y = new float[count]();
    const Shape shape{static_cast<std::int64_t>(batch.rows), spec_.outputs[0].row_shape[0]};
    outputs.adopt(0, y, shape, [](void* memory) { delete[] static_cast<float*>(memory); }, y);
  }
  if (options_.computes) {
    for (std::size_t index = 0; index < count; ++index) y[index] = 2.0F * x[index] + 1.0F;
  }
  return {};
}

/// Keeps this thread busy for the time that the batch costs, or until terminate().
void SyntheticExecutor::spend(std::size_t rows) const noexcept {
  const Nanoseconds cost =
      options_.fixed.count() + options_.per_row.count() * static_cast<Nanoseconds>(rows);
  if (cost <= 0) return;
  const Nanoseconds end = StdPlatform::now() + cost;
  while (StdPlatform::now() < end && !is_terminated()) StdPlatform::pause();
}

/// The first row that fails the run, or `rows`.
std::size_t SyntheticExecutor::find_poison(std::span<const float> x,
                                           std::size_t rows) const noexcept {
  if (options_.row_elements == 0) return rows;
  std::size_t row = 0;
  while (row < rows && x[row * options_.row_elements] != options_.poison) ++row;
  return row;
}

bool SyntheticExecutor::is_terminated() const noexcept {
  return terminated_.load(std::memory_order_relaxed);
}

void SyntheticExecutor::terminate() noexcept { terminated_.store(true, std::memory_order_relaxed); }

}  // namespace

std::unique_ptr<Executor> make_synthetic_executor(SyntheticOptions options) {
  return std::make_unique<SyntheticExecutor>(std::move(options));
}

}  // namespace dynbatch
