// The pool of requests: what it costs that a request costs no allocation.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>

#include "base/platform.hpp"
#include "batch/request.hpp"
#include "batch/request_pool.hpp"

namespace dynbatch::bench {
namespace {

using R = Request<StdPlatform>;

RequestPool<StdPlatform, R>& shared_pool() {
  static RequestPool<StdPlatform, R> pool;
  return pool;
}

void acquire_and_release(benchmark::State& state) {
  auto& pool = shared_pool();
  for (auto _ : state) {
    R* const request = pool.acquire();
    benchmark::DoNotOptimize(request);
    pool.release(*request);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(acquire_and_release)->Threads(1)->Threads(2)->UseRealTime();

/// A batch's worth at a time, as requests come and go.
void acquire_and_release_32(benchmark::State& state) {
  auto& pool = shared_pool();
  R* requests[32];
  for (auto _ : state) {
    for (R*& request : requests) request = pool.acquire();
    benchmark::ClobberMemory();
    for (R* const request : requests) pool.release(*request);
  }
  state.SetItemsProcessed(state.iterations() * 32);
}
BENCHMARK(acquire_and_release_32)->Threads(1)->Threads(2)->UseRealTime();

void allocate_and_free(benchmark::State& state) {
  for (auto _ : state) {
    const auto request = std::make_unique<R>();
    benchmark::DoNotOptimize(request.get());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(allocate_and_free)->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
}  // namespace dynbatch::bench
