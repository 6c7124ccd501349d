// What loading concludes: whether rows are merged, how far, and what it says where they are not.
#include "runtime/warm_up.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <dynbatch/error.hpp>

#include "cpp/runtime/custom_executor.hpp"
#include "cpp/runtime/float_rows.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::add_one;
using dynbatch::testing::CustomExecutor;
using dynbatch::testing::failed;
using dynbatch::testing::floats;
using dynbatch::testing::rows_of;
using dynbatch::testing::RunFunction;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Rows = std::vector<float>;

WarmUp warm_up_with(RunFunction run, const BatchingOptions& options,
                    ModelSpec spec = CustomExecutor::one_float()) {
  CustomExecutor executor(std::move(run), std::move(spec));
  return warm_up(executor, options, plan_batching(executor.spec(), options));
}

Failure independent(const Batch& batch, RunOutputs&) { return add_one(batch); }

/// Each row gets its share of the batch's sum: `difference` of max|y| apart from the row alone.
RunFunction mixing(float difference) {
  return [difference](const Batch& batch, RunOutputs&) {
    for (std::size_t row = 0; row < batch.rows; ++row) {
      floats(batch.outputs[0])[row] = batch.rows > 1 ? 1.0F + difference : 1.0F;
    }
    return Failure{};
  };
}

std::string error_of(RunFunction run, const BatchingOptions& options) {
  try {
    warm_up_with(std::move(run), options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::model);
    return error.what();
  }
  ADD_FAILURE() << "loaded";
  return "";
}

TEST(WarmUp, IndependentRowsAreMergedWithoutAWarning) {
  const WarmUp found = warm_up_with(independent, {});
  EXPECT_TRUE(found.report.merges);
  EXPECT_TRUE(found.report.bit_equal);
  EXPECT_EQ(found.report.warning, "");
}

TEST(WarmUp, MixingRowsAreNotMergedAndTheWarningNamesDifferenceAndWayOut) {
  const WarmUp found = warm_up_with(mixing(0.25F), {});
  EXPECT_FALSE(found.report.merges);
  EXPECT_EQ(found.table.cap, 1U);
  EXPECT_THAT(found.report.warning, AllOf(HasSubstr("0.25"), HasSubstr("row_tolerance=")));
}

TEST(WarmUp, MixingRowsAreAnErrorIfMergingIsDemanded) {
  EXPECT_THAT(error_of(mixing(0.25F), {.batching = Batching::always}),
              AllOf(HasSubstr("batching=\"always\""), HasSubstr("0.25")));
}

TEST(WarmUp, ToleranceAcceptsTheDifference) {
  const WarmUp found = warm_up_with(mixing(0.25F), {.row_tolerance = 0.3});
  EXPECT_TRUE(found.report.merges);
  EXPECT_FALSE(found.report.bit_equal);
  EXPECT_NEAR(found.report.difference, 0.25, 1e-6);
}

TEST(WarmUp, DefaultToleranceIsOneInAThousand) {
  EXPECT_TRUE(warm_up_with(mixing(0.9e-3F), {}).report.merges);
  EXPECT_FALSE(warm_up_with(mixing(1.1e-3F), {}).report.merges);
}

TEST(WarmUp, WithoutVerifyRowsAreMergedUnprobed) {
  const WarmUp found = warm_up_with(mixing(0.25F), {.verify = false});
  EXPECT_TRUE(found.report.merges);
  EXPECT_FALSE(found.report.probed);
}

TEST(WarmUp, OffNeitherProbesNorMerges) {
  const WarmUp found = warm_up_with(independent, {.batching = Batching::off});
  EXPECT_FALSE(found.report.merges);
  EXPECT_FALSE(found.report.probed);
  EXPECT_EQ(found.report.warning, "");
  EXPECT_EQ(found.table.cap, 1U);
}

TEST(WarmUp, ModelThatRefusesMadeUpValuesIsNotMergedAndIsToldToPassFeeds) {
  const WarmUp found =
      warm_up_with([](const Batch&, RunOutputs&) { return failed("no such token"); }, {});
  EXPECT_FALSE(found.report.merges);
  EXPECT_THAT(found.report.warning, AllOf(HasSubstr("no such token"), HasSubstr("verify=feeds")));
}

TEST(WarmUp, ExamplesAreRunInsteadOfMadeUpValues) {
  const Rows examples{5.0F, 6.0F};
  BatchingOptions options;
  options.examples = {rows_of(examples)};
  Rows seen;
  const WarmUp found = warm_up_with(
      [&](const Batch& batch, RunOutputs&) {
        seen.insert(seen.end(), floats(batch.inputs[0]), floats(batch.inputs[0]) + batch.rows);
        return add_one(batch);
      },
      options);
  EXPECT_THAT(seen, Each(::testing::AnyOf(5.0F, 6.0F)));
  EXPECT_EQ(*floats(found.fill_row[0].data()), 5.0F);
}

TEST(WarmUp, ExamplesThatDoNotFitAreRefused) {
  const Rows none;
  BatchingOptions options;
  options.examples = {rows_of(none)};
  EXPECT_THROW(warm_up_with(independent, options), Error);
  options.examples = {InputView{none.data(), DataType::int8, Shape{0, 1}}};
  EXPECT_THROW(warm_up_with(independent, options), Error);
}

