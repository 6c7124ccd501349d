// What the batchers of this folder that gather have in common: the null executor, a buffer into
// which the worker copies rows, and output memory that is lent to the requests of a batch and comes back with the last of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include <dynbatch/executor.hpp>

#include "base/platform.hpp"
#include "echo_executor.hpp"

namespace dynbatch::bench {

struct LentOutputs {
  std::unique_ptr<std::byte[]> memory;
  StdPlatform::atomic<std::uint32_t> readers{0};
};

class GatheredBatch {
 public:
  GatheredBatch(std::size_t row_bytes, std::size_t max_batch)
      : executor_(row_bytes, counts_),
        row_bytes_(row_bytes),
        max_batch_(max_batch),
        inputs_(std::make_unique_for_overwrite<std::byte[]>(row_bytes * max_batch)) {}

  RunTotals totals() const noexcept { return counts_.totals(); }
  std::size_t row_bytes() const noexcept { return row_bytes_; }
  std::size_t max_batch() const noexcept { return max_batch_; }
  void gather(std::size_t row, const std::byte* source) noexcept {
    std::memcpy(inputs_.get() + row * row_bytes_, source, row_bytes_);
  }
  /// Runs the gathered rows; each of them is to release the outputs once.
  LentOutputs& run(std::size_t rows) {
    LentOutputs& outputs = acquire();
    // relaxed: readers see the outputs only after they were told of them.
    outputs.readers.store(static_cast<std::uint32_t>(rows), std::memory_order_relaxed);
    const std::byte* const in = inputs_.get();
    std::byte* const out = outputs.memory.get();
    NoOutputs none;
    const Failure failure =
        executor_.run({.rows = rows, .inputs = {&in, 1}, .outputs = {&out, 1}}, none);
    if (failure) {
      std::fprintf(stderr, "a gathered batch failed: %s\n", failure.message.c_str());
      std::abort();
    }
    return outputs;
  }
  const std::byte* output(const LentOutputs& outputs, std::size_t row) const noexcept {
    return outputs.memory.get() + row * row_bytes_;
  }
  void release(LentOutputs& outputs) {
    // acq_rel: pairs with itself: the last reader gives back what nobody reads any more.
    if (outputs.readers.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    const std::lock_guard lock(mutex_);
    free_.push_back(&outputs);
  }

 private:
  LentOutputs& acquire() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      all_.push_back(std::make_unique<LentOutputs>());
      all_.back()->memory = std::make_unique_for_overwrite<std::byte[]>(row_bytes_ * max_batch_);
      return *all_.back();
    }
    LentOutputs& outputs = *free_.back();
    free_.pop_back();
    return outputs;
  }

  RunCounts counts_;
  EchoExecutor executor_;
  const std::size_t row_bytes_;
  const std::size_t max_batch_;
  const std::unique_ptr<std::byte[]> inputs_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<LentOutputs>> all_;
  std::vector<LentOutputs*> free_;
};

}  // namespace dynbatch::bench
