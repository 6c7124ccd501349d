// Where requests find their parts of outputs, concluded from the shapes of runs.
#include "runtime/find_layouts.hpp"

#include <gmock/gmock.h>

#include <functional>
#include <string>
#include <vector>

#include <dynbatch/error.hpp>

namespace dynbatch {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Sizes = std::vector<std::int64_t>;
using ShapeOf = std::function<Shape(std::int64_t rows, const Sizes& sizes)>;

/// One output y; `dimensions` free dimensions.
ModelSpec model(std::size_t dimensions = 1) {
  ModelSpec spec;
  const char* const names[] = {"height", "width"};
  for (std::size_t i = 0; i < dimensions; ++i) spec.dimensions.push_back({names[i]});
  spec.inputs = {{.name = "x"}};
  spec.outputs = {{.name = "y"}};
  return spec;
}

/// What a model of one output would show: one to three rows at 32, then two rows at other sizes of each
/// dimension.
std::vector<DryRun> runs_of(const ModelSpec& spec, const ShapeOf& shape_of) {
  std::vector<DryRun> runs;
  const auto run = [&](std::size_t rows, const Sizes& sizes) {
    runs.push_back({.rows = rows,
                    .sizes = sizes,
                    .elements = {rows},
                    .outputs = {shape_of(static_cast<std::int64_t>(rows), sizes)}});
  };
  const Sizes first(spec.dimensions.size(), 32);
  for (const std::size_t rows : {1, 2, 3}) run(rows, first);
  for (std::size_t d = 0; d < first.size(); ++d) {
    for (const std::int64_t size : {33, 64, 22, 16, 71, 35, 34, 37, 52}) {
      Sizes sizes = first;
      sizes[d] = size;
      run(2, sizes);
    }
  }
  return runs;
}

FoundLayouts layouts_of(const ModelSpec& spec, const ShapeOf& shape_of) {
  return find_layouts(spec, runs_of(spec, shape_of));
}

std::string refusal_of(const ModelSpec& spec, const ShapeOf& shape_of) {
  try {
    layouts_of(spec, shape_of);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::model);
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

/// The part of a request of one row at sizes (13) of an output of two axes that ran at 20.
Shape own_at_13(const ShapeOf& shape_of) {
  const OutputLayout layout = layouts_of(model(), shape_of).outputs[0];
  return own_shape(layout, shape_of(4, {20}), 1, Sizes{13});
}

TEST(FindLayouts, BatchIsTheAxisThatHasTheRows) {
  const auto found = layouts_of(model(0), [](auto n, auto&) { return Shape{7, n, 1}; });
  EXPECT_FALSE(found.outputs[0].shared);
  EXPECT_EQ(found.outputs[0].batch_axis, 1U);
  EXPECT_EQ(found.outputs[0].rows_per_row, 1U);
}

TEST(FindLayouts, OutputMayHaveSeveralRowsForEach) {
  const auto found = layouts_of(model(0), [](auto n, auto&) { return Shape{2 * n, 5}; });
  EXPECT_EQ(found.outputs[0].rows_per_row, 2U);
  EXPECT_EQ(own_shape(found.outputs[0], Shape{12, 5}, 3, {}), (Shape{6, 5}));
}

TEST(FindLayouts, OutputThatIgnoresTheRowsIsShared) {
  const auto found = layouts_of(model(0), [](auto, auto&) { return Shape{2, 5}; });
  EXPECT_TRUE(found.outputs[0].shared);
  EXPECT_EQ(own_shape(found.outputs[0], Shape{2, 5}, 3, {}), (Shape{2, 5}));
  EXPECT_TRUE(layouts_of(model(0), [](auto, auto&) { return Shape{}; }).outputs[0].shared);
}

TEST(FindLayouts, TwoCandidatesAskForADeclaration) {
  EXPECT_THAT(
      refusal_of(model(0), [](auto n, auto&) { return Shape{n, n}; }),
      AllOf(HasSubstr("output 'y'"), HasSubstr("0 and 1"),
            HasSubstr("outputs={\"y\": Output(batch_axis=...)}"), HasSubstr("[2, 2] with 2 rows")));
}

TEST(FindLayouts, DeclarationDecidesBetweenCandidates) {
  ModelSpec spec = model(0);
  const auto square = [](std::int64_t n, const Sizes&) { return Shape{n, n}; };
  spec.outputs[0].declared = true;
  EXPECT_EQ(layouts_of(spec, square).outputs[0].batch_axis, 0U);
  spec.outputs[0].batch_axis = 1;
  EXPECT_EQ(layouts_of(spec, square).outputs[0].batch_axis, 1U);
}

TEST(FindLayouts, DeclarationThatRunsContradictIsRefused) {
  ModelSpec spec = model(0);
  const auto plain = [](std::int64_t n, const Sizes&) { return Shape{n, 5}; };
  spec.outputs[0].batch_axis = 1;
  EXPECT_THAT(refusal_of(spec, plain), AllOf(HasSubstr("batch_axis=1"), HasSubstr("[1, 5]")));
  spec.outputs[0].batch_axis = 2;
  EXPECT_THAT(refusal_of(spec, plain), HasSubstr("batch_axis=2"));
  spec.outputs[0] = {.name = "y", .rows_per_row = 2};
  EXPECT_THAT(refusal_of(spec, plain), AllOf(HasSubstr("rows_per_row=2"), HasSubstr("but has 1")));
}

TEST(FindLayouts, OutputsDeclaredAsSharedAreTakenAsSaid) {
  ModelSpec spec = model(0);
  spec.outputs[0] = {.name = "y", .shared = true};
  EXPECT_TRUE(
      layouts_of(spec, [](std::int64_t n, const Sizes&) { return Shape{n, 5}; }).outputs[0].shared);
}

TEST(FindLayouts, BatchMixedWithADimensionIsRefused) {
  EXPECT_THAT(refusal_of(model(), [](auto n, auto& s) { return Shape{n * s[0], 4}; }),
              AllOf(HasSubstr("no axis"), HasSubstr("Output(batch_axis=...)")));
}

TEST(FindLayouts, OneBatchSizeAloneTellsAnAxisOfExactlyThatSize) {
  const ModelSpec spec = model(0);
  const auto at_four = [&](const Shape& shape) {
    const std::vector<DryRun> runs{{.rows = 4, .sizes = {}, .elements = {4}, .outputs = {shape}}};
    return find_layouts(spec, runs).outputs[0];
  };
  EXPECT_EQ(at_four(Shape{8, 4}).batch_axis, 1U);
  EXPECT_THROW(at_four(Shape{4, 4}), Error);
  EXPECT_THROW(at_four(Shape{8, 8}), Error);
}

TEST(FindLayouts, AxisOfADimensionsSizeIsTrimmedToTheRequests) {
  EXPECT_EQ(own_at_13([](auto n, auto& s) { return Shape{n, s[0]}; }), (Shape{1, 13}));
}

TEST(FindLayouts, RatiosRoundAsTheModelDoes) {
  EXPECT_EQ(own_at_13([](auto n, auto& s) { return Shape{n, s[0] / 8}; }), (Shape{1, 1}));
  EXPECT_EQ(own_at_13([](auto n, auto& s) { return Shape{n, (s[0] + 7) / 8}; }), (Shape{1, 2}));
  EXPECT_EQ(own_at_13([](auto n, auto& s) { return Shape{n, s[0] * 2}; }), (Shape{1, 26}));
  EXPECT_EQ(own_at_13([](auto n, auto& s) { return Shape{n, s[0] * 3 / 2}; }), (Shape{1, 19}));
}

TEST(FindLayouts, WindowsAndMixedRoundingAreFollowed) {
  // A window of three without padding.
  EXPECT_EQ(own_at_13([](auto n, auto& s) { return Shape{n, s[0] - 2}; }), (Shape{1, 11}));
  EXPECT_EQ(
      own_shape(layouts_of(model(), [](auto n, auto& s) { return Shape{n, s[0] - 2}; }).outputs[0],
                Shape{1, 5}, 1, Sizes{1}),
      (Shape{1, 0}));
  // Two strides that round up, then one that rounds down.
  EXPECT_EQ(own_at_13([](auto n, auto& s) { return Shape{n, (s[0] + 3) / 4 / 2}; }), (Shape{1, 2}));
}

TEST(FindLayouts, SizesThatAlwaysDivideRoundUp) {
  const std::vector<SizePair> pairs{{32, 4}, {64, 8}, {96, 12}};
  const auto trim = find_trim(pairs);
  ASSERT_TRUE(trim);
  EXPECT_EQ(trim->denominator, 8);
  EXPECT_EQ(trim->offset, 7);
}

TEST(FindLayouts, TermsAreAtMostSixtyFour) {
  const auto by = [](std::int64_t divisor) {
    std::vector<SizePair> pairs;
    for (const std::int64_t size : {640, 641, 1280, 703, 320, 2047, 4225})
      pairs.push_back({size, size / divisor});
    return find_trim(pairs);
  };
  ASSERT_TRUE(by(64));
  EXPECT_EQ(by(64)->denominator, 64);
  EXPECT_FALSE(by(97));
}

TEST(FindLayouts, AnOffsetNeedsThreeSizes) {
  EXPECT_FALSE(find_trim(std::vector<SizePair>{{32, 30}, {64, 62}}));
  EXPECT_TRUE(find_trim(std::vector<SizePair>{{32, 30}, {64, 62}, {33, 31}}));
}

TEST(FindLayouts, AnOffsetThatTheSizesLeaveOpenIsNotGuessed) {
  std::vector<SizePair> pairs;
  for (const std::int64_t size : {32, 33, 22, 35, 64}) pairs.push_back({size, (size + 3) / 8});
  EXPECT_FALSE(find_trim(pairs));  // sizes of 4 and 5 above a multiple of 8 would tell
  for (const std::int64_t size : {36, 37}) pairs.push_back({size, (size + 3) / 8});
  ASSERT_TRUE(find_trim(pairs));
  EXPECT_EQ(find_trim(pairs)->offset, 3);
}

TEST(FindLayouts, AxesFollowTheirOwnDimensions) {
  const auto found =
      layouts_of(model(2), [](auto n, auto& s) { return Shape{n, 6, s[1], (s[0] + 1) / 2}; });
  EXPECT_THAT(found.obstacles, ElementsAre(IsEmpty(), IsEmpty()));
  EXPECT_EQ(own_shape(found.outputs[0], Shape{4, 6, 50, 20}, 2, Sizes{11, 40}),
            (Shape{2, 6, 40, 6}));
}

TEST(FindLayouts, AxisThatFollowsNoDimensionStaysWholeAndStopsPaddingOfIts) {
  const auto found =
      layouts_of(model(2), [](auto n, auto& s) { return Shape{n, s[0] * s[0], s[1]}; });
  EXPECT_THAT(found.obstacles[0], AllOf(HasSubstr("axis 1 of output 'y'"), HasSubstr("'height'")));
  EXPECT_THAT(found.obstacles[1], IsEmpty());
  EXPECT_EQ(own_shape(found.outputs[0], Shape{4, 400, 50}, 1, Sizes{10, 40}), (Shape{1, 400, 40}));
}

TEST(FindLayouts, FlattenedDimensionsStopPaddingOfBoth) {
  const auto found = layouts_of(model(2), [](auto n, auto& s) { return Shape{n, s[0] * s[1]}; });
  EXPECT_THAT(found.obstacles[0], HasSubstr("'height'"));
  EXPECT_THAT(found.obstacles[1], HasSubstr("'width'"));
}

TEST(FindLayouts, DimensionsThatWereAlwaysEqualAreNotToldApart) {
  const ModelSpec spec = model(2);
  std::vector<DryRun> runs;
  for (const std::size_t rows : {1, 2}) {
    for (const std::int64_t side : {32, 33, 64}) {
      runs.push_back({.rows = rows,
                      .sizes = {side, side},
                      .elements = {1},
                      .outputs = {Shape{static_cast<std::int64_t>(rows), side}}});
    }
  }
  FoundLayouts found = find_layouts(spec, runs);
  EXPECT_THAT(found.obstacles[0], HasSubstr("more than one dimension"));
  EXPECT_THAT(found.obstacles[1], HasSubstr("more than one dimension"));
  ModelSpec declared = spec;
  declared.outputs[0].dimensions = {1};
  found = find_layouts(declared, runs);
  EXPECT_THAT(found.obstacles, ElementsAre(IsEmpty(), IsEmpty()));
  EXPECT_EQ(found.outputs[0].trims[1].dimension, 1);
}

TEST(FindLayouts, AxisThatDependsOnValuesIsNotTrimmed) {
  std::int64_t calls = 0;
  const auto found =
      layouts_of(model(), [&](auto n, auto&) { return Shape{n, 5 + (++calls % 3)}; });
  EXPECT_EQ(found.outputs[0].trims[1].dimension, TensorSpec::kStatic);
}

TEST(FindLayouts, ScatteredOutputHasTheElementsOfItsInput) {
  ModelSpec spec = model(0);
  spec.outputs[0].scattered_as = 0;
  const auto found = layouts_of(spec, [](auto n, auto&) { return Shape{n}; });
  EXPECT_EQ(found.outputs[0].scattered_as, std::size_t{0});
  EXPECT_THAT(refusal_of(spec, [](auto n, auto&) { return Shape{n, 3}; }),
              AllOf(HasSubstr("scattered"), HasSubstr("1 elements"), HasSubstr("has 3")));
}

TEST(FindLayouts, ChangingRankIsRefused) {
  EXPECT_THAT(refusal_of(model(0), [](auto n, auto&) { return n == 1 ? Shape{5} : Shape{n, 5}; }),
              HasSubstr("number of axes"));
}

}  // namespace
}  // namespace dynbatch
