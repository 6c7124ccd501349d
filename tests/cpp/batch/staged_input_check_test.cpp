#include "batch/staged_input_check.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "batch/payload.hpp"

namespace dynbatch {
namespace {

const std::array<float, 64> kData{};

/// ids [n, length], a mask that may be left out, an image [3, n, height] on axis 1, a scale, a count that the
/// runtime makes.
ModelSpec all_kinds() {
  ModelSpec spec;
  spec.dimensions = {{"length"}, {"height"}};
  spec.inputs = {
      {.name = "ids", .dtype = DataType::int64, .row_shape = Shape{-1}, .dimensions = {0}},
      {.name = "mask",
       .dtype = DataType::int64,
       .row_shape = Shape{-1},
       .dimensions = {0},
       .made = Made::mask},
      {.name = "image",
       .row_shape = Shape{3, -1},
       .batch_axis = 1,
       .dimensions = {TensorSpec::kStatic, 1}},
      {.name = "scale", .row_shape = Shape{2}, .shared = true},
      {.name = "count",
       .dtype = DataType::int32,
       .row_shape = Shape{-1},
       .made = Made::element_count}};
  return spec;
}

const ShapePlan kPlan{.padded = {true, false}, .largest = {0, 0}};

std::vector<InputView> good() {
  return {{kData.data(), DataType::int64, Shape{2, 5}},
          {},
          {kData.data(), DataType::float32, Shape{3, 2, 4}},
          {kData.data(), DataType::float32, Shape{2}},
          {}};
}

struct Checked {
  std::optional<std::size_t> rows;
  StagedKey key;
  std::string message;
};

Checked check(const std::vector<InputView>& inputs, const ModelSpec& spec = all_kinds(),
              const ShapePlan& plan = kPlan) {
  Checked checked;
  Failure failure;
  checked.rows = check_staged_inputs(spec, plan, inputs, checked.key, failure);
  EXPECT_EQ(checked.rows.has_value(), !failure);
  if (failure) {
    EXPECT_EQ(failure.code, ErrorCode::invalid_input);
  }
  checked.message = failure.message;
  return checked;
}

std::string refusal(std::size_t input, const InputView& view) {
  std::vector<InputView> inputs = good();
  inputs[input] = view;
  return check(inputs).message;
}

TEST(StagedInputCheck, TellsRowsSizesAndBytes) {
  const Checked checked = check(good());
  EXPECT_EQ(checked.rows, 2U) << checked.message;
  EXPECT_EQ(checked.key.sizes[0], 5);
  EXPECT_EQ(checked.key.sizes[1], 4);
  EXPECT_EQ(checked.key.row_bytes, 5 * sizeof(std::int64_t) + 12 * sizeof(float));
  EXPECT_EQ(checked.key.head_bytes, payload_head_bytes(5));
}

TEST(StagedInputCheck, OnlySizesThatAreNotPaddedAreOfTheKey) {
  const Checked checked = check(good());
  EXPECT_EQ(checked.key.equal[0], 0);
  EXPECT_EQ(checked.key.equal[1], 4);
}

TEST(StagedInputCheck, NamesExpectedAndGotNumberOfInputs) {
  EXPECT_EQ(check({}).message, "expected 5 inputs, got 0");
}

TEST(StagedInputCheck, NamesExpectedAndGotType) {
  EXPECT_EQ(refusal(0, {kData.data(), DataType::int32, Shape{2, 5}}),
            "input 'ids': expected dtype int64, got int32");
}

TEST(StagedInputCheck, NamesDimensionsInTheExpectedShape) {
  EXPECT_EQ(refusal(0, {kData.data(), DataType::int64, Shape{2, 5, 1}}),
            "input 'ids': expected shape [n, length], got [2, 5, 1]");
  EXPECT_EQ(refusal(2, {kData.data(), DataType::float32, Shape{4, 2, 4}}),
            "input 'image': expected shape [3, n, height], got [4, 2, 4]");
  EXPECT_EQ(refusal(3, {kData.data(), DataType::float32, Shape{3}}),
            "input 'scale': expected shape [2], got [3]");
}

TEST(StagedInputCheck, NegativeRowsAreRefused) {
  EXPECT_EQ(refusal(0, {kData.data(), DataType::int64, Shape{-1, 5}}),
            "input 'ids': expected shape [n, length], got [-1, 5]");
}

TEST(StagedInputCheck, InputsAgreeOnRows) {
  EXPECT_EQ(refusal(2, {kData.data(), DataType::float32, Shape{3, 1, 4}}),
            "input 'image': expected 2 rows as in input 'ids', got 1");
}

TEST(StagedInputCheck, InputsAgreeOnTheSizeOfADimension) {
  EXPECT_EQ(refusal(1, {kData.data(), DataType::int64, Shape{2, 6}}),
            "input 'mask': expected 'length' of 5 as in input 'ids', got 6");
}

TEST(StagedInputCheck, PaddedDimensionHasAnElementAtLeast) {
  EXPECT_EQ(refusal(0, {kData.data(), DataType::int64, Shape{2, 0}}),
            "input 'ids': expected 'length' of at least 1, got 0");
  EXPECT_EQ(refusal(2, {kData.data(), DataType::float32, Shape{3, 2, -4}}),
            "input 'image': expected 'height' of at least 0, got -4");
}

TEST(StagedInputCheck, DimensionThatIsNotPaddedMayBeEmpty) {
  EXPECT_EQ(refusal(2, {nullptr, DataType::float32, Shape{3, 2, 0}}), "");
}

TEST(StagedInputCheck, WhatTheRuntimeMakesIsNotTaken) {
  EXPECT_EQ(refusal(4, {kData.data(), DataType::int32, Shape{1}}),
            "input 'count': expected no array, since the runtime makes it, got [1]");
}

TEST(StagedInputCheck, OtherInputsMayNotBeLeftOut) {
  EXPECT_EQ(refusal(2, {}), "input 'image': expected shape [3, n, height], got []");
  EXPECT_EQ(refusal(3, {}), "input 'scale': expected shape [2], got []");
}

TEST(StagedInputCheck, DataIsNeededWhereThereAreElements) {
  EXPECT_EQ(refusal(0, {nullptr, DataType::int64, Shape{2, 5}}),
            "input 'ids': expected data, got a null pointer");
  EXPECT_EQ(refusal(3, {nullptr, DataType::float32, Shape{2}}),
            "input 'scale': expected data, got a null pointer");
}

TEST(StagedInputCheck, BytesThatCannotBeCountedAreRefused) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(refusal(0, {kData.data(), DataType::int64, Shape{2, kMost}}),
            "input 'ids': expected a shape whose bytes can be counted, got [2, " +
                std::to_string(kMost) + "]");
  std::vector<InputView> inputs = good();
  inputs[0].shape = Shape{kMost, 5};
  EXPECT_EQ(check(inputs).message,
            "input 'ids': expected a shape whose bytes can be counted, got [" +
                std::to_string(kMost) + ", 5]");
}

TEST(StagedInputCheck, RaggedRowsHaveAnyShape) {
  ModelSpec spec;
  spec.inputs = {{.name = "x", .row_shape = Shape{-1}, .ragged = true}};
  const ShapePlan plan;
  EXPECT_EQ(check({{kData.data(), DataType::float32, Shape{2, 3, 4}}}, spec, plan).rows, 2U);
  EXPECT_EQ(check({{kData.data(), DataType::float32, Shape{}}}, spec, plan).message,
            "input 'x': expected shape [n, ...], got []");
  EXPECT_EQ(check({{kData.data(), DataType::float32, Shape{2, -3}}}, spec, plan).message,
            "input 'x': expected shape [n, ...], got [2, -3]");
}

TEST(StagedInputCheck, RequestWithoutBatchedInputsIsRefused) {
  ModelSpec spec;
  spec.inputs = {{.name = "count", .row_shape = Shape{-1}, .made = Made::element_count}};
  EXPECT_EQ(check({{}}, spec, {}).message, "expected at least one input with rows, got none");
}

}  // namespace
}  // namespace dynbatch
