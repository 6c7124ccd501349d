#include "batch/cost_table.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace dynbatch {
namespace {

const std::vector<std::size_t> kRows{1, 2, 4, 8};
const std::vector<double> kElements{16, 32, 64};

template <class Seconds>
std::vector<double> on_grid(Seconds seconds) {
  std::vector<double> grid;
  for (const std::size_t rows : kRows) {
    for (const double elements : kElements)
      grid.push_back(seconds(static_cast<double>(rows), elements));
  }
  return grid;
}

/// Bilinear everywhere, so that a table of it is right everywhere.
double bilinear(double rows, double elements) {
  return 2.0 + 3.0 * rows + 0.25 * elements + 0.5 * rows * elements;
}

CostTable bilinear_table() { return {kRows, kElements, on_grid(bilinear)}; }

TEST(CostTable, WithoutMeasurementsCountsPaddedElements) {
  const CostTable unknown;
  EXPECT_EQ(unknown.seconds(1, 1.0), 1.0);
  EXPECT_EQ(unknown.seconds(7, 100.0), 700.0);
}

TEST(CostTable, MonotoneGridIsKeptExactly) {
  const auto uneven = [](double rows, double elements) { return rows * rows * 0.1 + elements / 7; };
  const std::vector<double> seconds = on_grid(uneven);
  const CostTable table(kRows, kElements, seconds);
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    for (std::size_t j = 0; j < kElements.size(); ++j)
      EXPECT_EQ(table.seconds(kRows[i], kElements[j]), seconds[i * kElements.size() + j]);
  }
}

TEST(CostTable, IsBilinearBetweenPoints) {
  EXPECT_DOUBLE_EQ(bilinear_table().seconds(3, 40.0), bilinear(3, 40));
  EXPECT_DOUBLE_EQ(bilinear_table().seconds(5, 17.0), bilinear(5, 17));
}

TEST(CostTable, InterpolatesWithinItsOwnCell) {
  const CostTable table({1, 3}, {10, 20, 30}, {1, 2, 8, 5, 6, 20});
  EXPECT_DOUBLE_EQ(table.seconds(2, 15.0), (1 + 2 + 5 + 6) / 4.0);
  EXPECT_DOUBLE_EQ(table.seconds(2, 25.0), (2 + 8 + 6 + 20) / 4.0);
}

TEST(CostTable, GoesOnByTheLastSlopes) {
  EXPECT_DOUBLE_EQ(bilinear_table().seconds(20, 32.0), bilinear(20, 32));
  EXPECT_DOUBLE_EQ(bilinear_table().seconds(2, 500.0), bilinear(2, 500));
  EXPECT_DOUBLE_EQ(bilinear_table().seconds(20, 500.0), bilinear(20, 500));
}

TEST(CostTable, GoesTowardsZeroByTheFirstSlopes) {
  EXPECT_DOUBLE_EQ(bilinear_table().seconds(1, 4.0), bilinear(1, 4));
  const CostTable from_four_rows({4, 8}, {16, 32}, {12, 20, 20, 36});  // 4 + rows * elements / 8
  EXPECT_DOUBLE_EQ(from_four_rows.seconds(1, 16.0), 6.0);
  EXPECT_DOUBLE_EQ(from_four_rows.seconds(1, 8.0), 5.0);
}

TEST(CostTable, NeverFallsBelowZero) {
  const CostTable steep({4, 8}, {16, 32}, {1, 10, 10, 100});
  // By the slopes it would fall below 0 on the way: so it falls to 0 in a straight line.
  EXPECT_EQ(steep.seconds(1, 16.0), 0.25);
  EXPECT_EQ(steep.seconds(4, 1.0), 0.0625);
  EXPECT_EQ(steep.seconds(0, 0.0), 0.0);
}

TEST(CostTable, SinglePointIsProportional) {
  const CostTable table({2}, {10}, {4});
  EXPECT_EQ(table.seconds(2, 10.0), 4.0);
  EXPECT_EQ(table.seconds(3, 10.0), 6.0);
  EXPECT_EQ(table.seconds(2, 5.0), 2.0);
  EXPECT_EQ(table.seconds(4, 20.0), 16.0);
}

TEST(CostTable, NoiseBecomesTheMiddle) {
  const CostTable table({1}, {1, 2, 3, 4}, {1, 3, 2, 4});
  EXPECT_EQ(table.seconds(1, 1.0), 1.0);
  EXPECT_EQ(table.seconds(1, 2.0), 2.5);
  EXPECT_EQ(table.seconds(1, 3.0), 2.5);
  EXPECT_EQ(table.seconds(1, 4.0), 4.0);
}

/// A grid of random lines and random seconds, most of which are out of order.
CostTable random_table(std::mt19937_64& random) {
  std::vector<std::size_t> rows;
  std::vector<double> elements;
  std::uniform_int_distribution<std::size_t> count(1, 6);
  std::uniform_int_distribution<std::size_t> step(1, 9);
  std::size_t line = 0;
  for (std::size_t i = count(random); i > 0; --i) rows.push_back(line += step(random));
  line = 0;
  for (std::size_t i = count(random); i > 0; --i)
    elements.push_back(static_cast<double>(line += 3 * step(random)));
  std::vector<double> seconds(rows.size() * elements.size());
  for (double& one : seconds) one = std::uniform_real_distribution<double>(0.0, 1.0)(random);
  return {rows, elements, seconds};
}

TEST(CostTable, MoreNeverCostsLess) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const CostTable table = random_table(random);
    for (std::size_t rows = 0; rows < 80; ++rows) {
      for (int k = 0; k < 120; ++k) {
        const double elements = k * 2.5;
        const double here = table.seconds(rows, elements);
        ASSERT_GE(here, 0.0);
        const double rounding = 1e-9 * (1.0 + here);
        ASSERT_GE(table.seconds(rows + 1, elements), here - rounding) << rows << " " << elements;
        ASSERT_GE(table.seconds(rows, elements + 2.5), here - rounding) << rows << " " << elements;
      }
    }
  }
}

}  // namespace
}  // namespace dynbatch
