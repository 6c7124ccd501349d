#include <dynbatch/tensor.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace dynbatch {
namespace {

TEST(Tensor, EveryDataTypeHasASizeAndAName) {
  const std::vector<DataType> of_one_byte = {DataType::uint8, DataType::int8, DataType::boolean};
  const std::vector<DataType> of_two = {DataType::uint16, DataType::int16, DataType::float16,
                                        DataType::bfloat16};
  const std::vector<DataType> of_four = {DataType::float32, DataType::int32, DataType::uint32};
  const std::vector<DataType> of_eight = {DataType::float64, DataType::int64, DataType::uint64};
  for (const DataType type : of_one_byte) EXPECT_EQ(size_of(type), 1U) << name_of(type);
  for (const DataType type : of_two) EXPECT_EQ(size_of(type), 2U) << name_of(type);
  for (const DataType type : of_four) EXPECT_EQ(size_of(type), 4U) << name_of(type);
  for (const DataType type : of_eight) EXPECT_EQ(size_of(type), 8U) << name_of(type);
  EXPECT_STREQ(name_of(DataType::float32), "float32");
  EXPECT_STREQ(name_of(DataType::boolean), "bool");
  EXPECT_STREQ(name_of(DataType::bfloat16), "bfloat16");
}

TEST(Tensor, OtherNumbersAreNoDataType) {
  for (const int number : {0, 8, 14, 17, 255}) {
    EXPECT_EQ(size_of(static_cast<DataType>(number)), 0U);
    EXPECT_STREQ(name_of(static_cast<DataType>(number)), "unknown");
  }
}

TEST(Tensor, ShapesCompareByTheirDimensions) {
  EXPECT_EQ((Shape{2, 3}), Shape(std::vector<std::int64_t>{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{2, 4}));
  EXPECT_NE((Shape{2}), (Shape{2, 0}));
  EXPECT_EQ(Shape(), Shape());
}

TEST(Tensor, ShapeDeeperThanTheLimitIsInvalid) {
  Shape shape{1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_TRUE(shape.valid());
  shape.push_back(9);
  EXPECT_FALSE(shape.valid());
  EXPECT_EQ(shape.rank(), 9U);
  EXPECT_EQ(shape.dims().size(), Shape::kMaxRank);
  EXPECT_EQ(to_string(shape), "[1, 2, 3, 4, 5, 6, 7, 8, ...]");
}

TEST(Tensor, ShapesAreWrittenAsInPython) {
  EXPECT_EQ(to_string(Shape()), "[]");
  EXPECT_EQ(to_string(Shape{7}), "[7]");
  EXPECT_EQ(to_string(Shape{2, -1, 416}), "[2, -1, 416]");
}

TEST(Tensor, RowBytesMultiplyDimensionsAndElementSize) {
  TensorSpec spec{.name = "x", .dtype = DataType::float16, .row_shape = Shape{3, 4}};
  EXPECT_EQ(spec.row_bytes(), 24U);
  spec.row_shape = Shape();
  EXPECT_EQ(spec.row_bytes(), 2U);
  spec.row_shape = Shape{0, 4};
  EXPECT_TRUE(spec.has_known_shape());
  EXPECT_EQ(spec.row_bytes(), 0U);
}

TEST(Tensor, UnknownDimensionsHaveNoBytes) {
  const TensorSpec spec{.name = "y", .dtype = DataType::float32, .row_shape = Shape{3, -1}};
  EXPECT_FALSE(spec.has_known_shape());
  EXPECT_EQ(spec.row_bytes(), 0U);
}

}  // namespace
}  // namespace dynbatch
