#include "batch/stager.hpp"

#include <gmock/gmock.h>

#include <cstdint>
#include <random>
#include <vector>

#include "cpp/batch/gathered.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::Floats;
using dynbatch::testing::Gathered;
using dynbatch::testing::one_line;
using dynbatch::testing::padded_lines;
using dynbatch::testing::rising_floats;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Floats line(std::vector<float> values) {
  return {.shape = Shape{1, static_cast<std::int64_t>(values.size())}, .values = values};
}

TEST(Stager, PadsToTheLongest) {
  ModelSpec spec = one_line();
  spec.inputs[0].pad = -1.0;
  Gathered batch(spec);
  batch.add({line({1, 2})});
  batch.add({line({3, 4, 5})});
  batch.stage();
  EXPECT_EQ(batch.input_floats(), (Floats{Shape{2, 3}, {1, 2, -1, 3, 4, 5}}));
  EXPECT_EQ(batch.staging().elements, 5U);
  EXPECT_EQ(batch.staging().padded_elements, 1U);
}

TEST(Stager, PadsToTheSmallestGearThatHoldsAll) {
  StagerSetup setup = padded_lines();
  setup.plan.size_gears = {{8}, {4}, {2}};
  Gathered batch(one_line(), setup);
  batch.add({line({1})});
  batch.add({line({2, 3, 4})});
  batch.stage();
  EXPECT_EQ(batch.input_floats(), (Floats{Shape{2, 4}, {1, 0, 0, 0, 2, 3, 4, 0}}));
}

TEST(Stager, MakesMaskAndLength) {
  ModelSpec spec = one_line();
  spec.inputs.push_back({.name = "mask",
                         .dtype = DataType::int64,
                         .row_shape = Shape{-1},
                         .dimensions = {0},
                         .made = Made::mask});
  spec.inputs.push_back(
      {.name = "length", .dtype = DataType::int64, .row_shape = Shape{}, .made = Made::length});
  Gathered batch(spec);
  batch.add({line({1, 2}), {}, {}});
  batch.add({line({3, 4, 5}), {}, {}});
  batch.stage();
  EXPECT_EQ(batch.shape(1), (Shape{2, 3}));
  EXPECT_THAT(batch.input<std::int64_t>(1), ElementsAre(1, 1, 0, 1, 1, 1));
  EXPECT_EQ(batch.shape(2), (Shape{2}));
  EXPECT_THAT(batch.input<std::int64_t>(2), ElementsAre(2, 3));
}

TEST(Stager, MaskThatACallerGivesIsPaddedBesideOneThatIsMade) {
  ModelSpec spec = one_line();
  spec.inputs.push_back(
      {.name = "mask", .row_shape = Shape{-1}, .dimensions = {0}, .made = Made::mask});
  Gathered batch(spec);
  batch.add({line({1, 2}), line({0, 1})});
  batch.add({line({3, 4, 5}), {}});
  batch.stage();
  EXPECT_THAT(batch.input(1), ElementsAre(0, 1, 0, 1, 1, 1));
}

TEST(Stager, RowsStandOnTheirBatchAxis) {
  ModelSpec spec = one_line();
  spec.inputs[0].row_shape = Shape{2};
  spec.inputs[0].dimensions = {};
  spec.inputs[0].batch_axis = 1;
  spec.dimensions = {};
  StagerSetup setup;
  setup.outputs = {{.batch_axis = 1}};
  Gathered batch(spec, setup);
  batch.add({{Shape{2, 1}, {1, 2}}});
  batch.add({{Shape{2, 2}, {3, 4, 5, 6}}});
  batch.stage();
  EXPECT_EQ(batch.input_floats(), (Floats{Shape{2, 3}, {1, 3, 4, 2, 5, 6}}));
  EXPECT_EQ(batch.cut(0, batch.input_floats()), (Floats{Shape{2, 1}, {1, 2}}));
  EXPECT_EQ(batch.cut(1, batch.input_floats()), (Floats{Shape{2, 2}, {3, 4, 5, 6}}));
}

// The pair of Triton's documentation.
TEST(Stager, RaggedRowsFollowEachOther) {
  ModelSpec spec;
  spec.inputs = {{.name = "INPUT", .row_shape = Shape{-1}, .ragged = true},
                 {.name = "INDEX",
                  .row_shape = Shape{-1},
                  .made = Made::accumulated_element_count,
                  .source = 0}};
  spec.outputs = {{.name = "OUTPUT", .row_shape = Shape{-1}}};
  StagerSetup setup;
  setup.outputs = {{.scattered_as = 0}};
  Gathered batch(spec, setup);
  for (std::int64_t length = 3; length <= 5; ++length)
    batch.add({rising_floats(Shape{1, length}, static_cast<float>(length * 10)), {}});
  batch.stage();
  EXPECT_EQ(batch.shape(0), (Shape{12}));
  EXPECT_THAT(batch.input(0), ElementsAre(30, 31, 32, 40, 41, 42, 43, 50, 51, 52, 53, 54));
  EXPECT_THAT(batch.input(1), ElementsAre(3, 7, 12));
  EXPECT_EQ(batch.staging().padded_elements, 0U);
  EXPECT_EQ(batch.cut(1, batch.input_floats()), rising_floats(Shape{1, 4}, 40.0F));
  EXPECT_EQ(batch.refusal({Shape{11}}),
            "output 'OUTPUT' has 11 elements, expected 12, those of input 'INPUT'");
}

