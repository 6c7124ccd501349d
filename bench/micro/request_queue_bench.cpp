// The request queue alone: claim a row of the open block, copy it there, publish it. Whoever fills a
// block also takes and recycles it, under a lock, as the runtime does once a batch.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include <dynbatch/tensor.hpp>

#include "base/platform.hpp"
#include "memory/gear_memory.hpp"
#include "queue/request_queue.hpp"

#include "rows.hpp"

namespace dynbatch::bench {
namespace {

constexpr std::uint32_t kRows = 32;
constexpr std::uint32_t kFormed = 2;  // batches that are formed at a time

/// As many blocks as the runtime would have at most: within 64 MiB, and three at least.
std::uint32_t blocks_for(std::size_t row_bytes) {
  const std::size_t in_bounds = (std::size_t{64} << 20) / (kRows * row_bytes);
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(in_bounds, 3, 32));
}

struct Part {
  void* request = nullptr;
  std::uint32_t request_row = 0;
  std::uint32_t rows = 0;
};

class QueueOfRows {
 public:
  using Queue = RequestQueue<StdPlatform, Part>;

  explicit QueueOfRows(std::size_t row_bytes)
      : memory_(
            BlockLayout({{.name = "x", .dtype = DataType::uint8, .row_shape = shape_of(row_bytes)}},
                        kRows),
            blocks_for(row_bytes)),
        queue_(blocks_for(row_bytes), kRows, false) {
    queue_.unsafe_open_next();
  }

  void submit(const std::byte* row, std::size_t row_bytes) noexcept {
    const auto state = write(row, row_bytes);
    if (state.full && state.complete) take_and_recycle();
  }
  Queue::BlockState write(const std::byte* row, std::size_t row_bytes) noexcept {
    Claim claim = queue_.claim(1);
    while (claim.rows == 0) claim = claim_slowly();
    std::memcpy(memory_.row(claim.block, 0, claim.row), row, row_bytes);
    return queue_.publish(claim, {.request = this, .request_row = 0, .rows = 1});
  }
  std::size_t count_ready() noexcept {
    const std::lock_guard lock(mutex_);
    return queue_.unsafe_count_ready([](const Queue::BlockState& state) { return state.full; });
  }
  void take_and_recycle() noexcept {
    const std::lock_guard lock(mutex_);
    const std::uint32_t block =
        queue_.unsafe_take([](const Queue::BlockState& state) { return state.full; });
    if (block == Queue::kNone) return;
    queue_.unsafe_open_next();
    benchmark::DoNotOptimize(queue_.parts(block).data());
    queue_.unsafe_recycle(block);
  }

 private:
  static Shape shape_of(std::size_t row_bytes) {
    return Shape({static_cast<std::int64_t>(row_bytes)});
  }
  Claim claim_slowly() noexcept {
    const std::lock_guard lock(mutex_);
    return queue_.unsafe_claim(1, nullptr);
  }

  GearMemory memory_;
  Queue queue_;
  std::mutex mutex_;
};

std::unique_ptr<QueueOfRows> shared_queue;

void claim_copy_publish(benchmark::State& state) {
  const auto row_bytes = static_cast<std::size_t>(state.range(0));
  SourceRows rows(row_bytes);
  for (auto _ : state) shared_queue->submit(rows.next(), row_bytes);
  state.SetItemsProcessed(state.iterations());
}

void make_queue(const benchmark::State& state) {
  shared_queue = std::make_unique<QueueOfRows>(static_cast<std::size_t>(state.range(0)));
}
void drop_queue(const benchmark::State&) { shared_queue.reset(); }

BENCHMARK(claim_copy_publish)
    ->ArgName("row_bytes")
    ->Arg(64)
    ->Arg(1024)
    ->Arg(64 << 10)
    ->Arg(600 << 10)
    ->Threads(1)
    ->Threads(2)
    ->UseRealTime()
    ->Setup(make_queue)
    ->Teardown(drop_queue);

/// Forming a batch: sealing a block of 32 rows that stand in it, taking it, opening the next one and
/// giving it back. As many blocks for all sizes of rows; filling them is not timed. Large rows leave
/// cold caches to whoever looks at the blocks next; that is all their size changes.
void take_and_recycle(benchmark::State& state) {
  const auto row_bytes = static_cast<std::size_t>(state.range(0));
  SourceRows rows(row_bytes, kRows);
  QueueOfRows queue(row_bytes);
  for (auto _ : state) {
    for (std::uint32_t i = 0; i < kFormed * kRows; ++i) queue.write(rows.next(), row_bytes);
    if (queue.count_ready() != kFormed) state.SkipWithError("expected full blocks only");
    const auto start = std::chrono::steady_clock::now();
    for (std::uint32_t i = 0; i < kFormed; ++i) queue.take_and_recycle();
    state.SetIterationTime(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  state.SetItemsProcessed(state.iterations() * kFormed);
}
BENCHMARK(take_and_recycle)
    ->ArgName("row_bytes")
    ->Arg(64)
    ->Arg(1024)
    ->Arg(64 << 10)
    ->Arg(600 << 10)
    ->Iterations(100)
    ->UseManualTime();

/// What a batcher does in its place that gathers: copying 32 rows into one buffer.
void gather(benchmark::State& state) {
  const auto row_bytes = static_cast<std::size_t>(state.range(0));
  SourceRows rows(row_bytes, kRows);
  const auto buffer = std::make_unique<std::byte[]>(kRows * row_bytes);
  for (auto _ : state) {
    for (std::uint32_t i = 0; i < kRows; ++i)
      std::memcpy(buffer.get() + i * row_bytes, rows.next(), row_bytes);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(gather)
    ->ArgName("row_bytes")
    ->Arg(64)
    ->Arg(1024)
    ->Arg(64 << 10)
    ->Arg(600 << 10)
    ->UseRealTime();

/// What a submit cannot do without: the copy alone, into the same number of blocks.
void copy_alone(benchmark::State& state) {
  const auto row_bytes = static_cast<std::size_t>(state.range(0));
  SourceRows rows(row_bytes);
  const std::size_t blocks = blocks_for(row_bytes);
  const GearMemory memory(
      BlockLayout({{.name = "x",
                    .dtype = DataType::uint8,
                    .row_shape = Shape({static_cast<std::int64_t>(row_bytes)})}},
                  kRows),
      blocks);
  std::size_t at = 0;
  for (auto _ : state) {
    std::memcpy(memory.row(at / kRows % blocks, 0, at % kRows), rows.next(), row_bytes);
    benchmark::ClobberMemory();
    ++at;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(copy_alone)
    ->ArgName("row_bytes")
    ->Arg(64)
    ->Arg(1024)
    ->Arg(64 << 10)
    ->Arg(600 << 10)
    ->UseRealTime();

}  // namespace
}  // namespace dynbatch::bench
