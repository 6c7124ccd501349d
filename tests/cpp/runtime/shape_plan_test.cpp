// What options say about free dimensions: which gears they make, and what is refused with which words.
#include "runtime/shape_plan.hpp"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include <dynbatch/error.hpp>

namespace dynbatch {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Sizes = std::vector<std::int64_t>;

/// ids [n, length] and their mask.
ModelSpec text() {
  ModelSpec spec;
  spec.dimensions = {{"length"}};
  spec.inputs = {
      {.name = "ids", .dtype = DataType::int64, .row_shape = Shape{-1}, .dimensions = {0}},
      {.name = "mask", .dtype = DataType::int64, .row_shape = Shape{-1}, .dimensions = {0}}};
  return spec;
}

/// An image [n, 3, height, width].
ModelSpec images() {
  ModelSpec spec;
  spec.dimensions = {{"height"}, {"width"}};
  spec.inputs = {
      {.name = "image", .row_shape = Shape{3, -1, -1}, .dimensions = {TensorSpec::kStatic, 0, 1}}};
  return spec;
}

std::string refusal_of(const ModelSpec& spec, const BatchingOptions& options) {
  try {
    plan_shapes(spec, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

BatchingOptions with_lengths(Sizes gears, std::int64_t largest = 0) {
  BatchingOptions options;
  options.lengths["length"] = {.gears = std::move(gears), .largest = largest};
  return options;
}

BatchingOptions with_dims(std::vector<DimsGear> dims) {
  BatchingOptions options;
  options.dims = std::move(dims);
  return options;
}

BatchingOptions with_images(std::vector<std::pair<std::int64_t, std::int64_t>> sizes) {
  BatchingOptions options;
  options.image_sizes = std::move(sizes);
  return options;
}

Sizes rising(std::int64_t count) {
  Sizes sizes;
  for (std::int64_t i = 1; i <= count; ++i) sizes.push_back(i);
  return sizes;
}

Sizes fitted(const ShapePlan& plan, Sizes sizes) {
  return fit_sizes(plan, sizes, sizes) ? sizes : Sizes{};
}

TEST(ShapePlan, WithoutOptionsNothingIsPaddedNorLimited) {
  const ShapePlan plan = plan_shapes(images(), {});
  EXPECT_EQ(plan.kind, GearKind::batch);
  EXPECT_THAT(plan.padded, ElementsAre(false, false));
  EXPECT_THAT(plan.largest, ElementsAre(0, 0));
  EXPECT_THAT(plan.size_gears, IsEmpty());
  EXPECT_THAT(fitted(plan, {7, 1000}), ElementsAre(7, 1000));
}

TEST(ShapePlan, LengthGearsKeepTheUsersOrder) {
  const ShapePlan plan = plan_shapes(text(), with_lengths({64, 16, 32}));
  EXPECT_EQ(plan.kind, GearKind::lengths);
  EXPECT_THAT(plan.padded, ElementsAre(true));
  EXPECT_THAT(plan.size_gears, ElementsAre(Sizes{64}, Sizes{16}, Sizes{32}));
  EXPECT_THAT(plan.gear_batches, ElementsAre(0U, 0U, 0U));
  EXPECT_THAT(plan.largest, ElementsAre(64));
}

TEST(ShapePlan, LengthsOfTwoDimensionsAreMultiplied) {
  BatchingOptions options;
  options.lengths["width"].gears = {10, 20};
  options.lengths["height"].gears = {5, 6};
  const ShapePlan plan = plan_shapes(images(), options);
  EXPECT_THAT(plan.size_gears, ElementsAre(Sizes{5, 10}, Sizes{5, 20}, Sizes{6, 10}, Sizes{6, 20}));
}

TEST(ShapePlan, DimensionWithoutLengthsStaysUnpaddedAndTakesAnySize) {
  BatchingOptions options;
  options.lengths["width"].gears = {10, 20};
  const ShapePlan plan = plan_shapes(images(), options);
  EXPECT_THAT(plan.padded, ElementsAre(false, true));
  EXPECT_THAT(fitted(plan, {77, 11}), ElementsAre(77, 20));
}

TEST(ShapePlan, LengthsWithoutGearsPadUpToALimit) {
  const ShapePlan plan = plan_shapes(text(), with_lengths({}, 512));
  EXPECT_THAT(plan.padded, ElementsAre(true));
  EXPECT_THAT(plan.size_gears, IsEmpty());
  EXPECT_THAT(fitted(plan, {500}), ElementsAre(500));
  EXPECT_THAT(fitted(plan, {513}), IsEmpty());
}

TEST(ShapePlan, SmallestGearThatHoldsTheSizesFits) {
  const ShapePlan plan = plan_shapes(text(), with_lengths({64, 16, 32}));
  EXPECT_THAT(fitted(plan, {16}), ElementsAre(16));
  EXPECT_THAT(fitted(plan, {17}), ElementsAre(32));
  EXPECT_THAT(fitted(plan, {65}), IsEmpty());
}

TEST(ShapePlan, ImageSizesAreExactUnlessPadded) {
  BatchingOptions options = with_images({{224, 224}, {320, 160}});
  EXPECT_THAT(fitted(plan_shapes(images(), options), {320, 160}), ElementsAre(320, 160));
  EXPECT_THAT(fitted(plan_shapes(images(), options), {100, 100}), IsEmpty());
  options.pads = true;
  EXPECT_THAT(fitted(plan_shapes(images(), options), {100, 100}), ElementsAre(224, 224));
  EXPECT_THAT(fitted(plan_shapes(images(), options), {300, 100}), ElementsAre(320, 160));
  EXPECT_EQ(plan_shapes(images(), options).kind, GearKind::image_size);
}

TEST(ShapePlan, ImageSizesAreHeightAndWidthWhateverTheOrderOfDimensions) {
  ModelSpec spec = images();
  spec.inputs[0].dimensions = {TensorSpec::kStatic, 1, 0};
  const ShapePlan plan = plan_shapes(spec, with_images({{1, 2}, {3, 4}}));
  EXPECT_THAT(plan.size_gears, ElementsAre(Sizes{2, 1}, Sizes{4, 3}));
}

TEST(ShapePlan, DimsGearsMayHaveABatchOfTheirOwn) {
  const ShapePlan plan = plan_shapes(images(), with_dims({{.batch_size = 4, .sizes = {8, 8}},
                                                          {.batch_size = 0, .sizes = {8, 16}}}));
  EXPECT_EQ(plan.kind, GearKind::dims);
  EXPECT_THAT(plan.gear_batches, ElementsAre(4U, 0U));
  EXPECT_THAT(plan.padded, ElementsAre(false, false));
}

TEST(ShapePlan, OneSizeMayHaveSeveralBatches) {
  const std::vector<DimsGear> dims{{.batch_size = 4, .sizes = {8, 8}},
                                   {.batch_size = 2, .sizes = {8, 8}}};
  EXPECT_EQ(plan_shapes(images(), with_dims(dims)).size_gears.size(), 2U);
}

TEST(ShapePlan, MoreThanOneKindIsRefused) {
  BatchingOptions options = with_dims({{.batch_size = 0, .sizes = {1, 1}}});
  options.lengths["height"] = {};
  EXPECT_THAT(refusal_of(images(), options),
              AllOf(HasSubstr("at most one"), HasSubstr("lengths and dims")));
}

TEST(ShapePlan, GearsForSomeOfTheNamedDimensionsAreRefused) {
  BatchingOptions options;
  options.lengths["width"].gears = {10, 20};
  options.lengths["height"].largest = 64;
  EXPECT_THAT(refusal_of(images(), options), AllOf(HasSubstr("or for none"), HasSubstr("1 of 2")));
}

TEST(ShapePlan, PadsAloneIsRefused) {
  EXPECT_THAT(refusal_of(images(), {.pads = true}),
              AllOf(HasSubstr("pads"), HasSubstr("image_sizes or dims"), HasSubstr("neither")));
}

TEST(ShapePlan, UnknownDimensionIsRefusedWithTheKnownOnes) {
  BatchingOptions options;
  options.lengths["depth"] = {};
  EXPECT_THAT(refusal_of(images(), options),
              AllOf(HasSubstr("'depth'"), HasSubstr("'height', 'width'")));
  EXPECT_THAT(refusal_of({}, options), HasSubstr("has none"));
}

TEST(ShapePlan, ListsHoldTwoToOneHundredGears) {
  BatchingOptions options = with_lengths(rising(100));
  options.gears = {1};
  EXPECT_EQ(plan_shapes(text(), options).size_gears.size(), 100U);
  EXPECT_EQ(plan_shapes(text(), with_lengths({1, 2})).size_gears.size(), 2U);
  for (const std::int64_t count : {1, 101}) {
    options.lengths["length"].gears = rising(count);
    EXPECT_THAT(refusal_of(text(), options),
                AllOf(HasSubstr("lengths['length']"), HasSubstr("2 to 100"),
                      HasSubstr("got " + std::to_string(count))));
  }
}

TEST(ShapePlan, ImageSizesAndDimsHaveTheSameLimits) {
  for (const std::int64_t count : {1, 2, 100, 101}) {
    BatchingOptions sizes;
    BatchingOptions dims;
    for (std::int64_t i = 1; i <= count; ++i) {
      sizes.image_sizes.emplace_back(i, i);
      dims.dims.push_back({.batch_size = 0, .sizes = {i, i}});
    }
    if (count == 1 || count == 101) {
      EXPECT_THAT(refusal_of(images(), sizes), HasSubstr("image_sizes: expected 2 to 100"));
      EXPECT_THAT(refusal_of(images(), dims), HasSubstr("dims: expected 2 to 100"));
    } else {
      EXPECT_EQ(plan_shapes(images(), sizes).size_gears.size(), static_cast<std::size_t>(count));
      EXPECT_EQ(plan_shapes(images(), dims).size_gears.size(), static_cast<std::size_t>(count));
    }
  }
}

TEST(ShapePlan, ProductOfLengthAndBatchGearsIsLimited) {
  BatchingOptions options = with_lengths(rising(50));
  options.gears = {1, 2};
  EXPECT_EQ(plan_shapes(text(), options).size_gears.size(), 50U);
  options.gears = {1, 2, 4};
  EXPECT_THAT(refusal_of(text(), options),
              AllOf(HasSubstr("fewer gears"), HasSubstr("50"), HasSubstr("3"), HasSubstr("150"),
                    HasSubstr("100")));
}

TEST(ShapePlan, GearsAreAboveZeroAndDifferent) {
  EXPECT_THAT(refusal_of(text(), with_lengths({16, 0})),
              AllOf(HasSubstr("above 0"), HasSubstr("[16, ")));
  EXPECT_THAT(refusal_of(text(), with_lengths({16, 16})), HasSubstr("16 is given twice"));
  EXPECT_THAT(refusal_of(images(), with_images({{1, -2}, {3, 4}})), HasSubstr("above 0"));
  EXPECT_THAT(refusal_of(images(), with_images({{1, 2}, {1, 2}})),
              HasSubstr("[1, 2] is given twice"));
  EXPECT_THAT(refusal_of(images(), with_dims({{.batch_size = 4, .sizes = {1, 2}},
                                              {.batch_size = 0, .sizes = {1, 2}}})),
              HasSubstr("[1, 2] is given twice"));
  EXPECT_THAT(refusal_of(images(), with_dims({{.batch_size = 4, .sizes = {1, 0}},
                                              {.batch_size = 4, .sizes = {1, 2}}})),
              HasSubstr("above 0"));
}

TEST(ShapePlan, LimitOfGearsIsTheirLargest) {
  EXPECT_THAT(plan_shapes(text(), with_lengths({16, 32}, 32)).largest, ElementsAre(32));
  EXPECT_THAT(refusal_of(text(), with_lengths({16, 32}, 64)),
              AllOf(HasSubstr("largest gear, 32"), HasSubstr("got 64")));
  EXPECT_THAT(refusal_of(text(), with_lengths({}, -1)), HasSubstr("got -1"));
}

TEST(ShapePlan, ImageSizesNeedOneImage) {
  EXPECT_THAT(
      refusal_of(text(), with_images({{1, 2}, {3, 4}})),
      AllOf(HasSubstr("exactly one batched input"), HasSubstr("'ids'"), HasSubstr("'mask'")));
  ModelSpec first_axes = images();
  first_axes.inputs[0].row_shape = Shape{-1, -1, 3};
  first_axes.inputs[0].dimensions = {0, 1, TensorSpec::kStatic};
  EXPECT_THAT(refusal_of(first_axes, with_images({{1, 2}, {3, 4}})), HasSubstr("last two axes"));
  EXPECT_THAT(refusal_of({}, with_images({{1, 2}, {3, 4}})), HasSubstr("got none"));
}

TEST(ShapePlan, DimsNeedASizeForEachDimension) {
  EXPECT_THAT(refusal_of(images(), with_dims({{.batch_size = 0, .sizes = {1}},
                                              {.batch_size = 0, .sizes = {2}}})),
              AllOf(HasSubstr("each free dimension"), HasSubstr("'height', 'width'"),
                    HasSubstr("got [1]")));
}

TEST(ShapePlan, BatchOfADimsGearIsAtMostTheLargest) {
  BatchingOptions options =
      with_dims({{.batch_size = 8, .sizes = {1, 2}}, {.batch_size = 16, .sizes = {1, 3}}});
  options.max_batch_size = 8;
  EXPECT_THAT(refusal_of(images(), options), AllOf(HasSubstr("at most 8"), HasSubstr("got 16")));
}

TEST(ShapePlan, DimensionOfASharedInputIsNotPadded) {
  ModelSpec spec = text();
  spec.inputs.push_back(
      {.name = "positions", .row_shape = Shape{-1}, .shared = true, .dimensions = {0}});
  EXPECT_THAT(refusal_of(spec, with_lengths({16, 32})),
              AllOf(HasSubstr("'length'"), HasSubstr("shared input 'positions'")));
}

TEST(ShapePlan, RefusalOfSizesNamesTheGears) {
  const ShapePlan lengths = plan_shapes(text(), with_lengths({16, 32}));
  EXPECT_EQ(refuse_sizes(lengths, text(), Sizes{32}), std::nullopt);
  EXPECT_THAT(refuse_sizes(lengths, text(), Sizes{33}).value_or(""),
              AllOf(HasSubstr("no gear"), HasSubstr("at most"), HasSubstr("[16], [32]"),
                    HasSubstr("lengths"), HasSubstr("'length'=33")));
  const ShapePlan exact = plan_shapes(images(), with_images({{8, 16}, {16, 8}}));
  EXPECT_EQ(refuse_sizes(exact, images(), Sizes{16, 8}), std::nullopt);
  EXPECT_THAT(refuse_sizes(exact, images(), Sizes{8, 8}).value_or(""),
              AllOf(HasSubstr("exactly"), HasSubstr("[8, 16], [16, 8]"), HasSubstr("image_sizes"),
                    HasSubstr("'height'=8, 'width'=8")));
  const ShapePlan limit = plan_shapes(text(), with_lengths({}, 512));
  EXPECT_THAT(refuse_sizes(limit, text(), Sizes{513}).value_or(""),
              AllOf(HasSubstr("'length'=512"), HasSubstr("'length'=513"), Not(HasSubstr("gear"))));
}

TEST(ShapePlan, WithoutPaddingLengthGearsGoAndTheLimitStays) {
  ShapePlan plan = plan_shapes(text(), with_lengths({16, 32}));
  stop_padding(plan, 0);
  EXPECT_THAT(plan.padded, ElementsAre(false));
  EXPECT_THAT(plan.size_gears, IsEmpty());
  EXPECT_THAT(fitted(plan, {7}), ElementsAre(7));
  EXPECT_THAT(fitted(plan, {33}), IsEmpty());
}

TEST(ShapePlan, WithoutPaddingOfOneDimensionTheGearsOfTheOtherStay) {
  BatchingOptions options;
  options.lengths["width"].gears = {10, 20};
  options.lengths["height"].gears = {5, 6};
  ShapePlan plan = plan_shapes(images(), options);
  stop_padding(plan, 0);
  EXPECT_THAT(plan.size_gears, ElementsAre(Sizes{0, 10}, Sizes{0, 20}));
  EXPECT_THAT(fitted(plan, {4, 11}), ElementsAre(4, 20));
}

TEST(ShapePlan, WithoutPaddingImageSizesAreExact) {
  BatchingOptions options = with_images({{8, 16}, {16, 8}});
  options.pads = true;
  ShapePlan plan = plan_shapes(images(), options);
  stop_padding(plan, 0);
  stop_padding(plan, 1);
  EXPECT_THAT(fitted(plan, {8, 16}), ElementsAre(8, 16));
  EXPECT_THAT(fitted(plan, {8, 8}), IsEmpty());
}

}  // namespace
}  // namespace dynbatch
