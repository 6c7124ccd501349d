// Whether loading merges and pads rows that differ in shape: what company and padding change.
#include "runtime/shape_probe.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "cpp/runtime/shape_loading.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::error_of;
using dynbatch::testing::FloatTensor;
using dynbatch::testing::lines;
using dynbatch::testing::padded;
using dynbatch::testing::RunFunction;
using dynbatch::testing::ShapedRun;
using dynbatch::testing::Sizes;
using dynbatch::testing::twice;
using dynbatch::testing::warm_up_with;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

TEST(ShapeProbe, EqualSizesAreMergedAndNothingIsPaddedWithoutOptions) {
  const ShapeWarmUp found = warm_up_with(lines(), twice);
  EXPECT_TRUE(found.common.report.merges);
  EXPECT_TRUE(found.common.report.bit_equal);
  EXPECT_EQ(found.common.report.warning, "");
  EXPECT_THAT(found.plan.padded, ElementsAre(false));
  ASSERT_THAT(found.outputs, SizeIs(1));
  EXPECT_EQ(found.outputs[0].batch_axis, 0U);
}

TEST(ShapeProbe, IndependentRowsMayBePaddedAndAreCut) {
  const ShapeWarmUp found = warm_up_with(lines(), twice, padded({16, 32}));
  EXPECT_THAT(found.plan.padded, ElementsAre(true));
  EXPECT_EQ(found.common.report.warning, "");
  EXPECT_EQ(own_shape(found.outputs[0], Shape{4, 32}, 1, Sizes{20}), (Shape{1, 20}));
}

TEST(ShapeProbe, MixingRowsAreNotMergedAndTheWarningIsThatOfOtherModels) {
  const ShapeWarmUp found = warm_up_with(lines(), mixing(1.0F));
  EXPECT_FALSE(found.common.report.merges);
  EXPECT_EQ(found.common.table.cap, 1U);
  EXPECT_THAT(found.common.report.warning,
              AllOf(HasSubstr("depends on its neighbours"), HasSubstr("row_tolerance=")));
  EXPECT_THAT(error_of(lines(), mixing(1.0F), {.batching = Batching::always}),
              HasSubstr("batching=\"always\""));
}

TEST(ShapeProbe, ToleranceAcceptsMixing) {
  const ShapeWarmUp found = warm_up_with(lines(), mixing(1.0F), {.row_tolerance = 100.0});
  EXPECT_TRUE(found.common.report.merges);
  EXPECT_FALSE(found.common.report.bit_equal);
  EXPECT_GT(found.common.report.difference, 1e-3);
}

TEST(ShapeProbe, PaddingThatChangesAnswersIsSwitchedOff) {
  const ShapeWarmUp found = warm_up_with(lines(), mean_of_row, padded({16, 32}));
  EXPECT_TRUE(found.common.report.merges);
  EXPECT_THAT(found.plan.padded, ElementsAre(false));
  EXPECT_THAT(found.plan.size_gears, IsEmpty());
  EXPECT_THAT(found.common.report.warning,
              AllOf(HasSubstr("not padded"), HasSubstr("of max|y|"), HasSubstr("row_tolerance=")));
}

TEST(ShapeProbe, PaddingThatChangesAnswersIsAnErrorIfDemanded) {
  BatchingOptions options = padded({16, 32});
  options.batching = Batching::always;
  EXPECT_THAT(error_of(lines(), mean_of_row, options),
              AllOf(HasSubstr("batching=\"always\""), HasSubstr("Padding changes answers")));
}

TEST(ShapeProbe, ToleranceOrNoVerifyAcceptsPadding) {
  BatchingOptions options = padded({16, 32});
  options.row_tolerance = 100.0;
  EXPECT_THAT(warm_up_with(lines(), mean_of_row, options).plan.padded, ElementsAre(true));
  options = padded({16, 32});
  options.verify = false;
  EXPECT_THAT(warm_up_with(lines(), mean_of_row, options).plan.padded, ElementsAre(true));
}

TEST(ShapeProbe, PaddingIsCheckedForLoneRequestsToo) {
  BatchingOptions options = padded({16, 32});
  options.batching = Batching::off;
  const ShapeWarmUp found = warm_up_with(lines(), mean_of_row, options);
  EXPECT_FALSE(found.common.report.merges);
  EXPECT_THAT(found.plan.padded, ElementsAre(false));
  EXPECT_THAT(found.common.report.warning, HasSubstr("not padded"));
}

TEST(ShapeProbe, GearsOfWhichPaddingChangesAnswersAreExact) {
  BatchingOptions options;
  options.dims = {{.batch_size = 0, .sizes = {16}}, {.batch_size = 0, .sizes = {32}}};
  options.pads = true;
  EXPECT_THAT(warm_up_with(lines(), twice, options).plan.padded, ElementsAre(true));
  const ShapeWarmUp found = warm_up_with(lines(), mean_of_row, options);
  EXPECT_THAT(found.plan.padded, ElementsAre(false));
  EXPECT_THAT(found.common.report.warning, HasSubstr("exactly the sizes of a gear"));
  EXPECT_EQ(refuse_sizes(found.plan, lines(), Sizes{32}), std::nullopt);
  EXPECT_NE(refuse_sizes(found.plan, lines(), Sizes{31}), std::nullopt);
}

TEST(ShapeProbe, PadModeIsUsedByTheProbe) {
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

TEST(ShapeProbe, MaskIsMadeAndLetsAMeanBePadded) {
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

TEST(ShapeProbe, SharedOutputThatGrowsWithPaddingStopsIt) {
  const RunFunction positions = [](ShapedRun& run) {
    FloatTensor y = FloatTensor::zeros({run.shape(0)[1]});
    run.outputs.push_back(std::move(y));
    return Failure{};
  };
  const ShapeWarmUp found = warm_up_with(lines(), positions, padded({16, 32}));
  EXPECT_TRUE(found.outputs[0].shared);
  EXPECT_TRUE(found.common.report.merges);
  EXPECT_THAT(found.plan.padded, ElementsAre(false));
}

TEST(ShapeProbe, LengthsAreMadeAndLetAMeanBePadded) {
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

TEST(ShapeProbe, OutputThatCannotBeCutStopsPaddingAndTheReasonIsTold) {
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

TEST(ShapeProbe, AnyBatchAxisAndSeveralRowsForEachAreProbed) {
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

TEST(ShapeProbe, RaggedRowsAreConcatenatedAndScattered) {
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

TEST(ShapeProbe, RaggedRowsThatMixAreNotMerged) {
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

TEST(ShapeProbe, FlatOutputOfRaggedRowsAsksHowItIsScattered) {
  ModelSpec spec = ragged();
  spec.outputs[0].scattered_as.reset();
  EXPECT_THAT(error_of(spec, twice, {}), HasSubstr("batch_outputs="));
}

}  // namespace
}  // namespace dynbatch
