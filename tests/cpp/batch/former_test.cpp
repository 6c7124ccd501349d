#include "batch/former.hpp"

#include <gmock/gmock.h>

#include <cstdint>
#include <deque>
#include <vector>

namespace dynbatch {
namespace {

using ::testing::ElementsAre;

/// Requests of one free dimension, 4 bytes an element.
class Waiting {
 public:
  struct Line {
    std::int64_t length = 0;
    std::uint32_t rows = 1;
    std::uint32_t most_rows = 0;
  };
  explicit Waiting(const std::vector<Line>& lines) {
    for (const Line& line : lines) {
      StagedKey& key = keys_.emplace_back();
      key.sizes[0] = line.length;
      key.most_rows = line.most_rows;
      key.row_bytes = static_cast<std::size_t>(line.length) * 4;
      candidates_.push_back({.rows = line.rows, .key = &key});
    }
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  std::vector<int> chosen_by(const FormerSetup& setup) const {
    Former former(setup);
    const auto chosen = former.choose(candidates_);
    return {chosen.begin(), chosen.end()};
  }

 private:
  std::deque<StagedKey> keys_;
  std::vector<StagedCandidate> candidates_;
};

TensorSpec length_input() {
  TensorSpec input;
  input.row_shape = {-1};
  input.dimensions = {0};
  return input;
}

FormerSetup equal_shapes(std::uint32_t rows) {
  return {.plan = {.padded = {false}, .largest = {0}},
          .largest_rows = rows,
          .staging_bytes = 1 << 20,
          .inputs = {length_input()}};
}

FormerSetup padded(std::uint32_t rows) {
  FormerSetup setup = equal_shapes(rows);
  setup.plan.padded = {true};
  return setup;
}

TEST(Former, WithoutPaddingTheOldestGoFirst) {
  const Waiting waiting({{5}, {5}, {5}, {5}});
  EXPECT_THAT(waiting.chosen_by(equal_shapes(3)), ElementsAre(0, 1, 2));
}

TEST(Former, RequestThatDoesNotFitIsPassedOver) {
  const Waiting waiting({{5, 2}, {5, 3}, {5, 2}});
  EXPECT_THAT(waiting.chosen_by(equal_shapes(4)), ElementsAre(0, 2));
}

TEST(Former, BatchFitsItsStagingMemory) {
  FormerSetup setup = equal_shapes(8);
  setup.staging_bytes = 40;  // two rows of 5 elements
  EXPECT_THAT(Waiting({{5}, {5}, {5}}).chosen_by(setup), ElementsAre(0, 1));
  EXPECT_THAT(Waiting({{50}, {5}}).chosen_by(setup), ElementsAre(0));
}

TEST(Former, PaddedBatchFitsItsStagingMemory) {
  FormerSetup setup = padded(8);
  setup.cost = CostTable({1, 2}, {1.0, 2.0}, {1e9 + 1, 1e9 + 2, 1e9 + 2, 1e9 + 4});
  setup.staging_bytes = 40;
  EXPECT_THAT(Waiting({{5}, {5}, {5}}).chosen_by(setup), ElementsAre(0, 1));
}

TEST(Former, FixedPartOfARowCountsOnceForEachRow) {
  FormerSetup setup = padded(8);
  setup.cost = CostTable({1, 2}, {1.0, 2.0}, {1e9 + 1, 1e9 + 2, 1e9 + 2, 1e9 + 4});
  TensorSpec& fixed = setup.inputs.emplace_back();
  fixed.row_shape = {100};  // 400 bytes beside 4 an element
  setup.staging_bytes = 3000;
  EXPECT_EQ(Waiting(std::vector<Waiting::Line>(8, {1})).chosen_by(setup).size(), 7U);
  EXPECT_THAT(Waiting({{1}, {500}, {1}, {1}}).chosen_by(setup), ElementsAre(0, 2, 3));
}

TEST(Former, PaddedRequestsAreGroupedByTheirLength) {
  FormerSetup setup = padded(4);
  // A run costs 1 beside 0.01 an element.
  setup.cost = CostTable({1, 2}, {1.0, 2.0}, {1.01, 1.02, 1.02, 1.04});
  const Waiting waiting({{10}, {1000}, {12}, {990}, {11}});
  EXPECT_THAT(waiting.chosen_by(setup), ElementsAre(0, 2, 4));
}

TEST(Former, OldestIsAlwaysAmongThem) {
  FormerSetup setup = padded(4);
  setup.cost = CostTable({1, 2}, {1.0, 2.0}, {1.01, 1.02, 1.02, 1.04});
  EXPECT_THAT(Waiting({{1000}, {10}, {11}}).chosen_by(setup), ElementsAre(0));
}

TEST(Former, GearOfDimsBoundsTheRows) {
  FormerSetup setup = padded(8);
  setup.plan.size_gears = {{10}, {100}};
  EXPECT_THAT(Waiting({{.length = 90, .most_rows = 2},
                       {.length = 95, .most_rows = 2},
                       {.length = 92, .most_rows = 2}})
                  .chosen_by(setup)
                  .size(),
              2U);
}

TEST(Former, GearOfDimsWithABatchOfItsOwnTakesAllThatItHolds) {
  FormerSetup setup = padded(8);
  setup.plan.size_gears = {{10}, {100}};
  setup.cost = CostTable({4}, {10.0, 100.0}, {1.0, 2.0});  // nothing is known of fewer rows
  setup.tolerance = 0.03;
  const Waiting waiting(std::vector<Waiting::Line>(6, {.length = 9, .most_rows = 4}));
  EXPECT_EQ(waiting.chosen_by(setup).size(), 4U);
}

TEST(Former, EmptyRowsShareTheCostOfARun) {
  FormerSetup setup = equal_shapes(8);
  setup.cost = CostTable({1, 2}, {1.0, 2.0}, {101, 102, 102, 104});
  setup.tolerance = 0.03;
  EXPECT_EQ(Waiting(std::vector<Waiting::Line>(8, {0})).chosen_by(setup).size(), 8U);
}

TEST(Former, GearWithoutABatchOfItsOwnBoundsNothing) {
  const FormerSetup setup = equal_shapes(3);
  EXPECT_THAT(Waiting({{5}, {5}, {5}, {5}}).chosen_by(setup), ElementsAre(0, 1, 2));
}

TEST(Former, EqualSizesRunInBatchesThatPayAtTheirSize) {
  FormerSetup setup = equal_shapes(8);
  // A run costs 100 beside 1 an element: company pays for short rows.
  setup.cost = CostTable({1, 2}, {1.0, 2.0}, {101, 102, 102, 104});
  setup.tolerance = 0.03;
  EXPECT_EQ(Waiting(std::vector<Waiting::Line>(8, {10})).chosen_by(setup).size(), 8U);
  EXPECT_EQ(Waiting(std::vector<Waiting::Line>(8, {10000})).chosen_by(setup).size(), 1U);
  setup.tolerance = 0.0;
  EXPECT_EQ(Waiting(std::vector<Waiting::Line>(8, {10000})).chosen_by(setup).size(), 8U);
}

TEST(Former, LooksAtNoMoreThanItsBounds) {
  const std::vector<Waiting::Line> lines(100, {5});
  EXPECT_EQ(Waiting(lines).chosen_by(equal_shapes(100)).size(), 64U);
}

}  // namespace
}  // namespace dynbatch
