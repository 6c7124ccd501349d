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

}  // namespace
}  // namespace dynbatch
