// What loading concludes about models whose rows differ in shape: sizes, examples, gears, failures.
#include "runtime/shape_warm_up.hpp"

#include <gmock/gmock.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include "cpp/runtime/shape_loading.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::error_of;
using dynbatch::testing::failed;
using dynbatch::testing::FloatTensor;
using dynbatch::testing::lines;
using dynbatch::testing::only;
using dynbatch::testing::padded;
using dynbatch::testing::RunFunction;
using dynbatch::testing::ShapedRun;
using dynbatch::testing::Sizes;
using dynbatch::testing::twice;
using dynbatch::testing::warm_up_with;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::Lt;
using ::testing::SizeIs;

TEST(ShapeWarmUp, FillRowIsTheSmallestWithItsMask) {
  ModelSpec spec = lines();
  spec.inputs.push_back(
      {.name = "mask", .row_shape = Shape{-1}, .dimensions = {0}, .made = Made::mask, .source = 0});
  const ShapeWarmUp found = warm_up_with(spec, twice, padded({16, 32}));
  EXPECT_THAT(found.fill_sizes, ElementsAre(9));
  std::vector<float> mask(9);
  ASSERT_THAT(found.common.fill_row[1], SizeIs(36));
  std::memcpy(mask.data(), found.common.fill_row[1].data(), 36);
  EXPECT_THAT(mask, Each(1.0F));
}

