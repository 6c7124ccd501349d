// When batches count as smaller than before.
#include "memory/lower_gear.hpp"

#include <gtest/gtest.h>

namespace dynbatch {
namespace {

constexpr std::uint32_t kAll = UINT32_MAX;

/// Runs of `rows` rows, `count` of them spread over `span` after `start`; how often the gear was lower.
int run(LowerGear& gear, std::uint32_t rows, std::uint32_t count, Nanoseconds start,
        Nanoseconds span) {
  int noticed = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    noticed += gear.note(rows, start + span * i / (count - 1)) ? 1 : 0;
  }
  return noticed;
}

TEST(LowerGear, KeepsAllRowsWhileBatchesAreAlike) {
  LowerGear gear;
  EXPECT_EQ(run(gear, 8, 100, 0, 10 * LowerGear::kSpan), 0);
  EXPECT_EQ(run(gear, 5, 100, 10 * LowerGear::kSpan, LowerGear::kSpan), 0);  // more than half
  EXPECT_EQ(gear.kept_rows(), kAll);
}

TEST(LowerGear, IsNoticedOnceWithTheRowsOfLate) {
  LowerGear gear;
  gear.note(8, 0);
  EXPECT_EQ(run(gear, 3, 100, 0, LowerGear::kSpan), 1);
  EXPECT_EQ(gear.kept_rows(), 3U);
  EXPECT_EQ(run(gear, 3, 100, LowerGear::kSpan, LowerGear::kSpan), 0);
}

TEST(LowerGear, FewRunsOrAShortWhileAreNotEnough) {
  LowerGear gear;
  gear.note(8, 0);
  EXPECT_EQ(run(gear, 1, LowerGear::kRuns - 1, 0, 5 * LowerGear::kSpan), 0);
  LowerGear other;
  other.note(8, 0);
  EXPECT_EQ(run(other, 1, 1000, 0, LowerGear::kSpan - 1), 0);
}

TEST(LowerGear, LargeBatchInBetweenStartsAnew) {
  LowerGear gear;
  gear.note(8, 0);
  EXPECT_EQ(run(gear, 1, 100, 0, LowerGear::kSpan - 1), 0);
  gear.note(8, LowerGear::kSpan);
  EXPECT_EQ(run(gear, 1, 100, LowerGear::kSpan, LowerGear::kSpan - 1), 0);
}

TEST(LowerGear, LargerBatchAfterwardsMayKeepAllAgain) {
  LowerGear gear;
  gear.note(8, 0);
  EXPECT_EQ(run(gear, 2, 100, 0, LowerGear::kSpan), 1);
  gear.note(3, 2 * LowerGear::kSpan);
  EXPECT_EQ(gear.kept_rows(), kAll);
}

}  // namespace
}  // namespace dynbatch
