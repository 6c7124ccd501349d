// What a choice allocates: nothing.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "batch/grouping.hpp"
#include "cpp/batch/grouping_cases.hpp"
#include "cpp/watched_allocations.hpp"

namespace dynbatch {
namespace {

using namespace dynbatch::testing;

TEST(GroupingAllocation, CounterSeesAllocations) {
  const std::size_t before = allocations;
  const std::vector<int> one(1);
  EXPECT_EQ(allocations, before + 1);
}

TEST(GroupingAllocation, ChoosingAllocatesNothing) {
  Grouping grouping;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const OwnedLimits limits = random_limits(random, 1 + random() % 3);
    const auto waiting = random_candidates(random, 1 + random() % 70, limits.dimensions, 3);
    const CostTable cost = random_cost(random);
    const std::size_t before = allocations;
    const auto batch = grouping.choose(waiting, limits.view(), cost);
    padded_sizes(waiting, batch, limits.view());
    const std::size_t after = allocations;
    ASSERT_EQ(after, before);
  }
}

}  // namespace
}  // namespace dynbatch
