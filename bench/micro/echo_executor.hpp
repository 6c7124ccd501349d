// The null executor of the paired measurements: it hands back the first number of each row, so that
// every answer can be held against its request, and does nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <dynbatch/executor.hpp>

#include "base/platform.hpp"

namespace dynbatch::bench {

struct RunTotals {
  std::uint64_t batches = 0;
  std::uint64_t rows = 0;
};

/// What executors count together, and what outlives them.
class RunCounts {
 public:
  // relaxed, all: figures, by which nothing is decided.
  void add(std::uint64_t rows) noexcept {
    batches_.fetch_add(1, std::memory_order_relaxed);
    rows_.fetch_add(rows, std::memory_order_relaxed);
  }
  RunTotals totals() const noexcept {
    return {.batches = batches_.load(std::memory_order_relaxed),
            .rows = rows_.load(std::memory_order_relaxed)};
  }

 private:
  StdPlatform::atomic<std::uint64_t> batches_{0};
  StdPlatform::atomic<std::uint64_t> rows_{0};
};

class EchoExecutor final : public Executor {
 public:
  EchoExecutor(std::size_t row_bytes, RunCounts& counts) : row_bytes_(row_bytes), counts_(counts) {
    const Shape row({static_cast<std::int64_t>(row_bytes / sizeof(float))});
    spec_.inputs = {{.name = "x", .dtype = DataType::float32, .row_shape = row}};
    spec_.outputs = {{.name = "y", .dtype = DataType::float32, .row_shape = row}};
  }
  const ModelSpec& spec() const noexcept override { return spec_; }
  Failure run(const Batch& batch, RunOutputs&) noexcept override {
    for (std::size_t row = 0; row < batch.rows; ++row) {
      std::memcpy(batch.outputs[0] + row * row_bytes_, batch.inputs[0] + row * row_bytes_,
                  sizeof(float));
    }
    counts_.add(batch.rows);
    return {};
  }

 private:
  const std::size_t row_bytes_;
  RunCounts& counts_;
  ModelSpec spec_;
};

/// For executors that are run by hand, whose outputs all have memory.
struct NoOutputs final : RunOutputs {
  void adopt(std::size_t, const void*, const Shape&, void (*release)(void*),
             void* context) noexcept override {
    release(context);
  }
  void fail_row(std::size_t, Failure) noexcept override {}
};

}  // namespace dynbatch::bench
