#include "batch/grouping.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "cpp/batch/grouping_cases.hpp"

namespace dynbatch {
namespace {

using ::testing::ElementsAre;
using namespace dynbatch::testing;

TEST(Grouping, NothingWaitsNothingRuns) {
  EXPECT_THAT(chosen({}, {.largest_rows = 4, .dimensions = 1}, {}), ElementsAre());
}

TEST(Grouping, LoneRequestRunsWhateverTheLimitsSay) {
  const std::vector<std::vector<std::int64_t>> gears{{16}};
  const std::vector<RowBytes> row{one_tensor()};
  const GroupLimits limits{.largest_rows = 4,
                           .dimensions = 1,
                           .size_gears = gears,
                           .largest_bytes = 10,
                           .row_bytes = row};
  EXPECT_THAT(chosen({{.rows = 9, .sizes = {50}}}, limits, {}), ElementsAre(0));
  EXPECT_THAT(chosen({{.rows = 9, .sizes = {50}}, {.rows = 1, .sizes = {2}}}, limits, {}),
              ElementsAre(0));
}

TEST(Grouping, EqualLengthsRunInOrderOfAge) {
  EXPECT_THAT(chosen(of_lengths({20, 20, 20, 20, 20, 20}), {.largest_rows = 4, .dimensions = 1},
                     affine_cost(10)),
              ElementsAre(0, 1, 2, 3));
}

TEST(Grouping, EqualLengthsOfSeveralRowsRunInOrderOfAge) {
  const GroupCandidate two{.rows = 2, .sizes = {20}};
  EXPECT_THAT(chosen({two, two, two}, {.largest_rows = 5, .dimensions = 1}, affine_cost(10)),
              ElementsAre(0, 1));
}

TEST(Grouping, OfSeveralRowsOneThatDoesNotFitIsPassedOver) {
  const GroupCandidate two{.rows = 2, .sizes = {20}};
  const GroupCandidate three{.rows = 3, .sizes = {20}};
  const GroupLimits limits{.largest_rows = 4, .dimensions = 1};
  EXPECT_THAT(chosen({two, three, two}, limits, affine_cost(10)), ElementsAre(0, 2));
  EXPECT_THAT(chosen({two, three, two}, limits, {}), ElementsAre(0, 2));
}

TEST(Grouping, OfSeveralRowsTheFewestThatPayRunTogether) {
  const GroupCandidate two{.rows = 2, .sizes = {16}};
  const std::vector<GroupCandidate> waiting{two, two, two, two};
  const CostTable cost({1, 2, 4, 8}, {16}, {100, 180, 350, 696});
  GroupLimits limits{.largest_rows = 8, .dimensions = 1};
  EXPECT_THAT(chosen(waiting, limits, cost), ElementsAre(0, 1, 2, 3));
  limits.tolerance = 0.02;
  EXPECT_THAT(chosen(waiting, limits, cost), ElementsAre(0, 1));
  const CostTable dear({1, 2, 4, 8}, {16}, {100, 180, 400, 900});
  EXPECT_THAT(chosen(waiting, limits, dear), ElementsAre(0));
}

TEST(Grouping, UnknownCostMergesEqualLengthsAlone) {
  EXPECT_THAT(chosen(of_lengths({20, 21, 20, 19, 20}), {.largest_rows = 8, .dimensions = 1}, {}),
              ElementsAre(0, 2, 4));
}

TEST(Grouping, SavedRunsAreWeighedAgainstPadding) {
  const GroupLimits limits{.largest_rows = 8, .dimensions = 1};
  const auto waiting = of_lengths({10, 100, 12, 90});
  EXPECT_THAT(chosen(waiting, limits, affine_cost(20)), ElementsAre(0, 2));
  EXPECT_THAT(chosen(waiting, limits, affine_cost(1)), ElementsAre(0));
  EXPECT_THAT(chosen(waiting, limits, affine_cost(1000)), ElementsAre(0, 1, 2, 3));
}

TEST(Grouping, BatchesThatDoNotPayAreNotFormed) {
  // Twice the rows cost three times as much.
  const CostTable dear({1, 2, 4}, {16}, {1, 3, 9});
  EXPECT_THAT(chosen(of_lengths({16, 16, 16, 16}), {.largest_rows = 4, .dimensions = 1}, dear),
              ElementsAre(0));
}

TEST(Grouping, OfShorterOnesTheOldestJoin) {
  // Two batches, [50, 20] and [20, 20, 20], cost least.
  EXPECT_THAT(chosen(of_lengths({50, 20, 20, 20, 20}), {.largest_rows = 3, .dimensions = 1},
                     affine_cost(100)),
              ElementsAre(0, 1));
}

TEST(Grouping, OfEqualCostsThatOfTheOlderIsTaken) {
  // [20, 50] and [50, 50, 50] cost as much as [20, 50, 50] and [50, 50].
  EXPECT_THAT(chosen(of_lengths({20, 50, 50, 50, 50}), {.largest_rows = 3, .dimensions = 1},
                     affine_cost(100)),
              ElementsAre(0, 1, 2));
}

TEST(Grouping, OfEqualLengthsTheFewestThatPayRunTogether) {
  // A row costs 100 alone, 90 of two, 89 of four.
  const CostTable cost({1, 2, 4}, {16}, {100, 180, 356});
  GroupLimits limits{.largest_rows = 4, .dimensions = 1};
  const auto waiting = of_lengths({16, 16, 16, 16});
  EXPECT_THAT(chosen(waiting, limits, cost), ElementsAre(0, 1, 2, 3));
  limits.tolerance = 0.03;
  EXPECT_THAT(chosen(waiting, limits, cost), ElementsAre(0, 1));
}

TEST(Grouping, BytesAreThoseOfEachTensorAtItsPaddedSizes) {
  // [n, n] and [m], 1 byte an element.
  const std::vector<RowBytes> rows{{.bytes = 1, .times = {2, 0}}, {.bytes = 1, .times = {0, 1}}};
  GroupLimits limits{.largest_rows = 8, .dimensions = 2, .largest_bytes = 1000, .row_bytes = rows};
  const CostTable few_runs({1, 2}, {1, 2}, {1e9 + 1, 1e9 + 2, 1e9 + 2, 1e9 + 4});
  const GroupCandidate wide{.rows = 1, .sizes = {10, 300}};
  EXPECT_THAT(chosen({wide, wide, wide}, limits, few_runs), ElementsAre(0, 1));
  const GroupCandidate square{.rows = 1, .sizes = {30, 1}};
  EXPECT_THAT(chosen({wide, wide, square}, limits, few_runs), ElementsAre(0, 1));
  EXPECT_THAT(chosen({square, wide}, limits, few_runs), ElementsAre(0));
}

TEST(Grouping, OfDifferentLengthsTheShortestRunThatPaysIsTaken) {
  // A run costs 1 beside 1 an element: little is lost if the two run apart.
  GroupLimits limits{.largest_rows = 4, .dimensions = 1};
  const auto waiting = of_lengths({100, 100, 20});
  EXPECT_THAT(chosen(waiting, limits, affine_cost(1)), ElementsAre(0, 1));
  limits.tolerance = 0.03;
  EXPECT_THAT(chosen(waiting, limits, affine_cost(1)), ElementsAre(0));
  EXPECT_THAT(chosen(waiting, limits, affine_cost(10)), ElementsAre(0, 1));
}

TEST(Grouping, LengthsOfOneGearAreAlike) {
  const std::vector<std::vector<std::int64_t>> gears{{32}, {16}};
  EXPECT_THAT(chosen(of_lengths({10, 17, 16, 12, 1}),
                     {.largest_rows = 3, .dimensions = 1, .size_gears = gears}, {}),
              ElementsAre(0, 2, 3));
}

TEST(Grouping, WithoutAGearForBothTheyRunApart) {
  const std::vector<std::vector<std::int64_t>> gears{{480, 640}, {640, 480}};
  EXPECT_THAT(chosen({{.rows = 1, .sizes = {480, 640}}, {.rows = 1, .sizes = {640, 480}}},
                     {.largest_rows = 4, .dimensions = 2, .size_gears = gears}, affine_cost(1e9)),
              ElementsAre(0));
}

TEST(Grouping, WithoutAGearEqualLengthsRunApart) {
  const std::vector<std::vector<std::int64_t>> gears{{16}};
  EXPECT_THAT(chosen(of_lengths({50, 50}),
                     {.largest_rows = 4, .dimensions = 1, .size_gears = gears}, affine_cost(1e9)),
              ElementsAre(0));
}

TEST(Grouping, GearsOfEqualElementsDoNotSeparateWhatIsAlike) {
  // The second needs the other gear; its height is between theirs.
  const std::vector<std::vector<std::int64_t>> gears{{640, 480}, {480, 640}};
  EXPECT_THAT(chosen({{.rows = 1, .sizes = {10, 10}},
                      {.rows = 1, .sizes = {100, 600}},
                      {.rows = 1, .sizes = {500, 10}}},
                     {.largest_rows = 4, .dimensions = 2, .size_gears = gears}, {}),
              ElementsAre(0, 2));
}

TEST(Grouping, TransposedSizesAreNotAlike) {
  const GroupCandidate wide{.rows = 1, .sizes = {10, 20}};
  const GroupCandidate tall{.rows = 1, .sizes = {20, 10}};
  EXPECT_THAT(chosen({wide, tall, wide, tall}, {.largest_rows = 4, .dimensions = 2}, {}),
              ElementsAre(0, 2));
}

TEST(Grouping, FilledRowsAreCounted) {
  // Five would run as eight: four and one cost less.
  const std::vector<std::size_t> gears{8, 1, 4};
  EXPECT_THAT(chosen(of_lengths({16, 16, 16, 16, 16}),
                     {.largest_rows = 8, .dimensions = 1, .batch_gears = gears}, affine_cost(1)),
              ElementsAre(0, 1, 2, 3));
}

TEST(Grouping, LooksNoFurtherThanItsLookAhead) {
  std::vector<GroupCandidate> waiting(Grouping::kLookAhead + 1, {.rows = 1, .sizes = {30}});
  waiting.front().sizes[0] = 10;
  waiting.back().sizes[0] = 10;
  EXPECT_THAT(chosen(waiting, {.largest_rows = 4, .dimensions = 1}, {}), ElementsAre(0));
}

TEST(Grouping, OneOfManyCallsDoesNotDisturbTheNext) {
  Grouping used;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const OwnedLimits limits = random_limits(random, 1);
    const auto waiting = random_candidates(random, random() % 70, 1, 2);
    const CostTable cost = random_cost(random);
    ASSERT_EQ(chosen(used, waiting, limits.view(), cost), chosen(waiting, limits.view(), cost));
  }
}

TEST(Grouping, KeepsItsLimits) {
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const OwnedLimits limits = random_limits(random, 1 + random() % 3);
    const auto waiting = random_candidates(random, 1 + random() % 90, limits.dimensions, 3);
    const CostTable cost = random_cost(random);
    const Indices batch = chosen(waiting, limits.view(), cost);
    ASSERT_FALSE(batch.empty());
    ASSERT_EQ(batch.front(), 0);
    ASSERT_EQ(std::ranges::adjacent_find(batch, std::greater_equal{}), batch.end());
    ASSERT_LT(batch.back(), std::min(waiting.size(), Grouping::kLookAhead));
    const double together = cost_of(waiting, batch, limits.view(), cost);
    ASSERT_NE(together, kForbidden);
    double alone = 0.0;
    for (const std::uint16_t index : batch) alone += cost_of(waiting, {index}, limits.view(), cost);
    ASSERT_LE(together * (1.0 - limits.tolerance), alone * (1.0 + 1e-8));
  }
}

