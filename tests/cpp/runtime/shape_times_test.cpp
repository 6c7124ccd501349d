// The gear table and the costs of a model whose rows differ in shape.
#include "runtime/shape_times.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpp/runtime/shape_loading.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::error_of;
using dynbatch::testing::failed;
using dynbatch::testing::lines;
using dynbatch::testing::only;
using dynbatch::testing::padded;
using dynbatch::testing::RunFunction;
using dynbatch::testing::ShapedRun;
using dynbatch::testing::Sizes;
using dynbatch::testing::twice;
using dynbatch::testing::warm_up_with;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(ShapeTimes, TableHasEveryBatchAtEveryGearInTheUsersOrder) {
  BatchingOptions options = padded({32, 16});
  options.max_batch_size = std::nullopt;
  options.gears = {2, 1};
  const ShapeWarmUp found = warm_up_with(lines(), twice, options);
  const std::vector<Gear>& gears = found.common.table.gears;
  ASSERT_THAT(gears, SizeIs(4));
  EXPECT_EQ(found.common.table.kind, GearKind::lengths);
  EXPECT_EQ(gears[0].batch_size, 2U);
  EXPECT_THAT(gears[0].sizes, ElementsAre(32));
  EXPECT_EQ(gears[0].input_bytes, 256U);
  EXPECT_EQ(gears[1].batch_size, 1U);
  EXPECT_THAT(gears[3].sizes, ElementsAre(16));
  EXPECT_EQ(gears[3].input_bytes, 64U);
  for (const Gear& gear : gears) EXPECT_GT(gear.seconds, 0.0);
}

TEST(ShapeTimes, TimesAreKeptByRowsAndPaddedElements) {
  BatchingOptions options = padded({32, 16});
  const ShapeWarmUp found = warm_up_with(lines(), twice, options);
  EXPECT_THAT(found.cost.rows(), ElementsAre(1.0, 2.0, 4.0));
  EXPECT_THAT(found.cost.elements(), ElementsAre(16.0, 32.0));
  for (const std::size_t rows : {1, 2, 4}) {
    for (const double elements : {16.0, 32.0}) EXPECT_GE(found.cost.seconds(rows, elements), 1e-9);
  }
}

TEST(ShapeTimes, DimensionsThatArePaddedWithoutGearsAreTimedAtPowersOfTwo) {
  const ShapeWarmUp found = warm_up_with(lines(), twice, padded({}, 100));
  EXPECT_THAT(found.cost.elements(), ElementsAre(1, 2, 4, 8, 16, 32, 64, 100));
  const ShapeWarmUp longer = warm_up_with(lines(), twice, padded({}, 512));
  EXPECT_THAT(longer.cost.elements(), ElementsAre(4, 8, 16, 32, 64, 128, 256, 512));
}

TEST(ShapeTimes, DimensionsThatAreNotPaddedAreTimedAtPowersOfFour) {
  const ShapeWarmUp found = warm_up_with(lines(), twice, {});
  EXPECT_THAT(found.cost.elements(), ElementsAre(8, 32, 128));
}

TEST(ShapeTimes, SizesOfOurChoiceThatTheModelRefusesAreLeftOut) {
  const ShapeWarmUp found =
      warm_up_with(lines(), only([](std::int64_t length) { return length >= 8; }), padded({}, 64));
  EXPECT_THAT(found.cost.elements(), ElementsAre(8, 16, 32, 64));
  EXPECT_EQ(found.common.report.warning, "");
}

TEST(ShapeTimes, SizesThatWereFoundToRunAreTimedWhereNoneOfOurChoiceDoes) {
  const ShapeWarmUp found =
      warm_up_with(lines(), only([](std::int64_t length) { return length == 224; }), {});
  EXPECT_THAT(found.cost.elements(), ElementsAre(224));
  ASSERT_FALSE(found.common.table.gears.empty());
  EXPECT_THAT(found.common.table.gears.front().sizes, ElementsAre(224));
  EXPECT_GE(found.common.table.cap, 1U);
  EXPECT_EQ(found.common.report.warning, "");
}

