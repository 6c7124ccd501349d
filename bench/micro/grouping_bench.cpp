// The choice of a batch among requests of different lengths: one choose() an item.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "batch/cost_table.hpp"
#include "batch/grouping.hpp"

namespace dynbatch::bench {
namespace {

constexpr std::uint64_t kSeed = 20240607;

/// Costs in the shape of a small encoder's, on the grid that warm-up measures.
CostTable encoder_cost() {
  const std::vector<std::size_t> rows{1, 2, 4, 8, 16, 32};
  const std::vector<double> elements{16, 32, 64, 128, 256, 512};
  std::vector<double> seconds;
  for (const std::size_t r : rows) {
    for (const double e : elements)
      seconds.push_back(1e-3 + 2e-5 * static_cast<double>(r) * e * (1.0 + e / 512.0));
  }
  return {rows, elements, seconds};
}

std::vector<GroupCandidate> lognormal_lengths(std::size_t count, std::size_t dimensions) {
  std::mt19937_64 random(kSeed);
  std::lognormal_distribution<double> length(3.4, 0.7);
  std::vector<GroupCandidate> waiting(count);
  for (GroupCandidate& one : waiting) {
    one.rows = 1;
    for (std::size_t d = 0; d < dimensions; ++d)
      one.sizes[d] = std::clamp<std::int64_t>(std::llround(length(random)), 1, 512);
  }
  return waiting;
}

void choose(benchmark::State& state, const std::vector<GroupCandidate>& waiting,
            const GroupLimits& limits) {
  Grouping grouping;
  const CostTable cost = encoder_cost();
  for (auto _ : state) benchmark::DoNotOptimize(grouping.choose(waiting, limits, cost));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

void lengths(benchmark::State& state) {
  const auto waiting = lognormal_lengths(static_cast<std::size_t>(state.range(0)), 1);
  choose(state, waiting,
         {.largest_rows = static_cast<std::uint32_t>(state.range(1)), .dimensions = 1});
}

void equal_lengths(benchmark::State& state) {
  const std::vector<GroupCandidate> waiting(static_cast<std::size_t>(state.range(0)),
                                            {.rows = 1, .sizes = {64}});
  choose(state, waiting,
         {.largest_rows = static_cast<std::uint32_t>(state.range(1)), .dimensions = 1});
}

void length_and_batch_gears(benchmark::State& state) {
  const auto waiting = lognormal_lengths(static_cast<std::size_t>(state.range(0)), 1);
  const std::vector<std::vector<std::int64_t>> sizes{{16}, {32}, {64}, {128}, {256}, {512}};
  const std::vector<std::size_t> batches{1, 2, 4, 8, 16, 32};
  choose(state, waiting,
         {.largest_rows = static_cast<std::uint32_t>(state.range(1)),
          .dimensions = 1,
          .size_gears = sizes,
          .batch_gears = batches});
}

void image_sizes(benchmark::State& state) {
  const auto waiting = lognormal_lengths(static_cast<std::size_t>(state.range(0)), 2);
  choose(state, waiting,
         {.largest_rows = static_cast<std::uint32_t>(state.range(1)), .dimensions = 2});
}

void sizes_of(benchmark::internal::Benchmark* one) {
  one->ArgNames({"waiting", "largest"})
      ->Args({2, 32})
      ->Args({8, 32})
      ->Args({64, 16})
      ->Args({64, 32});
}

BENCHMARK(lengths)->Name("grouping/lengths")->Apply(sizes_of);
BENCHMARK(equal_lengths)->Name("grouping/equal_lengths")->Apply(sizes_of);
BENCHMARK(length_and_batch_gears)->Name("grouping/length_and_batch_gears")->Apply(sizes_of);
BENCHMARK(image_sizes)->Name("grouping/two_dimensions")->Apply(sizes_of);

}  // namespace
}  // namespace dynbatch::bench
