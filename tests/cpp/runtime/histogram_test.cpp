#include "runtime/histogram.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace dynbatch {
namespace {

constexpr double kWithin = 0.07;

TEST(Histogram, EmptyTellsZeros) {
  const Quantiles quantiles = Histogram().quantiles();
  EXPECT_EQ(quantiles.count, 0U);
  EXPECT_EQ(quantiles.p50, 0.0);
  EXPECT_EQ(quantiles.max, 0.0);
}

TEST(Histogram, EveryTimeIsToldWithinSevenPercent) {
  for (Nanoseconds time = 1; time < INT64_MAX / 3; time = time * 3 / 2 + 1) {
    Histogram histogram;
    histogram.add(time);
    histogram.add(INT64_MAX);  // so that the largest value does not cut the bucket's
    const double expected = static_cast<double>(time) * 1e-9;
    EXPECT_NEAR(histogram.quantiles().p50, expected, expected * kWithin) << time << " ns";
  }
}

TEST(Histogram, QuantilesOfEvenlySpreadTimes) {
  Histogram histogram;
  for (Nanoseconds time = 1; time <= 1000; ++time) histogram.add(time * 1000);
  const Quantiles quantiles = histogram.quantiles();
  EXPECT_EQ(quantiles.count, 1000U);
  EXPECT_NEAR(quantiles.p50, 500e-6, 500e-6 * kWithin);
  EXPECT_NEAR(quantiles.p90, 900e-6, 900e-6 * kWithin);
  EXPECT_NEAR(quantiles.p99, 990e-6, 990e-6 * kWithin);
  EXPECT_DOUBLE_EQ(quantiles.max, 1e-3);
}

TEST(Histogram, NoQuantileIsAboveTheLargestTime) {
  Histogram histogram;
  histogram.add(1'000'001);
  const Quantiles quantiles = histogram.quantiles();
  EXPECT_LE(quantiles.p50, quantiles.max);
  EXPECT_LE(quantiles.p99, quantiles.max);
}

TEST(Histogram, HoldsZeroNegativeAndTheLongestTime) {
  Histogram histogram;
  histogram.add(0);
  histogram.add(-5);
  EXPECT_EQ(histogram.quantiles().max, 0.0);
  histogram.add(INT64_MAX);
  EXPECT_NEAR(histogram.quantiles().max, 9.22e9, 1e7);
}

}  // namespace
}  // namespace dynbatch
