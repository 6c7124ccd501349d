// What loading concludes about models whose rows differ in shape: sizes, layouts, merging, padding, times.
#include "runtime/shape_warm_up.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <dynbatch/error.hpp>

#include "cpp/runtime/shaped_executor.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::FloatTensor;
using dynbatch::testing::lines;
using dynbatch::testing::ShapedExecutor;
using dynbatch::testing::ShapedRun;
using dynbatch::testing::twice;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::SizeIs;

using RunFunction = ShapedExecutor::RunFunction;
using Sizes = std::vector<std::int64_t>;

ShapeWarmUp warm_up_with(const ModelSpec& spec, const RunFunction& run,
                         const BatchingOptions& options = {}) {
  ShapedExecutor executor(spec, run);
  ShapePlan shapes = plan_shapes(spec, options);
  ShapeWarmUp found = warm_up_shapes(executor, options, plan_batching(spec, options), shapes);
  EXPECT_EQ(found.plan.padded, shapes.padded);
  return found;
}

std::string error_of(const ModelSpec& spec, const RunFunction& run, const BatchingOptions& options,
                     ErrorCode code = ErrorCode::model) {
  try {
    warm_up_with(spec, run, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  ADD_FAILURE() << "loaded";
  return "";
}

BatchingOptions padded(Sizes gears, std::int64_t largest = 0) {
  BatchingOptions options;
  options.max_batch_size = 4;
  options.lengths["length"] = {.gears = std::move(gears), .largest = largest};
  return options;
}

Failure failed(const std::string& why) { return {ErrorCode::execution, why, nullptr}; }

/// y [n, 1]: the mean over all of a row, its padding included.
Failure mean_of_row(ShapedRun& run) {
  const Shape& shape = run.shape(0);
  FloatTensor y = FloatTensor::zeros({shape[0], 1});
  for (std::int64_t row = 0; row < shape[0]; ++row) {
    float sum = 0.0F;
    for (std::int64_t i = 0; i < shape[1]; ++i) sum += run.input(0)[row * shape[1] + i];
    y.values[static_cast<std::size_t>(row)] = sum / static_cast<float>(shape[1]);
  }
  run.outputs.push_back(std::move(y));
  return {};
}

/// y = x + `share` of the mean of the batch.
RunFunction mixing(float share) {
  return [share](ShapedRun& run) {
    const Shape& shape = run.shape(0);
    FloatTensor y = FloatTensor::zeros(shape);
    float sum = 0.0F;
    for (std::size_t i = 0; i < y.values.size(); ++i) sum += run.input(0)[i];
    for (std::size_t i = 0; i < y.values.size(); ++i)
      y.values[i] = run.input(0)[i] + share * sum / static_cast<float>(y.values.size());
    run.outputs.push_back(std::move(y));
    return Failure{};
  };
}

/// Runs only lengths that `accepts` says.
RunFunction only(std::function<bool(std::int64_t)> accepts, RunFunction run = twice) {
  return [accepts = std::move(accepts), run = std::move(run)](ShapedRun& shaped) {
    if (!accepts(shaped.shape(0)[1])) return failed("length not accepted");
    return run(shaped);
  };
}

TEST(ShapeWarmUp, EqualSizesAreMergedAndNothingIsPaddedWithoutOptions) {
  const ShapeWarmUp found = warm_up_with(lines(), twice);
  EXPECT_TRUE(found.common.report.merges);
  EXPECT_TRUE(found.common.report.bit_equal);
  EXPECT_EQ(found.common.report.warning, "");
  EXPECT_THAT(found.plan.padded, ElementsAre(false));
  ASSERT_THAT(found.outputs, SizeIs(1));
  EXPECT_EQ(found.outputs[0].batch_axis, 0U);
}

TEST(ShapeWarmUp, IndependentRowsMayBePaddedAndAreCut) {
  const ShapeWarmUp found = warm_up_with(lines(), twice, padded({16, 32}));
  EXPECT_THAT(found.plan.padded, ElementsAre(true));
  EXPECT_EQ(found.common.report.warning, "");
  EXPECT_EQ(own_shape(found.outputs[0], Shape{4, 32}, 1, Sizes{20}), (Shape{1, 20}));
}

TEST(ShapeWarmUp, MixingRowsAreNotMergedAndTheWarningIsThatOfOtherModels) {
  const ShapeWarmUp found = warm_up_with(lines(), mixing(1.0F));
  EXPECT_FALSE(found.common.report.merges);
  EXPECT_EQ(found.common.table.cap, 1U);
  EXPECT_THAT(found.common.report.warning,
              AllOf(HasSubstr("depends on its neighbours"), HasSubstr("row_tolerance=")));
  EXPECT_THAT(error_of(lines(), mixing(1.0F), {.batching = Batching::always}),
              HasSubstr("batching=\"always\""));
}

TEST(ShapeWarmUp, ToleranceAcceptsMixing) {
  const ShapeWarmUp found = warm_up_with(lines(), mixing(1.0F), {.row_tolerance = 100.0});
  EXPECT_TRUE(found.common.report.merges);
  EXPECT_FALSE(found.common.report.bit_equal);
  EXPECT_GT(found.common.report.difference, 1e-3);
}

TEST(ShapeWarmUp, PaddingThatChangesAnswersIsSwitchedOff) {
  const ShapeWarmUp found = warm_up_with(lines(), mean_of_row, padded({16, 32}));
  EXPECT_TRUE(found.common.report.merges);
  EXPECT_THAT(found.plan.padded, ElementsAre(false));
  EXPECT_THAT(found.plan.size_gears, IsEmpty());
  EXPECT_THAT(found.common.report.warning,
              AllOf(HasSubstr("not padded"), HasSubstr("of max|y|"), HasSubstr("row_tolerance=")));
}

TEST(ShapeWarmUp, PaddingThatChangesAnswersIsAnErrorIfDemanded) {
  BatchingOptions options = padded({16, 32});
  options.batching = Batching::always;
  EXPECT_THAT(error_of(lines(), mean_of_row, options),
              AllOf(HasSubstr("batching=\"always\""), HasSubstr("Padding changes answers")));
}

TEST(ShapeWarmUp, ToleranceOrNoVerifyAcceptsPadding) {
  BatchingOptions options = padded({16, 32});
  options.row_tolerance = 100.0;
  EXPECT_THAT(warm_up_with(lines(), mean_of_row, options).plan.padded, ElementsAre(true));
  options = padded({16, 32});
  options.verify = false;
  EXPECT_THAT(warm_up_with(lines(), mean_of_row, options).plan.padded, ElementsAre(true));
}

TEST(ShapeWarmUp, PaddingIsCheckedForLoneRequestsToo) {
  BatchingOptions options = padded({16, 32});
  options.batching = Batching::off;
  const ShapeWarmUp found = warm_up_with(lines(), mean_of_row, options);
  EXPECT_FALSE(found.common.report.merges);
  EXPECT_THAT(found.plan.padded, ElementsAre(false));
  EXPECT_THAT(found.common.report.warning, HasSubstr("not padded"));
}

TEST(ShapeWarmUp, PadModeIsUsedByTheProbe) {
  // Minus the smallest magnitude: a padded 0 changes it, a repeated element never.
  const RunFunction nearest = [](ShapedRun& run) {
    const Shape& shape = run.shape(0);
    FloatTensor y = FloatTensor::zeros({shape[0], 1});
    for (std::int64_t row = 0; row < shape[0]; ++row) {
      float smallest = std::abs(run.input(0)[row * shape[1]]);
      for (std::int64_t i = 1; i < shape[1]; ++i)
        smallest = std::min(smallest, std::abs(run.input(0)[row * shape[1] + i]));
      y.values[static_cast<std::size_t>(row)] = -smallest;
    }
    run.outputs.push_back(std::move(y));
    return Failure{};
  };
  ModelSpec spec = lines();
  EXPECT_THAT(warm_up_with(spec, nearest, padded({16, 32})).plan.padded, ElementsAre(false));
  spec.inputs[0].pad_mode = PadMode::first;
  EXPECT_THAT(warm_up_with(spec, nearest, padded({16, 32})).plan.padded, ElementsAre(true));
  spec.inputs[0].pad_mode = PadMode::edge;
  EXPECT_THAT(warm_up_with(spec, nearest, padded({16, 32})).plan.padded, ElementsAre(true));
}

TEST(ShapeWarmUp, MaskIsMadeAndLetsAMeanBePadded) {
  ModelSpec spec = lines();
  spec.inputs.push_back(
      {.name = "mask", .row_shape = Shape{-1}, .dimensions = {0}, .made = Made::mask, .source = 0});
  const RunFunction masked_mean = [](ShapedRun& run) {
    const Shape& shape = run.shape(0);
    EXPECT_EQ(run.shape(1), shape);
    FloatTensor y = FloatTensor::zeros({shape[0], 1});
    for (std::int64_t row = 0; row < shape[0]; ++row) {
      float sum = 0.0F;
      float count = 0.0F;
      for (std::int64_t i = row * shape[1]; i < (row + 1) * shape[1]; ++i) {
        sum += run.input(0)[i] * run.input(1)[i];
        count += run.input(1)[i];
      }
      y.values[static_cast<std::size_t>(row)] = sum / count;
    }
    run.outputs.push_back(std::move(y));
    return Failure{};
  };
  EXPECT_THAT(warm_up_with(spec, masked_mean, padded({16, 32})).plan.padded, ElementsAre(true));
}

TEST(ShapeWarmUp, LengthsAreMadeAndLetAMeanBePadded) {
  ModelSpec spec = lines();
  spec.inputs.push_back({.name = "lengths",
                         .dtype = DataType::int64,
                         .row_shape = Shape{},
                         .made = Made::length,
                         .source = 0});
  const RunFunction mean_to_length = [](ShapedRun& run) {
    const Shape& shape = run.shape(0);
    FloatTensor y = FloatTensor::zeros({shape[0], 1});
    for (std::int64_t row = 0; row < shape[0]; ++row) {
      std::int64_t length = 0;
      std::memcpy(&length, run.batch.inputs[1] + static_cast<std::size_t>(row) * sizeof length,
                  sizeof length);
      float sum = 0.0F;
      for (std::int64_t i = 0; i < length; ++i) sum += run.input(0)[row * shape[1] + i];
      y.values[static_cast<std::size_t>(row)] = sum / static_cast<float>(length);
    }
    run.outputs.push_back(std::move(y));
    return Failure{};
  };
  EXPECT_THAT(warm_up_with(spec, mean_to_length, padded({16, 32})).plan.padded, ElementsAre(true));
}

TEST(ShapeWarmUp, OutputThatCannotBeCutStopsPaddingAndTheReasonIsTold) {
  const RunFunction squared = [](ShapedRun& run) {
    const Shape& shape = run.shape(0);
    run.outputs.push_back(FloatTensor::zeros({shape[0], shape[1] * shape[1]}));
    return Failure{};
  };
  const ShapeWarmUp found = warm_up_with(lines(), squared, padded({16, 32}));
  EXPECT_THAT(found.plan.padded, ElementsAre(false));
  EXPECT_TRUE(found.common.report.merges);
  EXPECT_THAT(found.common.report.warning,
              AllOf(HasSubstr("not padded along 'length'"), HasSubstr("axis 1 of output 'y'")));
}

TEST(ShapeWarmUp, AmbiguousOutputIsAnErrorThatAsks) {
  const RunFunction square = [](ShapedRun& run) {
    run.outputs.push_back(FloatTensor::zeros({run.shape(0)[0], run.shape(0)[0]}));
    return Failure{};
  };
  EXPECT_THAT(error_of(lines(), square, {}), HasSubstr("Output(batch_axis=...)"));
}

TEST(ShapeWarmUp, AnyBatchAxisAndSeveralRowsForEachAreProbed) {
  ModelSpec spec = lines();
  spec.inputs[0].batch_axis = 1;
  // x [length, n] to y [2 n, length]: row r gives rows 2 r and 2 r + 1.
  const RunFunction transposed = [](ShapedRun& run) {
    const Shape& shape = run.shape(0);
    FloatTensor y = FloatTensor::zeros({2 * shape[1], shape[0]});
    for (std::int64_t row = 0; row < 2 * shape[1]; ++row) {
      for (std::int64_t i = 0; i < shape[0]; ++i) {
        y.values[static_cast<std::size_t>(row * shape[0] + i)] =
            run.input(0)[i * shape[1] + row / 2] + static_cast<float>(row % 2);
      }
    }
    run.outputs.push_back(std::move(y));
    return Failure{};
  };
  const ShapeWarmUp found = warm_up_with(spec, transposed, padded({16, 32}));
  EXPECT_EQ(found.common.report.warning, "");
  EXPECT_EQ(found.outputs[0].rows_per_row, 2U);
  EXPECT_THAT(found.plan.padded, ElementsAre(true));
}

TEST(ShapeWarmUp, FirstSizesAreTriedUntilTheModelRuns) {
  std::vector<std::int64_t> sizes;
  const RunFunction run = [&](ShapedRun& shaped) {
    sizes.push_back(shaped.shape(0)[1]);
    return only([](std::int64_t length) { return length == 224; })(shaped);
  };
  const ShapeWarmUp found = warm_up_with(lines(), run);
  EXPECT_TRUE(found.common.report.merges);
  ASSERT_GE(sizes.size(), 5U);
  EXPECT_THAT(Sizes(sizes.begin(), sizes.begin() + 5), ElementsAre(32, 64, 16, 128, 224));
}

TEST(ShapeWarmUp, NoRunIsLongerThanTheLimit) {
  std::vector<std::int64_t> sizes;
  const RunFunction run = [&](ShapedRun& shaped) {
    sizes.push_back(shaped.shape(0)[1]);
    return twice(shaped);
  };
  warm_up_with(lines(), run, padded({}, 20));
  EXPECT_THAT(sizes, Each(Le(20)));
  EXPECT_THAT(sizes, Contains(20));
}

TEST(ShapeWarmUp, ExactGearsAreTheOnlySizesThatRun) {
  std::set<std::int64_t> sizes;
  const RunFunction run = [&](ShapedRun& shaped) {
    sizes.insert(shaped.shape(0)[1]);
    return twice(shaped);
  };
  BatchingOptions options;
  options.dims = {{.batch_size = 0, .sizes = {24}},
                  {.batch_size = 0, .sizes = {40}},
                  {.batch_size = 0, .sizes = {30}}};
  const ShapeWarmUp found = warm_up_with(lines(), run, options);
  EXPECT_THAT(sizes, ElementsAre(24, 30, 40));
  EXPECT_TRUE(found.common.report.merges);
}

TEST(ShapeWarmUp, ModelThatRunsFewSizesIsNotPadded) {
  const ShapeWarmUp found =
      warm_up_with(lines(), only([](std::int64_t length) { return length == 16 || length == 32; }),
                   padded({16, 32}));
  EXPECT_THAT(found.plan.padded, ElementsAre(false));
  EXPECT_THAT(found.common.report.warning,
              AllOf(HasSubstr("2 of the sizes"), HasSubstr("'length'")));
}

TEST(ShapeWarmUp, ModelThatNeverRunsServesEachRequestAlone) {
  const RunFunction never = [](ShapedRun&) { return failed("no such token"); };
  const ShapeWarmUp found = warm_up_with(lines(), never, padded({16, 32}));
  EXPECT_FALSE(found.common.report.merges);
  EXPECT_EQ(found.common.table.cap, 1U);
  EXPECT_THAT(found.plan.padded, ElementsAre(false));
  EXPECT_TRUE(found.outputs[0].shared);
  EXPECT_THAT(found.common.report.warning,
              AllOf(HasSubstr("no such token"), HasSubstr("verify=feeds")));
  EXPECT_THAT(error_of(lines(), never, {.batching = Batching::always}), HasSubstr("no such token"));
  EXPECT_THAT(error_of(lines(), never, {.fill = Fill::yes}), HasSubstr("no such token"));
}

TEST(ShapeWarmUp, ModelThatRunsOneRowAloneIsNotMerged) {
  const RunFunction one_row = [](ShapedRun& run) {
    return run.batch.rows == 1 ? twice(run) : failed("one row only");
  };
  const ShapeWarmUp found = warm_up_with(lines(), one_row);
  EXPECT_FALSE(found.common.report.merges);
  EXPECT_THAT(found.common.report.warning, HasSubstr("one row only"));
}

TEST(ShapeWarmUp, ExecutorThatLeavesAnOutputOutIsRefused) {
  EXPECT_THAT(error_of(lines(), [](ShapedRun&) { return Failure{}; }, {}),
              AllOf(HasSubstr("output 'y'"), HasSubstr("not delivered")));
}

TEST(ShapeWarmUp, ExamplesAreRunAtTheirOwnSizesAndWithTheirValues) {
  const std::vector<float> values{5, 6, 7, 5, 6, 7};
  std::set<float> seen;
  std::vector<std::int64_t> sizes;
  const RunFunction run = [&](ShapedRun& shaped) {
    sizes.push_back(shaped.shape(0)[1]);
    const auto count = shaped.shape(0)[0] * shaped.shape(0)[1];
    seen.insert(shaped.input(0), shaped.input(0) + count);
    return twice(shaped);
  };
  BatchingOptions options;
  options.examples = {{values.data(), DataType::float32, Shape{2, 3}}};
  const ShapeWarmUp found = warm_up_with(lines(), run, options);
  EXPECT_EQ(sizes.front(), 3);
  EXPECT_THAT(seen, ElementsAre(5, 6, 7));
  EXPECT_EQ(found.fill_shapes[0], (Shape{1, 3}));
  EXPECT_THAT(found.common.fill_row[0], SizeIs(12));
}

TEST(ShapeWarmUp, ExamplesThatDoNotFitAreRefused) {
  const std::vector<float> values(600);
  const auto refusal = [&](DataType dtype, const Shape& shape, const BatchingOptions& with = {}) {
    BatchingOptions options = with;
    options.examples = {{values.data(), dtype, shape}};
    return error_of(lines(), twice, options, ErrorCode::invalid_argument);
  };
  EXPECT_THAT(refusal(DataType::int8, Shape{1, 3}), AllOf(HasSubstr("float32"), HasSubstr("int8")));
  EXPECT_THAT(refusal(DataType::float32, Shape{3}), AllOf(HasSubstr("[n, any]"), HasSubstr("[3]")));
  EXPECT_THAT(refusal(DataType::float32, Shape{0, 3}), HasSubstr("no size may be 0"));
  EXPECT_THAT(refusal(DataType::float32, Shape{1, 33}, padded({16, 32})),
              AllOf(HasSubstr("examples"), HasSubstr("[16], [32]")));
}

TEST(ShapeWarmUp, TableHasEveryBatchAtEveryGearInTheUsersOrder) {
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

TEST(ShapeWarmUp, TimesAreKeptByRowsAndPaddedElements) {
  BatchingOptions options = padded({32, 16});
  const ShapeWarmUp found = warm_up_with(lines(), twice, options);
  EXPECT_THAT(found.cost.rows(), ElementsAre(1U, 2U, 4U));
  EXPECT_THAT(found.cost.elements(), ElementsAre(16.0, 32.0));
  EXPECT_THAT(found.cost.seconds(), SizeIs(6));
  EXPECT_THAT(found.cost.seconds(), Each(Ge(1e-9)));
}

TEST(ShapeWarmUp, DimensionsThatArePaddedWithoutGearsAreTimedAtPowersOfTwo) {
  const ShapeWarmUp found = warm_up_with(lines(), twice, padded({}, 100));
  EXPECT_THAT(found.cost.elements(), ElementsAre(1, 2, 4, 8, 16, 32, 64, 100));
  const ShapeWarmUp longer = warm_up_with(lines(), twice, padded({}, 512));
  EXPECT_THAT(longer.cost.elements(), ElementsAre(4, 8, 16, 32, 64, 128, 256, 512));
}

TEST(ShapeWarmUp, SizesOfOurChoiceThatTheModelRefusesAreLeftOut) {
  const ShapeWarmUp found =
      warm_up_with(lines(), only([](std::int64_t length) { return length >= 8; }), padded({}, 64));
  EXPECT_THAT(found.cost.elements(), ElementsAre(8, 16, 32, 64));
  EXPECT_EQ(found.common.report.warning, "");
}

TEST(ShapeWarmUp, AtMostEightSizesAreTimedAndAllGearsStayInTheTable) {
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

TEST(ShapeWarmUp, GearThatTheModelRefusesIsToldAndIsAnErrorIfDemanded) {
  const RunFunction run = only([](std::int64_t length) { return length != 64; });
  BatchingOptions options = padded({16, 32, 48, 64});
  const ShapeWarmUp found = warm_up_with(lines(), run, options);
  EXPECT_THAT(found.common.report.warning, HasSubstr("length not accepted"));
  EXPECT_EQ(found.common.table.gears.back().seconds, 0.0);
  options.batching = Batching::always;
  EXPECT_THAT(error_of(lines(), run, options), HasSubstr("length not accepted"));
}

TEST(ShapeWarmUp, CapFollowsTheRuleOfOtherModels) {
  BatchingOptions options = padded({16, 32});
  options.batching = Batching::always;
  EXPECT_EQ(warm_up_with(lines(), twice, options).common.table.cap, 4U);
  options.batching = Batching::off;
  EXPECT_EQ(warm_up_with(lines(), twice, options).common.table.cap, 1U);
}

TEST(ShapeWarmUp, BatchOfADimsGearIsItsOnly) {
  BatchingOptions options;
  options.dims = {{.batch_size = 4, .sizes = {16}}, {.batch_size = 2, .sizes = {32}}};
  const ShapeWarmUp found = warm_up_with(lines(), twice, options);
  ASSERT_THAT(found.common.table.gears, SizeIs(2));
  EXPECT_EQ(found.common.table.gears[0].batch_size, 4U);
  EXPECT_EQ(found.common.table.gears[1].batch_size, 2U);
  EXPECT_EQ(found.common.table.cap, 4U);
}

TEST(ShapeWarmUp, FilledBatchesAlwaysHaveTheSizeOfAGear) {
  std::set<std::size_t> batches;
  const RunFunction run = [&](ShapedRun& shaped) {
    batches.insert(shaped.batch.rows);
    return twice(shaped);
  };
  BatchingOptions options = padded({16, 32});
  options.max_batch_size = std::nullopt;
  options.gears = {4, 8};
  options.fill = Fill::yes;
  const ShapeWarmUp found = warm_up_with(lines(), run, options);
  EXPECT_THAT(batches, ElementsAre(4U, 8U));
  EXPECT_TRUE(found.common.report.merges);
  EXPECT_TRUE(found.common.table.filled);
  EXPECT_THAT(found.plan.padded, ElementsAre(true));
}

TEST(ShapeWarmUp, FixedBatchRunsNoOther) {
  ModelSpec spec = lines();
  spec.fixed_batch = 2;
  const RunFunction run = [&](ShapedRun& shaped) {
    EXPECT_EQ(shaped.shape(0)[0], 2);
    return twice(shaped);
  };
  BatchingOptions options;
  options.lengths["length"].gears = {16, 32};
  const ShapeWarmUp found = warm_up_with(spec, run, options);
  EXPECT_TRUE(found.common.report.merges);
  EXPECT_EQ(found.common.table.cap, 2U);
  EXPECT_THAT(found.plan.padded, ElementsAre(true));
}

/// Triton's documented pair: x is flat, and INDEX [n] tells where each row ends.
ModelSpec ragged() {
  ModelSpec spec;
  spec.inputs = {{.name = "x", .row_shape = Shape{-1}, .ragged = true},
                 {.name = "INDEX",
                  .row_shape = Shape{},
                  .made = Made::accumulated_element_count,
                  .source = 0}};
  spec.outputs = {{.name = "y", .row_shape = Shape{-1}, .scattered_as = 0}};
  return spec;
}

TEST(ShapeWarmUp, RaggedRowsAreConcatenatedAndScattered) {
  const RunFunction run = [](ShapedRun& shaped) {
    EXPECT_EQ(shaped.shape(0).rank(), 1U);
    const auto rows = static_cast<std::size_t>(shaped.shape(1)[0]);
    EXPECT_EQ(rows, shaped.batch.rows);
    EXPECT_EQ(shaped.input(1)[rows - 1], static_cast<float>(shaped.shape(0)[0]));
    return twice(shaped);
  };
  const ShapeWarmUp found = warm_up_with(ragged(), run, {.max_batch_size = 4});
  EXPECT_TRUE(found.common.report.merges);
  EXPECT_TRUE(found.common.report.bit_equal);
  EXPECT_EQ(found.outputs[0].scattered_as, std::size_t{0});
}

TEST(ShapeWarmUp, RaggedRowsThatMixAreNotMerged) {
  const RunFunction summed = [](ShapedRun& shaped) {
    FloatTensor y = FloatTensor::zeros(shaped.shape(0));
    float sum = 0.0F;
    for (std::size_t i = 0; i < y.values.size(); ++i) sum += shaped.input(0)[i];
    std::ranges::fill(y.values, sum);
    shaped.outputs.push_back(std::move(y));
    return Failure{};
  };
  EXPECT_FALSE(warm_up_with(ragged(), summed).common.report.merges);
}

TEST(ShapeWarmUp, FlatOutputOfRaggedRowsAsksHowItIsScattered) {
  ModelSpec spec = ragged();
  spec.outputs[0].scattered_as.reset();
  EXPECT_THAT(error_of(spec, twice, {}), HasSubstr("batch_outputs="));
}

}  // namespace
}  // namespace dynbatch