TEST(PaddedSizes, AreTheLargestAlongEachDimension) {
  const std::vector<GroupCandidate> waiting{
      {.rows = 1, .sizes = {3, 9}}, {.rows = 1, .sizes = {99, 99}}, {.rows = 1, .sizes = {5, 2}}};
  const PaddedSizes padded = padded_sizes(waiting, Indices{0, 2}, {.dimensions = 2});
  EXPECT_EQ(padded.sizes[0], 5);
  EXPECT_EQ(padded.sizes[1], 9);
  EXPECT_EQ(padded.elements, 45.0);
}

TEST(PaddedSizes, AreThoseOfTheGearOfFewestElements) {
  const std::vector<std::vector<std::int64_t>> gears{{64, 64}, {8, 32}, {16, 16}, {8, 8}};
  const std::vector<GroupCandidate> waiting{{.rows = 1, .sizes = {3, 9}}};
  const PaddedSizes padded =
      padded_sizes(waiting, Indices{0}, {.dimensions = 2, .size_gears = gears});
  EXPECT_EQ(padded.sizes[0], 8);
  EXPECT_EQ(padded.sizes[1], 32);
  EXPECT_EQ(padded.elements, 256.0);
}

TEST(PaddedSizes, StayWhereNoGearFits) {
  const std::vector<std::vector<std::int64_t>> gears{{64}};
  const PaddedSizes padded =
      padded_sizes(of_lengths({65}), Indices{0}, {.dimensions = 1, .size_gears = gears});
  EXPECT_EQ(padded.sizes[0], 65);
  EXPECT_EQ(padded.elements, 65.0);
}

TEST(FilledRows, AreTheSmallestGearThatFits) {
  const std::vector<std::size_t> gears{8, 2, 4};
  EXPECT_EQ(filled_rows(1, gears), 2U);
  EXPECT_EQ(filled_rows(4, gears), 4U);
  EXPECT_EQ(filled_rows(5, gears), 8U);
  EXPECT_EQ(filled_rows(9, gears), 9U);
  EXPECT_EQ(filled_rows(5, {}), 5U);
}

}  // namespace
}  // namespace dynbatch
