#include "batch/input_check.hpp"

#include <gmock/gmock.h>

#include <array>
#include <string>
#include <vector>

namespace dynbatch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::array<float, 64> kData{};

ModelSpec pixels_and_mask() {
  ModelSpec spec;
  spec.inputs = {
      {.name = "pixels", .dtype = DataType::float32, .row_shape = Shape{2, 3}},
      {.name = "mask", .dtype = DataType::int64, .row_shape = Shape{}},
      {.name = "scale", .dtype = DataType::float32, .row_shape = Shape{}, .shared = true}};
  return spec;
}

std::vector<InputView> good(std::int64_t rows) {
  return {{kData.data(), DataType::float32, Shape{rows, 2, 3}},
          {kData.data(), DataType::int64, Shape{rows}},
          {kData.data(), DataType::float32, Shape{}}};
}

std::string refusal_of(const std::vector<InputView>& inputs) {
  Failure failure;
  EXPECT_FALSE(check_inputs(pixels_and_mask(), inputs, failure).has_value());
  EXPECT_EQ(failure.code, ErrorCode::invalid_input);
  return failure.message;
}

TEST(InputCheck, TellsTheRowsOfGoodInputs) {
  Failure failure;
  EXPECT_EQ(check_inputs(pixels_and_mask(), good(4), failure), 4U);
  EXPECT_EQ(check_inputs(pixels_and_mask(), good(0), failure), 0U);
  EXPECT_FALSE(failure);
}

TEST(InputCheck, NamesExpectedAndGotNumberOfInputs) {
  std::vector<InputView> inputs = good(1);
  inputs.pop_back();
  EXPECT_EQ(refusal_of(inputs), "expected 3 inputs, got 2");
}

TEST(InputCheck, NamesInputExpectedAndGotType) {
  std::vector<InputView> inputs = good(1);
  inputs[1].dtype = DataType::int32;
  EXPECT_EQ(refusal_of(inputs), "input 'mask': expected dtype int64, got int32");
}

TEST(InputCheck, NamesInputExpectedAndGotShape) {
  std::vector<InputView> inputs = good(1);
  inputs[0].shape = Shape{1, 3, 2};
  EXPECT_EQ(refusal_of(inputs), "input 'pixels': expected shape [n, 2, 3], got [1, 3, 2]");
}

TEST(InputCheck, RefusesARowWithoutBatchAxis) {
  std::vector<InputView> inputs = good(1);
  inputs[0].shape = Shape{2, 3};
  EXPECT_EQ(refusal_of(inputs), "input 'pixels': expected shape [n, 2, 3], got [2, 3]");
}

TEST(InputCheck, RefusesANegativeNumberOfRows) {
  std::vector<InputView> inputs = good(1);
  inputs[1].shape = Shape{-1};
  EXPECT_EQ(refusal_of(inputs), "input 'mask': expected shape [n], got [-1]");
}

TEST(InputCheck, RefusesTensorsDeeperThanTheLimit) {
  std::vector<InputView> inputs = good(1);
  inputs[0].shape = Shape{1, 2, 3, 1, 1, 1, 1, 1, 1};
  EXPECT_THAT(refusal_of(inputs), AllOf(HasSubstr("'pixels'"), HasSubstr("[n, 2, 3]"),
                                        HasSubstr("[1, 2, 3, 1, 1, 1, 1, 1, ...]")));
}

TEST(InputCheck, RefusesABatchAxisOnASharedInput) {
  std::vector<InputView> inputs = good(1);
  inputs[2].shape = Shape{1};
  EXPECT_EQ(refusal_of(inputs), "input 'scale': expected shape [], got [1]");
}

TEST(InputCheck, NamesBothInputsWhoseRowsDiffer) {
  std::vector<InputView> inputs = good(2);
  inputs[1].shape = Shape{3};
  EXPECT_EQ(refusal_of(inputs), "input 'mask': expected 2 rows as in input 'pixels', got 3");
}

TEST(InputCheck, RefusesNullData) {
  std::vector<InputView> inputs = good(1);
  inputs[0].data = nullptr;
  EXPECT_EQ(refusal_of(inputs), "input 'pixels': expected data, got a null pointer");
}

TEST(InputCheck, RefusesNullDataOfASharedInputThoughThereAreNoRows) {
  std::vector<InputView> inputs = good(0);
  inputs[2].data = nullptr;
  EXPECT_EQ(refusal_of(inputs), "input 'scale': expected data, got a null pointer");
}

TEST(InputCheck, NoRowsNeedNoData) {
  std::vector<InputView> inputs = good(0);
  inputs[0].data = nullptr;
  Failure failure;
  EXPECT_EQ(check_inputs(pixels_and_mask(), inputs, failure), 0U);
}

}  // namespace
}  // namespace dynbatch
