// What a request of a model whose rows differ in shape allocates after warm-up: its result's memory alone, and
// nothing where the result stays in what the executor brought.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include <dynbatch/batcher.hpp>

#include "cpp/runtime/float_rows.hpp"
#include "cpp/runtime/shaped_executor.hpp"
#include "cpp/watched_allocations.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::lines;
using dynbatch::testing::rows_of;

/// y = x, brought from memory of its own that is never freed while it lives.
class Echo final : public Executor {
 public:
  const ModelSpec& spec() const noexcept override { return spec_; }
  Failure run(const Batch& batch, RunOutputs& outputs) noexcept override {
    outputs.adopt(0, copy(batch), batch.input_shapes[0], [](void*) {}, nullptr);
    return {};
  }

 private:
  const float* copy(const Batch& batch) noexcept {
    const auto* const x = reinterpret_cast<const float*>(batch.inputs[0]);
    const Shape& shape = batch.input_shapes[0];
    const auto elements = static_cast<std::size_t>(shape[0] * shape[1]);
    for (std::size_t i = 0; i < elements; ++i) memory_[i] = x[i];
    return memory_.data();
  }
  const ModelSpec spec_ = lines();
  std::vector<float> memory_ = std::vector<float>(1 << 20);
};

/// Allocations of the whole process during 500 blocking calls of two lengths by turns, after 100 for warm-up.
std::size_t allocations_of_calls(BatchingOptions options) {
  options.max_batch_size = 8;
  options.batching = Batching::always;
  options.workers = 1;
  options.verify = false;
  Batcher batcher(std::make_unique<Echo>(), options);
  const std::vector<float> values(24);
  std::size_t turn = 0;
  const auto call = [&] {
    const std::vector<float>& row = values;
    const InputView view = rows_of(row, ++turn % 2 == 0 ? 12 : 24);
    EXPECT_EQ(batcher.infer({&view, 1}).code(), ErrorCode::none);
  };
  for (int i = 0; i < 100; ++i) call();
  const std::size_t before = allocations;
  for (int i = 0; i < 500; ++i) call();
  return allocations - before;
}

TEST(StagedAllocation, LoneCallAllocatesNothing) { EXPECT_EQ(allocations_of_calls({}), 0U); }

TEST(StagedAllocation, PaddedCallAllocatesItsResultAlone) {
  BatchingOptions options;
  options.lengths["length"] = {.gears = {32, 64}};
  EXPECT_EQ(allocations_of_calls(options), 500U);
}

}  // namespace
}  // namespace dynbatch