TEST(Stager, EachRowHasItsConsecutiveRowsOfAnOutput) {
  StagerSetup setup = padded_lines();
  setup.outputs[0].rows_per_row = 2;
  Gathered batch(one_line(), setup);
  batch.add({line({1, 2})});
  batch.add({line({3, 4, 5})});
  batch.stage();
  const Floats y = rising_floats(Shape{4, 3});
  EXPECT_EQ(batch.cut(0, y), (Floats{Shape{2, 2}, {1, 2, 4, 5}}));
  EXPECT_EQ(batch.cut(1, y), (Floats{Shape{2, 3}, {7, 8, 9, 10, 11, 12}}));
  EXPECT_EQ(batch.refusal({Shape{2, 3}}), "output 'y' has shape [2, 3], expected 4 on axis 0");
}

TEST(Stager, EachRequestGetsAllOfASharedOutput) {
  StagerSetup setup = padded_lines();
  setup.outputs[0].shared = true;
  Gathered batch(one_line(), setup);
  batch.add({line({1})});
  batch.add({line({2})});
  batch.stage();
  const Floats y = rising_floats(Shape{5});
  EXPECT_EQ(batch.cut(0, y), y);
  EXPECT_EQ(batch.cut(1, y), y);
}

TEST(Stager, OutputsAreCutByTheRatioOfTheirDimension) {
  StagerSetup setup = padded_lines();
  setup.outputs[0].trims[1] = {.dimension = 0, .numerator = 1, .denominator = 2, .offset = 1};
  Gathered batch(one_line(), setup);
  batch.add({rising_floats(Shape{1, 3})});
  batch.add({rising_floats(Shape{1, 8})});
  batch.stage();
  EXPECT_EQ(batch.cut(0, rising_floats(Shape{2, 4})), (Floats{Shape{1, 2}, {1, 2}}));
}

TEST(Stager, OutputThatIsTooSmallToBeCutIsRefused) {
  Gathered batch;
  batch.add({rising_floats(Shape{1, 3})});
  batch.add({rising_floats(Shape{1, 8})});
  batch.stage();
  EXPECT_EQ(batch.refusal({Shape{2, 8}}), "");
  EXPECT_EQ(batch.refusal({Shape{2, 7}}),
            "output 'y' has shape [2, 7], too small for a request's [1, 8]");
  EXPECT_EQ(batch.refusal({Shape{3, 8}}), "output 'y' has shape [3, 8], expected 2 on axis 0");
  EXPECT_EQ(batch.refusal({Shape{}}), "output 'y' has shape [], expected 2 on axis 0");
  EXPECT_THAT(batch.refusal({Shape{2, 1, 1, 1, 1, 1, 1, 1, 1}}),
              HasSubstr("output 'y' has too many dimensions"));
}

StagerSetup filled_lines(std::vector<float> fill_row) {
  StagerSetup setup = padded_lines();
  setup.fill_gears = {2, 4};
  setup.fill_sizes[0] = static_cast<std::int64_t>(fill_row.size());
  const auto bytes = std::as_bytes(std::span(fill_row));
  setup.fill_row = {{bytes.begin(), bytes.end()}};
  return setup;
}

TEST(Stager, CompletesAGearWithTheRowOfWarmUp) {
  Gathered batch(one_line(), filled_lines({7, 8}));
  for (int i = 0; i < 3; ++i) batch.add({line({1, 2, 3})});
  batch.stage();
  EXPECT_EQ(batch.staging().run_rows, 4U);
  EXPECT_EQ(batch.input_floats(), (Floats{Shape{4, 3}, {1, 2, 3, 1, 2, 3, 1, 2, 3, 7, 8, 0}}));
}

TEST(Stager, RowThatCompletesAGearIsCutToTheSizesOfTheBatch) {
  Gathered batch(one_line(), filled_lines({7, 8, 9}));
  batch.add({line({1})});
  batch.stage();
  EXPECT_EQ(batch.input_floats(), (Floats{Shape{2, 1}, {1, 7}}));
}

TEST(Stager, GearOfDimsBringsItsOwnBatch) {
  StagerSetup setup = filled_lines({9});
  setup.fill_gears = {};
  setup.plan.size_gears = {{2}, {2}, {4}};
  setup.plan.gear_batches = {1, 3, 2};
  Gathered batch(one_line(), setup);
  batch.add({line({1, 2})});
  batch.add({line({3})});
  batch.stage();
  EXPECT_EQ(batch.input_floats(), (Floats{Shape{3, 2}, {1, 2, 3, 0, 9, 0}}));
}

