#include "kernels/batch_inputs.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "cpp/kernels/reference.hpp"

namespace dynbatch {
namespace {

using testing::Bytes;
using testing::Case;
using testing::elements_of;
using testing::random_bytes;
using testing::random_case;

using Numbers = std::vector<std::int64_t>;

/// Elements of one of the types that count, behind `bytes`.
Numbers numbers_in(const std::byte* bytes, DataType type, std::size_t count) {
  Numbers numbers;
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte* const at = bytes + i * size_of(type);
    const auto read = [&]<class T>(T value) {
      std::memcpy(&value, at, sizeof(value));
      numbers.push_back(static_cast<std::int64_t>(value));
    };
    if (type == DataType::int32) {
      read(std::int32_t{});
    } else if (type == DataType::int64) {
      read(std::int64_t{});
    } else {
      read(float{});
    }
  }
  return numbers;
}

/// What is written, in every type and at an odd address, after a check of what stands behind it.
void expect_batch_input(Made made, const std::vector<Shape>& requests, const Shape& shape,
                        const Numbers& expected) {
  ASSERT_EQ(batch_input_shape(made, requests), shape);
  ASSERT_EQ(elements_of(shape), expected.size());
  for (const DataType type : {DataType::int32, DataType::int64, DataType::float32}) {
    Bytes memory(1 + expected.size() * size_of(type) + 8, std::byte{0x77});
    write_batch_input(made, type, requests, memory.data() + 1);
    EXPECT_EQ(numbers_in(memory.data() + 1, type, expected.size()), expected) << name_of(type);
    EXPECT_EQ(Bytes(memory.end() - 8, memory.end()), Bytes(8, std::byte{0x77}));
  }
}

const std::vector<Shape> kMixed = {{2, 2, 3}, {1, 1, 4}, {1, 3, 1}};

TEST(BatchInputs, CountsAreThoseOfRequestsWithTheirBatchAxis) {
  expect_batch_input(Made::element_count, kMixed, {3}, {12, 4, 3});
  expect_batch_input(Made::accumulated_element_count, kMixed, {3}, {12, 16, 19});
  expect_batch_input(Made::accumulated_element_count_with_zero, kMixed, {4}, {0, 12, 16, 19});
}

TEST(BatchInputs, LargestCountIsTheLengthOfZeros) {
  expect_batch_input(Made::max_element_count_as_shape, kMixed, {12}, Numbers(12));
}

TEST(BatchInputs, ItemShapesAreThoseOfItemsWithoutTheirBatchAxis) {
  expect_batch_input(Made::item_shape, kMixed, {4, 2}, {2, 3, 2, 3, 1, 4, 3, 1});
  expect_batch_input(Made::item_shape_flatten, kMixed, {8}, {2, 3, 2, 3, 1, 4, 3, 1});
}

TEST(BatchInputs, DocumentedPairAccumulates) {
  expect_batch_input(Made::accumulated_element_count, {{1, 3}, {1, 4}, {1, 5}}, {3}, {3, 7, 12});
}

TEST(BatchInputs, LengthsOfSingleItems) {
  struct Row {
    Numbers counts, sums;
    std::int64_t most;
  };
  const std::vector<Row> rows = {
      {{5, 1, 7, 2}, {5, 6, 13, 15}, 7}, {{3, 3, 3, 3}, {3, 6, 9, 12}, 3}, {{9}, {9}, 9}};
  for (const auto& [counts, sums, most] : rows) {
    std::vector<Shape> requests;
    for (const std::int64_t count : counts) requests.push_back({1, count});
    const auto size = static_cast<std::int64_t>(counts.size());
    Numbers with_zero = {0};
    with_zero.insert(with_zero.end(), sums.begin(), sums.end());
    expect_batch_input(Made::element_count, requests, {size}, counts);
    expect_batch_input(Made::accumulated_element_count, requests, {size}, sums);
    expect_batch_input(Made::accumulated_element_count_with_zero, requests, {size + 1}, with_zero);
    expect_batch_input(Made::max_element_count_as_shape, requests, {most},
                       Numbers(static_cast<std::size_t>(most)));
    expect_batch_input(Made::item_shape, requests, {size, 1}, counts);
    expect_batch_input(Made::item_shape_flatten, requests, {size}, counts);
  }
}

TEST(BatchInputs, EmptyRowsCountNothing) {
  const std::vector<Shape> requests = {{1, 0}, {2, 3}};
  expect_batch_input(Made::accumulated_element_count, requests, {2}, {0, 6});
  expect_batch_input(Made::item_shape, requests, {3, 1}, {0, 3, 3});
  expect_batch_input(Made::max_element_count_as_shape, {{1, 0}}, {0}, {});
}

TEST(BatchInputs, FloatSumsAreRoundedOnce) {
  // 2^24 + 1 + 1: adding in float32 would stay at 2^24.
  const std::vector<Shape> requests = {{1, 16'777'216}, {1, 1}, {1, 1}};
  Bytes memory(3 * sizeof(float));
  write_batch_input(Made::accumulated_element_count, DataType::float32, requests, memory.data());
  EXPECT_EQ(numbers_in(memory.data(), DataType::float32, 3),
            (Numbers{16'777'216, 16'777'216, 16'777'218}));
}

TEST(BatchInputs, MaskMarksTheCornerAndTouchesNothingElse) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const Case c = random_case(seed);
    const std::vector<DataType> types = {DataType::boolean, DataType::float16, DataType::int32,
                                         DataType::float32, DataType::int64};
    const DataType type = types[seed % types.size()];
    const std::size_t shift = seed % 8;
    Bytes memory = random_bytes(16 + elements_of(c.target) * size_of(type), seed);
    Bytes expected = memory;
    write_mask(memory.data() + shift, c.target, c.batch_axis, c.first_row, c.source, type);
    testing::for_each_of_rows(c, [&](const testing::Index& at, const testing::Index&, bool in) {
      const PadValue number = pad_value(in ? 1.0 : 0.0, type, PadMode::constant);
      std::memcpy(expected.data() + shift + testing::position(c.target, at) * size_of(type),
                  number.bytes.data(), size_of(type));
    });
    ASSERT_EQ(memory, expected) << "seed " << seed << ": " << ::testing::PrintToString(c);
  }
}

TEST(BatchInputs, MaskOfALineOfText) {
  std::vector<std::int64_t> mask(8, 7);
  write_mask(reinterpret_cast<std::byte*>(mask.data()), {2, 4}, 0, 1, {1, 3}, DataType::int64);
  EXPECT_EQ(mask, (std::vector<std::int64_t>{7, 7, 7, 7, 1, 1, 1, 0}));
}

TEST(BatchInputs, LengthsStandOncePerRow) {
  for (const DataType type : {DataType::int32, DataType::int64, DataType::float32}) {
    for (const std::size_t rows : {0, 1, 5}) {
      Bytes memory(6 * size_of(type));
      write_lengths(memory.data(), type, rows, 300);
      Numbers expected(6);
      std::fill_n(expected.begin(), rows, 300);
      EXPECT_EQ(numbers_in(memory.data(), type, 6), expected) << name_of(type);
    }
  }
}

}  // namespace
}  // namespace dynbatch