TEST(WarmUp, EveryGearIsTimedAtLeastThreeTimesAfterItsFirstRun) {
  std::vector<std::size_t> runs(9);
  const WarmUp found = warm_up_with(
      [&](const Batch& batch, RunOutputs&) {
        ++runs[batch.rows];
        return add_one(batch);
      },
      {.gears = {8, 4}, .verify = false});
  EXPECT_EQ(runs[8], 4U);
  EXPECT_EQ(runs[4], 4U);
  EXPECT_EQ(found.table.gears[0].batch_size, 8U);
  EXPECT_EQ(found.table.gears[0].input_bytes, 32U);
}

TEST(WarmUp, LoneRunsAreTimedInTurnsWithOthersIfTheExecutorOffersThem) {
  std::vector<bool> alone;
  CustomExecutor executor([&](const Batch& batch, RunOutputs&) {
    alone.push_back(batch.alone);
    return add_one(batch);
  });
  executor.offer_lone_runs();
  const BatchingOptions options{.gears = {4}, .verify = false};
  const WarmUp found = warm_up(executor, options, plan_batching(executor.spec(), options));
  EXPECT_THAT(alone, ElementsAre(false, false, false, false,            // the gear's time
                                 false, true, true, false, true, true,  // and in turns
                                 false, true, true, false, true, true));
  EXPECT_TRUE(found.table.gears[0].seconds_alone.has_value());
}

TEST(WarmUp, GearsBeyondTheCapAreNotTimedAlone) {
  std::size_t largest_alone = 0;
  CustomExecutor executor([&](const Batch& batch, RunOutputs&) {
    if (batch.alone) largest_alone = std::max(largest_alone, batch.rows);
    return add_one(batch);
  });
  executor.offer_lone_runs();
  const BatchingOptions options{.gears = {1, 8}, .verify = false};
  const WarmUp found = warm_up(executor, options, plan_batching(executor.spec(), options));
  EXPECT_EQ(largest_alone, found.table.cap);
  for (const Gear& gear : found.table.gears) {
    EXPECT_EQ(gear.seconds_alone.has_value(), gear.batch_size <= found.table.cap);
  }
}

TEST(WarmUp, WithoutAnOfferNoRunIsAlone) {
  bool alone = false;
  const WarmUp found = warm_up_with(
      [&](const Batch& batch, RunOutputs&) {
        alone = alone || batch.alone;
        return add_one(batch);
      },
      {});
  EXPECT_FALSE(alone);
  EXPECT_EQ(found.table.gears[0].seconds_alone, std::nullopt);
}

TEST(WarmUp, AlwaysMergesUpToTheLargestGearWhateverItCosts) {
  EXPECT_EQ(
      warm_up_with(independent, {.max_batch_size = 16, .batching = Batching::always}).table.cap,
      16U);
}

TEST(WarmUp, FilledBatchesAreProbedAndRunAtTheSizesOfGearsOnly) {
  std::vector<std::size_t> sizes;
  const WarmUp found = warm_up_with(
      [&](const Batch& batch, RunOutputs&) {
        sizes.push_back(batch.rows);
        return add_one(batch);
      },
      {.gears = {4, 8}, .fill = Fill::yes});
  EXPECT_THAT(sizes, Each(::testing::AnyOf(4U, 8U)));
  EXPECT_TRUE(found.report.probed);
  EXPECT_TRUE(found.report.merges);
  EXPECT_TRUE(found.table.filled);
}

TEST(WarmUp, FilledBatchesOfSmallGearsAreProbedAtTheLargest) {
  std::vector<std::size_t> sizes;
  const auto run = [&](const Batch& batch, RunOutputs&) {
    sizes.push_back(batch.rows);
    return add_one(batch);
  };
  EXPECT_TRUE(warm_up_with(run, {.gears = {1, 2}, .fill = Fill::yes}).report.probed);
  EXPECT_THAT(sizes, Each(::testing::AnyOf(1U, 2U)));
}

TEST(WarmUp, FilledModelThatFailsAtAGearIsAnError) {
  EXPECT_THAT(
      error_of([](const Batch& batch,
                  RunOutputs&) { return batch.rows == 8 ? failed("too large") : add_one(batch); },
               {.gears = {4, 8}, .fill = Fill::yes}),
      HasSubstr("too large"));
}

TEST(WarmUp, ShapesOfRequestsWithoutRowsAreThoseThatWereSeen) {
  static const Rows ones(64, 1.0F);
  ModelSpec spec = CustomExecutor::one_float();
  spec.outputs[0].row_shape = Shape{-1};
  const WarmUp found = warm_up_with(
      [](const Batch& batch, RunOutputs& outputs) {
        outputs.adopt(0, ones.data(), Shape{static_cast<std::int64_t>(batch.rows), 2}, nullptr,
                      nullptr);
        return Failure{};
      },
      {}, spec);
  EXPECT_THAT(found.output_row_shapes, ElementsAre(Shape{2}));
}

}  // namespace
}  // namespace dynbatch
