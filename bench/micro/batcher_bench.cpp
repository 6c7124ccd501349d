// The whole way through a batcher, in front of an executor that does nothing: what dynbatch itself
// costs. A run that costs nothing hardly batches, so figures of batches belong to bench/load.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/batcher.hpp>
#include <dynbatch/onnxruntime_executor.hpp>
#include <dynbatch/synthetic_executor.hpp>

#include "rows.hpp"

namespace dynbatch::bench {
namespace {

InputView row_view(const std::byte* row, std::size_t row_bytes) {
  return {.data = row,
          .dtype = DataType::float32,
          .shape = Shape({1, static_cast<std::int64_t>(row_bytes / sizeof(float))})};
}

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

/// What infer_alone is held against: the executor run by hand on prepared memory, nothing copied.
class BareExecutor {
 public:
  explicit BareExecutor(std::unique_ptr<Executor> executor) : executor_(std::move(executor)) {
    const ModelSpec& spec = executor_->spec();
    input_.resize(spec.inputs[0].row_bytes());
    output_.resize(spec.outputs[0].row_bytes());
    executor_->prepare(
        {.input_slots = {{input_.data()}}, .output_slots = {{output_.data()}}, .batch_sizes = {1}});
    inputs_ = {input_.data()};
    outputs_ = {output_.data()};
  }
  void measure(benchmark::State& state) {
    NoOutputs none;
    for (auto _ : state) {
      const Batch batch{
          .rows = 1, .inputs = inputs_, .outputs = outputs_, .input_slot = 0, .output_slot = 0};
      const Failure failure = executor_->run(batch, none);
      if (failure) state.SkipWithError(failure.message.c_str());
      benchmark::DoNotOptimize(output_.data());
    }
    state.SetItemsProcessed(state.iterations());
  }

 private:
  struct NoOutputs final : RunOutputs {
    void adopt(std::size_t, const void*, const Shape&, void (*release)(void*),
               void* context) noexcept override {
      release(context);
    }
    void fail_row(std::size_t, Failure) noexcept override {}
  };
  std::unique_ptr<Executor> executor_;
  std::vector<std::byte> input_;
  std::vector<std::byte> output_;
  std::vector<const std::byte*> inputs_;
  std::vector<std::byte*> outputs_;
};

void null_bare_run(benchmark::State& state) {
  BareExecutor(make_synthetic_executor(null_executor(64))).measure(state);
}
BENCHMARK(null_bare_run)->UseRealTime();

void null_infer_alone(benchmark::State& state) {
  Batcher batcher(make_synthetic_executor(null_executor(64)), one_worker());
  SourceRows rows(64);
  infer_alone(state, batcher, rows);
}
BENCHMARK(null_infer_alone)->UseRealTime();

/// The same two with a real run: a matrix product of 64 by 64, the smallest of the test models.
std::unique_ptr<Executor> one_gemm(benchmark::State& state) {
  const char* const models = std::getenv("DYNBATCH_BENCH_MODELS");
  if (models == nullptr) {
    state.SkipWithError("DYNBATCH_BENCH_MODELS: expected the folder of one_gemm.onnx, got nothing");
    return nullptr;
  }
  try {
    return make_onnxruntime_executor(std::string(models) + "/one_gemm.onnx");
  } catch (const Error& error) {
    state.SkipWithError(error.what());
    return nullptr;
  }
}

void one_gemm_bare_run(benchmark::State& state) {
  if (auto executor = one_gemm(state)) BareExecutor(std::move(executor)).measure(state);
}
BENCHMARK(one_gemm_bare_run)->UseRealTime();

void one_gemm_infer_alone(benchmark::State& state) {
  auto executor = one_gemm(state);
  if (executor == nullptr) return;
  const std::size_t row_bytes = executor->spec().inputs[0].row_bytes();
  Batcher batcher(std::move(executor), one_worker());
  SourceRows rows(row_bytes);
  infer_alone(state, batcher, rows);
}
BENCHMARK(one_gemm_infer_alone)->UseRealTime();

}  // namespace
}  // namespace dynbatch::bench