TEST(ShapeWarmUp, AmbiguousOutputIsAnErrorThatAsks) {
  const RunFunction square = [](ShapedRun& run) {
    run.outputs.push_back(FloatTensor::zeros({run.shape(0)[0], run.shape(0)[0]}));
    return Failure{};
  };
  EXPECT_THAT(error_of(lines(), square, {}), HasSubstr("Output(batch_axis=...)"));
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

TEST(ShapeWarmUp, NoRowIsLargeUnlessSomebodyNamesItsSizes) {
  ModelSpec spec = lines();  // with one dimension that counts seven times
  for (auto* const tensor : {&spec.inputs[0], &spec.outputs[0]}) {
    tensor->row_shape = Shape{-1, -1, -1, -1, -1, -1, -1};
    tensor->dimensions = {0, 0, 0, 0, 0, 0, 0};
  }
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> batches;
  const RunFunction run = [&](ShapedRun& shaped) {
    batches.push_back(shaped.shape(0)[0]);
    sizes.push_back(shaped.shape(0)[1]);
    return twice(shaped);
  };
  BatchingOptions options;
  options.gears = {40};
  const ShapeWarmUp found = warm_up_with(spec, run, options);
  ASSERT_FALSE(sizes.empty());
  EXPECT_EQ(sizes.front(), 8);  // 8 MiB; 16 would be 1 GiB
  EXPECT_THAT(sizes, Each(Le(10)));
  EXPECT_THAT(batches, Each(Le(3)));  // 40 would be 320 MiB
  EXPECT_EQ(found.common.table.cap, 3U);
}

TEST(ShapeWarmUp, NoBatchThatIsAlwaysFullIsLargeUnlessSomebodyNamesItsSizes) {
  ModelSpec spec = lines();
  for (auto* const tensor : {&spec.inputs[0], &spec.outputs[0]}) {
    tensor->row_shape = Shape{-1, -1, -1, -1};
    tensor->dimensions = {0, 0, 0, 0};
  }
  std::vector<std::int64_t> sizes;
  const RunFunction run = [&](ShapedRun& shaped) {
    sizes.push_back(shaped.shape(0)[1]);
    return twice(shaped);
  };
  BatchingOptions options;
  options.gears = {64};
  options.fill = Fill::yes;
  warm_up_with(spec, run, options);
  ASSERT_FALSE(sizes.empty());
  EXPECT_EQ(sizes.front(), 16);  // 16 MiB; 32 would be 256
  EXPECT_THAT(sizes, Each(Le(22)));
}

TEST(ShapeWarmUp, LargeBatchesAreTriedWhereNoSmallerOneRuns) {
  ModelSpec spec = lines();  // of three channels and two equal sides
  for (auto* const tensor : {&spec.inputs[0], &spec.outputs[0]})
    tensor->row_shape = Shape{3, -1, -1};
  spec.inputs[0].dimensions = {TensorSpec::kStatic, 0, 0};
  const RunFunction run = [](ShapedRun& shaped) {
    return shaped.shape(0)[2] == 224 ? twice(shaped) : failed("side not accepted");
  };
  BatchingOptions options;
  options.gears = {128};  // 74 MiB
  options.fill = Fill::yes;
  EXPECT_THAT(warm_up_with(spec, run, options).cost.elements(), ElementsAre(224));
}

TEST(ShapeWarmUp, SizesWhoseRowsTheQueueDoesNotHoldAreNotTimed) {
  std::vector<std::int64_t> sizes;
  const RunFunction run = [&](ShapedRun& shaped) {
    sizes.push_back(shaped.shape(0)[1]);
    return twice(shaped);
  };
  BatchingOptions options = padded({}, 4096);
  options.queue_bytes = 4096;
  warm_up_with(lines(), run, options);
  EXPECT_THAT(sizes, Contains(1024));
  EXPECT_THAT(sizes, Each(Le(1024)));
}

TEST(ShapeWarmUp, RowsThatTheQueueNeverHoldsAreRefusedAtLoad) {
  ModelSpec spec = lines();
  for (auto* const tensor : {&spec.inputs[0], &spec.outputs[0]})
    tensor->row_shape = Shape{-1, std::int64_t{1} << 45};
  spec.inputs[0].dimensions = {0, TensorSpec::kStatic};
  EXPECT_THAT(error_of(spec, twice, {}, ErrorCode::invalid_argument),
              HasSubstr("queue_bytes: expected at least 140737488355328, the bytes of a row with 1 "
                        "in each free dimension, got 67108864"));
}

TEST(ShapeWarmUp, GearFarAboveTheOthersIsNotRunWithSizesThatNobodyNamed) {
  ModelSpec spec = lines();
  spec.dimensions = {{"length"}, {"side"}};
  for (auto* const tensor : {&spec.inputs[0], &spec.outputs[0]}) {
    tensor->row_shape = Shape{-1, -1, -1};
    tensor->dimensions = {0, 1, 1};
  }
  std::vector<std::int64_t> lengths;
  const RunFunction run = [&](ShapedRun& shaped) {
    lengths.push_back(shaped.shape(0)[1]);
    return twice(shaped);
  };
  constexpr std::int64_t kFar = 131'072;  // 512 MiB where 'side' is 32
  const ShapeWarmUp found = warm_up_with(spec, run, padded({16, kFar}));
  EXPECT_THAT(lengths, Contains(16));
  EXPECT_THAT(lengths, Each(Lt(kFar)));
  EXPECT_THAT(found.common.table.gears.back().sizes, ElementsAre(kFar, 32));
}

TEST(ShapeWarmUp, ModelThatTakesMultiplesOf32IsPaddedUpToAGear) {
  const ShapeWarmUp found = warm_up_with(
      lines(), only([](std::int64_t length) { return length % 32 == 0; }), padded({32, 256}));
  EXPECT_EQ(found.common.report.warning, "");
}

TEST(ShapeWarmUp, SizesThatSomebodyNamesDoNotMakeOthersLarge) {
  ModelSpec spec = lines();
  spec.dimensions = {{"length"}, {"side"}};
  for (auto* const tensor : {&spec.inputs[0], &spec.outputs[0]}) {
    tensor->row_shape = Shape{-1, -1, -1, -1, -1, -1, -1};
    tensor->dimensions = {0, 1, 1, 1, 1, 1, 1};
  }
  std::vector<std::int64_t> sides;
  const RunFunction run = [&](ShapedRun& shaped) {
    sides.push_back(shaped.shape(0)[2]);
    return twice(shaped);
  };
  for (const BatchingOptions& options : {padded({2, 4}), padded({}, 4)}) {
    sides.clear();
    warm_up_with(spec, run, options);
    ASSERT_FALSE(sides.empty());
    EXPECT_THAT(sides, Each(Le(12)));  // 16 would be 256 MiB
  }
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
  EXPECT_THAT(found.fill_sizes, ElementsAre(3));
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

}  // namespace
}  // namespace dynbatch
