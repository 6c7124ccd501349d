// Which sizes run with all CPUs when they are alone, by the times of the gears.
#include "runtime/lone_runs.hpp"

#include <gmock/gmock.h>

#include <optional>
#include <vector>

namespace dynbatch {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Gear gear(std::size_t batch_size, double seconds, std::optional<double> alone) {
  return {.batch_size = batch_size, .seconds = seconds, .seconds_alone = alone};
}

std::vector<bool> lone_sizes(const GearTable& table, std::size_t largest) {
  std::vector<bool> sizes;
  for (const Nanoseconds limit : lone_limits(table, largest)) sizes.push_back(limit > 0);
  return sizes;
}

TEST(LoneSizes, NoneWhereLoneRunsWereNotMeasured) {
  EXPECT_THAT(lone_sizes({.gears = {gear(1, 1.0, {}), gear(2, 2.0, {})}}, 2), IsEmpty());
}

TEST(LoneSizes, NoneWhereNoGearGainsFifteenPercent) {
  EXPECT_THAT(lone_sizes({.gears = {gear(1, 1.14, 1.0), gear(2, 2.2, 2.0)}}, 2), IsEmpty());
}

TEST(LoneSizes, AllSizesWhereAllGearsGain) {
  EXPECT_THAT(lone_sizes({.gears = {gear(1, 1.2, 1.0), gear(2, 2.4, 2.0)}}, 2),
              ElementsAre(false, true, true));
}

TEST(LoneSizes, OneGearThatGainsKeepsThemForItsNeighbourhood) {
  // Between 1 and 4 rows: 0 %, 16 %, 31 % and 45 % faster.
  EXPECT_THAT(lone_sizes({.gears = {gear(1, 1.0, 1.0), gear(4, 3.2, 2.2)}}, 4),
              ElementsAre(false, false, true, true, true));
}

TEST(LoneSizes, SizeThatGainsLessThanFivePercentRunsLikeAnyOther) {
  EXPECT_THAT(lone_sizes({.gears = {gear(1, 1.04, 1.0), gear(2, 3.0, 2.0)}}, 2),
              ElementsAre(false, false, true));
}

TEST(LoneSizes, GearsThatWereNotMeasuredAloneDoNotCount) {
  EXPECT_THAT(lone_sizes({.gears = {gear(1, 2.0, 1.0), gear(8, 8.0, {})}}, 1),
              ElementsAre(false, true));
}

TEST(LoneSizes, SizesBelowTheSmallestGearGoByItsTimes) {
  EXPECT_THAT(lone_sizes({.gears = {gear(4, 4.0, 2.0)}}, 4),
              ElementsAre(false, true, true, true, true));
}

TEST(LoneSizes, OrderOfTheGearsDoesNotMatter) {
  EXPECT_THAT(lone_sizes({.gears = {gear(4, 4.0, 4.0), gear(1, 2.0, 1.0), gear(2, 2.0, 2.0)}}, 4),
              ElementsAre(false, true, false, false, false));
}

TEST(LoneSizes, LimitIsTheTimeWithoutAllCpus) {
  EXPECT_THAT(lone_limits({.gears = {gear(1, 2e-6, 1e-6), gear(3, 4e-6, 2e-6)}}, 3),
              ElementsAre(0, 2000, 3000, 4000));
}

TEST(LoneRuns, RunThatTakesTooLongPutsOffTheNextOnes) {
  LoneRuns runs;
  const auto runs_until_the_next = [&] {
    int refused = 0;
    while (!runs.may_run()) ++refused;
    return refused;
  };
  const auto slow_runs = [&] {
    runs.note(11, 10);  // may have found threads asleep
    EXPECT_EQ(runs_until_the_next(), 0);
    runs.note(11, 10);
  };
  EXPECT_EQ(runs_until_the_next(), 0);
  for (const int expected : {16, 64, 256}) {
    slow_runs();
    EXPECT_EQ(runs_until_the_next(), expected);
  }
  runs.note(10, 10);
  EXPECT_EQ(runs_until_the_next(), 0) << "it is not put off while it keeps its time";
  runs.note(11, 10);
  EXPECT_EQ(runs_until_the_next(), 512) << "one good run halves what is quadrupled next";
  for (int i = 0; i < 10; ++i) {
    slow_runs();
    runs_until_the_next();
  }
  slow_runs();
  EXPECT_EQ(runs_until_the_next(), 1024);
}

TEST(ShapedLoneRuns, LimitIsTheTimeWithoutAllCpusFromTheLeastWorkOn) {
  const ShapedLoneRuns lone{
      .least_work = 100.0, .weighed = {1}, .cost = CostTable({1, 2}, {1.0, 2.0}, {1, 2, 2, 4})};
  const std::vector<std::int64_t> sizes{7, 50};
  EXPECT_EQ(lone.limit(1, sizes), 0);
  EXPECT_EQ(lone.limit(2, sizes), 100'000'000'000);
  EXPECT_EQ(ShapedLoneRuns{}.limit(2, sizes), 0);
}

}  // namespace
}  // namespace dynbatch
