// The whole way through a batcher, in front of an executor that does nothing: what dynbatch itself
// costs. A run that costs nothing hardly batches, so figures of batches belong to bench/load.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <dynbatch/batcher.hpp>
#include <dynbatch/synthetic_executor.hpp>

#include "bare_executor.hpp"
#include "rows.hpp"

namespace dynbatch::bench {
namespace {

SyntheticOptions null_executor(std::size_t row_bytes) {
  return {.row_elements = row_bytes / sizeof(float), .computes = false};
}

BatchingOptions one_worker() {
  BatchingOptions options;
  options.batching = Batching::always;
  options.workers = 1;
  return options;
}

std::unique_ptr<Batcher> shared_batcher;

/// Whole submits while the only permit is out: the path that a crowd takes. The executor is held
/// closed during each burst, and what has gathered runs between them, untimed.
void submit_while_busy(benchmark::State& state) {
  constexpr std::size_t kBurst = 512;
  const auto row_bytes = static_cast<std::size_t>(state.range(0));
  std::mutex gate;
  SyntheticOptions executor = null_executor(row_bytes);
  executor.on_run = [&gate](const Batch&) { const std::lock_guard wait(gate); };
  Batcher batcher(make_synthetic_executor(std::move(executor)), one_worker());
  SourceRows rows(row_bytes);
  std::vector<Ticket> tickets(kBurst);
  std::int64_t refused = 0;
  for (auto _ : state) {
    Ticket first;
    double seconds = 0.0;
    {
      const std::lock_guard closed(gate);
      const InputView any = row_view(rows.next(), row_bytes);
      first = batcher.submit({&any, 1});
      while (batcher.stats().runs_under_way == 0) {
      }
      const auto start = std::chrono::steady_clock::now();
      for (Ticket& ticket : tickets) {
        const InputView view = row_view(rows.next(), row_bytes);
        ticket = batcher.submit({&view, 1});
      }
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    state.SetIterationTime(seconds);
    first.wait();
    for (Ticket& ticket : tickets) {
      refused += ticket.accepted() ? 0 : 1;
      ticket.wait();
      ticket = Ticket();
    }
  }
  if (refused > 0) state.SkipWithError("the queue was full: the burst is too large for it");
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBurst));
}
BENCHMARK(submit_while_busy)->ArgName("row_bytes")->Arg(64)->Arg(1024)->UseManualTime();

/// Submits and waits with a window of outstanding requests a thread, one worker running them.
void submit_in_closed_loop(benchmark::State& state) {
  constexpr std::size_t kOutstanding = 256;
  const auto row_bytes = static_cast<std::size_t>(state.range(0));
  SourceRows rows(row_bytes);
  std::vector<Ticket> tickets(kOutstanding);
  std::size_t at = 0;
  for (auto _ : state) {
    Ticket& ticket = tickets[at++ % kOutstanding];
    ticket.wait();
    benchmark::DoNotOptimize(ticket.code());
    ticket = Ticket();
    const InputView view = row_view(rows.next(), row_bytes);
    ticket = shared_batcher->submit({&view, 1}, {.on_full = OnFull::wait});
  }
  for (Ticket& ticket : tickets) ticket.wait();
  state.SetItemsProcessed(state.iterations());
}
void make_batcher(const benchmark::State& state) {
  const auto row_bytes = static_cast<std::size_t>(state.range(0));
  shared_batcher =
      std::make_unique<Batcher>(make_synthetic_executor(null_executor(row_bytes)), one_worker());
}
void drop_batcher(const benchmark::State&) { shared_batcher.reset(); }
BENCHMARK(submit_in_closed_loop)
    ->ArgName("row_bytes")
    ->Arg(64)
    ->Arg(1024)
    ->Threads(1)
    ->Threads(2)
    ->UseRealTime()
    ->Setup(make_batcher)
    ->Teardown(drop_batcher);

/// One caller, nobody else: it runs its batch itself.
void infer_alone(benchmark::State& state, Batcher& batcher, SourceRows& rows) {
  for (auto _ : state) {
    const InputView view = row_view(rows.next(), rows.row_bytes());
    const Ticket ticket = batcher.infer({&view, 1});
    if (ticket.code() != ErrorCode::none) state.SkipWithError("a request failed");
    benchmark::DoNotOptimize(ticket.output(0).data);
  }
  state.SetItemsProcessed(state.iterations());
}

/// What infer_alone is held against: nothing is copied.
void run_bare(benchmark::State& state, std::unique_ptr<Executor> executor) {
  BareExecutor bare(std::move(executor));
  for (auto _ : state) {
    bare.run();
    benchmark::DoNotOptimize(bare.output().data());
  }
  state.SetItemsProcessed(state.iterations());
}

void null_bare_run(benchmark::State& state) {
  run_bare(state, make_synthetic_executor(null_executor(64)));
}
BENCHMARK(null_bare_run)->UseRealTime();

void null_infer_alone(benchmark::State& state) {
  Batcher batcher(make_synthetic_executor(null_executor(64)), one_worker());
  SourceRows rows(64);
  infer_alone(state, batcher, rows);
}
BENCHMARK(null_infer_alone)->UseRealTime();

}  // namespace
}  // namespace dynbatch::bench
