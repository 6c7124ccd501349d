// What a request allocates after warm-up: nothing.
#include <gtest/gtest.h>

#include <vector>

#include <dynbatch/batcher.hpp>
#include <dynbatch/synthetic_executor.hpp>

#include "cpp/runtime/float_rows.hpp"
#include "cpp/watched_allocations.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::rows_of;

struct Warm {
  explicit Warm(BatchingOptions options = {})
      : batcher(make_synthetic_executor({.row_elements = 1}), prepared(options)) {}
  static BatchingOptions prepared(BatchingOptions options) {
    options.max_batch_size = 8;
    options.batching = Batching::always;
    options.workers = 1;
    return options;
  }
  /// Allocations of the whole process during 500 calls, after 100 for warm-up.
  template <class Call>
  std::size_t allocations_of(Call call) {
    for (int turn = 0; turn < 100; ++turn) call();
    const std::size_t before = allocations;
    for (int turn = 0; turn < 500; ++turn) call();
    return allocations - before;
  }

  Batcher batcher;
};

TEST(BatcherAllocation, CounterSeesAllocations) {
  const std::size_t before = allocations;
  const std::vector<int> one(1);
  EXPECT_EQ(allocations, before + 1);
}

TEST(BatcherAllocation, BlockingCallOfOneRowAllocatesNothing) {
  Warm warm;
  const std::vector<float> rows(1);
  const InputView view = rows_of(rows);
  EXPECT_EQ(warm.allocations_of([&] { warm.batcher.infer({&view, 1}); }), 0U);
}

TEST(BatcherAllocation, BlockingCallOfSeveralRowsAllocatesNothing) {
  Warm warm;
  const std::vector<float> rows(3);
  const InputView view = rows_of(rows);
  EXPECT_EQ(warm.allocations_of([&] { warm.batcher.infer({&view, 1}); }), 0U);
}

TEST(BatcherAllocation, BlockingCallOfAFullBatchAllocatesNothing) {
  Warm warm;
  const std::vector<float> rows(8);
  const InputView view = rows_of(rows);
  EXPECT_EQ(warm.allocations_of([&] { warm.batcher.infer({&view, 1}); }), 0U);
}

TEST(BatcherAllocation, BlockingCallThatAWorkerRunsAllocatesNothing) {
  Warm warm({.caller_runs = false});
  const std::vector<float> rows(3);
  const InputView view = rows_of(rows);
  EXPECT_EQ(warm.allocations_of([&] { warm.batcher.infer({&view, 1}); }), 0U);
}

TEST(BatcherAllocation, FilledBatchAllocatesNothing) {
  Warm warm({.fill = Fill::yes});
  const std::vector<float> rows(3);
  const InputView view = rows_of(rows);
  EXPECT_EQ(warm.allocations_of([&] { warm.batcher.infer({&view, 1}); }), 0U);
}

TEST(BatcherAllocation, BlockingCallWithATimeoutAllocatesNothing) {
  Warm warm;
  const std::vector<float> rows(1);
  const InputView view = rows_of(rows);
  const SubmitOptions options{.timeout = std::chrono::hours(1)};
  EXPECT_EQ(warm.allocations_of([&] { warm.batcher.infer({&view, 1}, options); }), 0U);
}

TEST(BatcherAllocation, SubmittedRequestAllocatesNothing) {
  Warm warm;
  const std::vector<float> rows(1);
  const InputView view = rows_of(rows);
  EXPECT_EQ(warm.allocations_of([&] { warm.batcher.submit({&view, 1}).wait(); }), 0U);
}

}  // namespace
}  // namespace dynbatch