TEST(Stager, LoneRequestIsReadWhereItLies) {
  Gathered batch;
  batch.add({line({1, 2})});
  batch.stage();
  EXPECT_EQ(batch.staging().inputs[0], payload_tensor(batch.payload(0), 0));
  EXPECT_EQ(batch.staging().memory.size_bytes(), 0U);
  EXPECT_EQ(batch.staging().elements, 2U);
  const std::vector<Shape> y = {Shape{1, 2}};
  EXPECT_TRUE(batch.stager().is_whole(batch.staging(), y));
}

TEST(Stager, LoneRequestThatIsPaddedIsGathered) {
  StagerSetup setup = padded_lines();
  setup.plan.size_gears = {{4}};
  Gathered batch(one_line(), setup);
  batch.add({line({1, 2})});
  batch.stage();
  EXPECT_THAT(batch.input(), ElementsAre(1, 2, 0, 0));
  const std::vector<Shape> y = {Shape{1, 4}};
  EXPECT_FALSE(batch.stager().is_whole(batch.staging(), y));
}

TEST(Stager, SharedInputsAreThoseOfTheKey) {
  ModelSpec spec = one_line();
  spec.inputs.push_back({.name = "scale", .row_shape = Shape{}, .shared = true});
  Gathered batch(spec);
  batch.add({line({1, 2}), {Shape{}, {5}}});
  const std::vector<std::vector<std::byte>> shared = {{}, std::vector<std::byte>(4)};
  batch.stage(shared);
  EXPECT_EQ(batch.staging().inputs[1], shared[1].data());
}

TEST(Stager, MemoryIsGivenBackAfterManySmallerBatches) {
  Gathered batch;
  const auto stage_two = [&](std::int64_t length) {
    batch.clear();
    for (int i = 0; i < 2; ++i) batch.add({rising_floats(Shape{1, length})});
    batch.stage();
  };
  stage_two(1 << 20);
  const std::size_t large = batch.staging().memory.size_bytes();
  EXPECT_GE(large, std::size_t{8} << 20);
  for (int run = 1; run < 64; ++run) stage_two(100);
  EXPECT_EQ(batch.staging().memory.size_bytes(), large);
  stage_two(100);
  EXPECT_LE(batch.staging().memory.size_bytes(), 4096U);
}

TEST(Stager, EmptyAnswerHasNoRows) {
  const Gathered batch;
  StagedKey::Sizes sizes{};
  sizes[0] = 3;
  EXPECT_EQ(batch.stager().empty_shape(0, sizes), (Shape{0, 3}));
}

/// A model that answers what it is asked gives each request back its own, whatever else is in the batch.
TEST(Stager, WhatIsGatheredAndCutApartIsEachRequestsOwn) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 2000; ++round) {
    const std::size_t batch_axis = random() % 3;
    ModelSpec spec = one_line();
    spec.dimensions = {{"height"}, {"width"}};
    spec.inputs[0].row_shape = Shape{-1, -1};
    spec.inputs[0].dimensions = {0, 1};
    spec.inputs[0].batch_axis = batch_axis;
    spec.inputs[0].pad_mode = static_cast<PadMode>(random() % 3);
    StagerSetup setup;
    setup.plan = {.padded = {true, true}, .largest = {0, 0}};
    if (random() % 2 == 0) setup.plan.size_gears = {{9, 9}, {3, 5}, {5, 3}};
    OutputLayout layout{.batch_axis = batch_axis, .trims = {{}, {}, {}}};
    for (std::size_t axis = 0, d = 0; axis < 3; ++axis)
      if (axis != batch_axis) layout.trims[axis].dimension = static_cast<int>(d++);
    setup.outputs = {layout};
    Gathered batch(spec, setup);
    std::vector<Floats> requests;
    std::size_t elements = 0;
    for (std::size_t i = 0; i < 1 + random() % 6; ++i) {
      Shape shape;
      for (std::size_t axis = 0; axis < 3; ++axis)
        shape.push_back(
            static_cast<std::int64_t>(axis == batch_axis ? random() % 4 : 1 + random() % 9));
      requests.push_back(rising_floats(shape, static_cast<float>(1000 * i)));
      elements += elements_of(shape);
      batch.add({requests.back()});
    }
    batch.stage();
    const Floats y = batch.input_floats();
    ASSERT_EQ(batch.refusal({y.shape}), "");
    ASSERT_EQ(batch.staging().elements, elements);
    ASSERT_EQ(batch.staging().padded_elements, elements_of(y.shape) - elements);
    for (std::size_t part = 0; part < requests.size(); ++part)
      ASSERT_EQ(batch.cut(part, y), requests[part]) << "round " << round;
  }
}

}  // namespace
}  // namespace dynbatch
