// The batch that is chosen belongs to a partition that costs least, by exhaustive search.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "batch/grouping.hpp"
#include "cpp/batch/grouping_cases.hpp"

namespace dynbatch {
namespace {

using namespace dynbatch::testing;

Indices indices_of(std::uint32_t set) {
  Indices indices;
  for (std::uint16_t i = 0; set >> i != 0; ++i) {
    if ((set >> i & 1U) != 0) indices.push_back(i);
  }
  return indices;
}

/// The least cost of all partitions of each set of requests: [set of indices].
std::vector<double> least_costs(const std::vector<GroupCandidate>& waiting,
                                const GroupLimits& limits, const CostTable& cost) {
  const std::uint32_t sets = 1U << waiting.size();
  std::vector<double> batch(sets);
  std::vector<double> least(sets, kForbidden);
  least[0] = 0.0;
  for (std::uint32_t set = 1; set < sets; ++set) {
    batch[set] = cost_of(waiting, indices_of(set), limits, cost);
    const std::uint32_t lowest = set & (~set + 1);
    for (std::uint32_t part = set; part != 0; part = (part - 1) & set) {
      if ((part & lowest) != 0) least[set] = std::min(least[set], batch[part] + least[set ^ part]);
    }
  }
  return least;
}

TEST(GroupingOptimum, NoPartitionOfLengthsCostsLess) {
  int merged = 0;
  int apart = 0;
  for (std::uint64_t seed = 0; seed < 1500; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    OwnedLimits limits = random_limits(random, 1);
    const auto waiting = random_candidates(random, 1 + random() % 8, 1, 1);
    limits.tolerance = 0.0;
    const CostTable cost = random_cost(random);
    const std::vector<double> least = least_costs(waiting, limits.view(), cost);
    const Indices batch = chosen(waiting, limits.view(), cost);
    std::uint32_t set = 0;
    for (const std::uint16_t index : batch) set |= 1U << index;
    const auto all = static_cast<std::uint32_t>(least.size() - 1);
    const double total = cost_of(waiting, batch, limits.view(), cost) + least[all ^ set];
    ASSERT_LE(total, least[all] * (1.0 + 1e-8));
    merged += batch.size() > 1 ? 1 : 0;
    apart += batch.size() < waiting.size() ? 1 : 0;
  }
  EXPECT_GT(merged, 100);  // or the cases would say little
  EXPECT_GT(apart, 100);
}

/// The least cost of cutting sorted[begin, end) into runs of neighbours.
double least_cut(const std::vector<GroupCandidate>& waiting, const Indices& sorted,
                 const GroupLimits& limits, const CostTable& cost) {
  if (sorted.empty()) return 0.0;
  double least = kForbidden;
  for (std::size_t first = 1; first <= sorted.size(); ++first) {
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(first);
    const double batch = cost_of(waiting, {sorted.begin(), middle}, limits, cost);
    if (batch == kForbidden) continue;
    least = std::min(least, batch + least_cut(waiting, {middle, sorted.end()}, limits, cost));
  }
  return least;
}

TEST(GroupingOptimum, NoCutOfTheSortedRequestsCostsLess) {
  // Several dimensions and requests of several rows; different products, so that there is one order.
  int cases = 0;
  for (std::uint64_t seed = 0; cases < 500; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    OwnedLimits limits = random_limits(random, 1 + random() % 3);
    limits.size_gears.clear();
    const auto waiting = random_candidates(random, 2 + random() % 7, limits.dimensions, 3);
    const CostTable cost = random_cost(random);
    const auto elements = [&](std::uint16_t i) {
      return elements_of(waiting[i].sizes, limits.dimensions);
    };
    Indices sorted(waiting.size());
    std::iota(sorted.begin(), sorted.end(), std::uint16_t{0});
    std::ranges::sort(sorted, {}, elements);
    if (std::ranges::adjacent_find(sorted, {}, elements) != sorted.end()) continue;
    ++cases;

    const Indices batch = chosen(waiting, limits.view(), cost);
    Indices members = batch;
    std::ranges::sort(members, {}, elements);
    const auto found = std::ranges::search(sorted, members);
    ASSERT_FALSE(found.empty());
    const double own = cost_of(waiting, batch, limits.view(), cost);
    const double total = least_cut(waiting, {sorted.begin(), found.begin()}, limits.view(), cost) +
                         own + least_cut(waiting, {found.end(), sorted.end()}, limits.view(), cost);
    ASSERT_LE(total - own * limits.tolerance,
              least_cut(waiting, sorted, limits.view(), cost) * (1.0 + 1e-8));
  }
}

}  // namespace
}  // namespace dynbatch