TEST(ShapeTimes, BatchThatFailsAtSizesThatRunIsToldAndIsAnErrorIfDemanded) {
  const RunFunction run = [](ShapedRun& shaped) {
    if (shaped.shape(0)[1] != 224) return failed("length not accepted");
    return shaped.shape(0)[0] < 4 ? twice(shaped) : failed("too many rows");
  };
  BatchingOptions options;
  options.gears = {4, 8};
  const ShapeWarmUp found = warm_up_with(lines(), run, options);
  EXPECT_THAT(found.common.report.warning,
              HasSubstr("warm-up with a batch of 4 at 'length'=224: too many rows"));
  EXPECT_EQ(found.common.table.cap, 3U);  // the largest that ran
  options.batching = Batching::always;
  EXPECT_THAT(error_of(lines(), run, options), HasSubstr("too many rows"));
}

TEST(ShapeTimes, BatchThatFailsLeavesTheCapToThoseThatRan) {
  BatchingOptions options;
  options.gears = {1, 2, 4};
  const RunFunction run = [](ShapedRun& shaped) {
    return shaped.shape(0)[0] < 4 ? twice(shaped) : failed("too many rows");
  };
  const ShapeWarmUp found = warm_up_with(lines(), run, options);
  EXPECT_THAT(found.common.report.warning, HasSubstr("a batch of 4"));
  EXPECT_LE(found.common.table.cap, 2U);
}

TEST(ShapeTimes, BrokenContractIsAnErrorAtSizesOfOurChoiceToo) {
  const RunFunction run = [](ShapedRun& shaped) {
    return shaped.shape(0)[1] == 128 ? Failure{} : twice(shaped);
  };
  EXPECT_THAT(error_of(lines(), run, {}), HasSubstr("'length'=128"));
}

TEST(ShapeTimes, BrokenContractIsAnErrorAfterAnotherFailureToo) {
  const RunFunction run = [](ShapedRun& shaped) {
    if (shaped.shape(0)[1] == 128) return Failure{};
    return shaped.shape(0)[0] < 4 ? twice(shaped) : failed("too many rows");
  };
  EXPECT_THAT(error_of(lines(), run, {}), HasSubstr("'length'=128"));
}

TEST(ShapeTimes, AtMostEightSizesAreTimedAndAllGearsStayInTheTable) {
  Sizes gears;
  for (std::int64_t size = 10; size < 30; ++size) gears.push_back(size);
  const ShapeWarmUp found = warm_up_with(lines(), twice, padded(gears));
  EXPECT_THAT(found.common.table.gears, SizeIs(60));
  EXPECT_THAT(found.cost.elements(), SizeIs(8));
  EXPECT_EQ(found.cost.elements().front(), 10.0);
  EXPECT_EQ(found.cost.elements().back(), 29.0);
  const auto unmeasured = std::ranges::count(found.common.table.gears, 0.0, &Gear::seconds);
  EXPECT_EQ(unmeasured, 36);
}

TEST(ShapeTimes, GearThatTheModelRefusesIsToldAndIsAnErrorIfDemanded) {
  const RunFunction run = only([](std::int64_t length) { return length != 64; });
  BatchingOptions options = padded({16, 32, 48, 64});
  const ShapeWarmUp found = warm_up_with(lines(), run, options);
  EXPECT_THAT(found.common.report.warning, HasSubstr("length not accepted"));
  EXPECT_EQ(found.common.table.gears.back().seconds, 0.0);
  options.batching = Batching::always;
  EXPECT_THAT(error_of(lines(), run, options), HasSubstr("length not accepted"));
}

TEST(ShapeTimes, CapFollowsTheRuleOfOtherModels) {
  BatchingOptions options = padded({16, 32});
  options.batching = Batching::always;
  EXPECT_EQ(warm_up_with(lines(), twice, options).common.table.cap, 4U);
  options.batching = Batching::off;
  EXPECT_EQ(warm_up_with(lines(), twice, options).common.table.cap, 1U);
}

TEST(ShapeTimes, BatchOfADimsGearIsItsOnly) {
  BatchingOptions options;
  options.dims = {{.batch_size = 4, .sizes = {16}}, {.batch_size = 2, .sizes = {32}}};
  const ShapeWarmUp found = warm_up_with(lines(), twice, options);
  ASSERT_THAT(found.common.table.gears, SizeIs(2));
  EXPECT_EQ(found.common.table.gears[0].batch_size, 4U);
  EXPECT_EQ(found.common.table.gears[1].batch_size, 2U);
  EXPECT_EQ(found.common.table.cap, 4U);
}

}  // namespace
}  // namespace dynbatch
