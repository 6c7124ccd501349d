// A saturated batcher: nothing that is asked of the queue changes who is woken, and full batches
// never wait. The runs themselves keep it saturated: each waits until more than the next is there.
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <dynbatch/batcher.hpp>

#include "cpp/runtime/custom_executor.hpp"
#include "cpp/runtime/float_rows.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::rows_of;
using std::chrono::seconds;

constexpr std::size_t kBatch = 8;

/// One worker, and one thread that submits a row at a time.
class SaturatedBatcher {
 public:
  SaturatedBatcher(BatchingOptions options, std::size_t batches)
      : total_(batches * kBatch), batcher_(make(), with_one_worker(std::move(options))) {}

  /// Submits all rows and waits for their answers. The counters of the time in which there was
  /// always work: from inside the first run to inside the last.
  Stats run(const SubmitOptions& how) {
    std::vector<Ticket> tickets;
    for (std::size_t i = 0; i < total_; ++i) {
      const std::vector<float> row = {static_cast<float>(i)};
      const InputView view = rows_of(row);
      tickets.push_back(batcher_.submit({&view, 1}, how));
      const std::lock_guard lock(mutex_);
      ++submitted_;
      changed_.notify_all();
    }
    for (std::size_t i = 0; i < total_; ++i) {
      tickets[i].wait();
      EXPECT_EQ(tickets[i].code(), ErrorCode::none);
      EXPECT_EQ(*static_cast<const float*>(tickets[i].output(0).data), static_cast<float>(i) + 1);
    }
    Stats stats = batcher_.stats();
    stats.worker_wakeups = wakeups_at_end_ - wakeups_at_start_;
    return stats;
  }

 private:
  static BatchingOptions with_one_worker(BatchingOptions options) {
    options.max_batch_size = kBatch;
    options.batching = Batching::always;
    options.verify = false;
    options.workers = 1;
    return options;
  }
  std::unique_ptr<Executor> make() {
    return dynbatch::testing::make_executor([this](const Batch& batch, RunOutputs&) {
      if (submitted_any()) saturate(batch.rows);
      return dynbatch::testing::add_one(batch);
    });
  }
  bool submitted_any() {
    const std::lock_guard lock(mutex_);
    return submitted_ > 0 || ran_ > 0;
  }
  void saturate(std::size_t rows) {
    std::unique_lock lock(mutex_);
    ran_ += rows;
    const std::size_t wanted = std::min(total_, ran_ + 2 * kBatch);
    changed_.wait(lock, [&] { return submitted_ >= wanted; });
    if (wakeups_at_start_ == 0) wakeups_at_start_ = batcher_.stats().worker_wakeups;
    wakeups_at_end_ = batcher_.stats().worker_wakeups;
  }

  const std::size_t total_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t submitted_ = 0;
  std::size_t ran_ = 0;
  std::uint64_t wakeups_at_start_ = 0;
  std::uint64_t wakeups_at_end_ = 0;
  Batcher batcher_;
};

struct Wish {
  const char* name;
  BatchingOptions options;
  SubmitOptions how;
};

class SaturatedRun : public ::testing::TestWithParam<Wish> {};

TEST_P(SaturatedRun, WakesNobody) {
  SaturatedBatcher batcher(GetParam().options, 200);
  const Stats stats = batcher.run(GetParam().how);
  EXPECT_EQ(stats.worker_wakeups, 0U);
  EXPECT_EQ(stats.closed_delay, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Wishes, SaturatedRun,
    ::testing::Values(Wish{.name = "None", .options = {}, .how = {.on_full = OnFull::wait}},
                      Wish{.name = "BoundedQueue",
                           .options = {.queue_capacity = 4 * kBatch},
                           .how = {.on_full = OnFull::wait}},
                      Wish{.name = "Deadline",
                           .options = {},
                           .how = {.on_full = OnFull::wait, .timeout = seconds(60)}},
                      Wish{.name = "Delay",
                           .options = {.max_queue_delay = seconds(10)},
                           .how = {.on_full = OnFull::wait}},
                      Wish{
                          .name = "All",
                          .options = {.max_queue_delay = seconds(10), .queue_capacity = 4 * kBatch},
                          .how = {.on_full = OnFull::wait, .timeout = seconds(60)}}),
    [](const auto& wish) { return wish.param.name; });

TEST(FullBatches, NeverWaitForTheDelay) {
  constexpr std::size_t kBatches = 20'000 / DYNBATCH_STRESS_DIVISOR;
  SaturatedBatcher batcher({.max_queue_delay = seconds(10)}, kBatches);
  const Stats stats = batcher.run({.on_full = OnFull::wait});
  EXPECT_EQ(stats.closed_full, kBatches);
  EXPECT_EQ(stats.batches, kBatches);
  EXPECT_EQ(stats.batches_by_size[kBatch], kBatches);
}

}  // namespace
}  // namespace dynbatch
