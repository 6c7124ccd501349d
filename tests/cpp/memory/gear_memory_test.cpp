#include "memory/gear_memory.hpp"

#include <gmock/gmock.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include <dynbatch/error.hpp>

namespace dynbatch {
namespace {

using ::testing::HasSubstr;

std::vector<TensorSpec> bytes_and_floats() {
  return {{.name = "bytes", .dtype = DataType::uint8, .row_shape = Shape{27}},
          {.name = "shared", .dtype = DataType::float32, .row_shape = Shape{4}, .shared = true},
          {.name = "floats", .dtype = DataType::float32, .row_shape = Shape{3}},
          {.name = "unknown", .dtype = DataType::float32, .row_shape = Shape{-1}}};
}

TEST(GearMemory, TensorsStartAtAlignedOffsets) {
  const BlockLayout layout(bytes_and_floats(), 5);
  EXPECT_EQ(layout.offsets[0], 0U);
  EXPECT_EQ(layout.offsets[2], 192U);  // 5 x 27 = 135 bytes, aligned
  EXPECT_EQ(layout.block_bytes, 256U);
}

TEST(GearMemory, SharedAndUnknownTensorsTakeNoPlace) {
  const GearMemory memory(BlockLayout(bytes_and_floats(), 2), 1);
  EXPECT_EQ(memory.row(0, 1, 0), nullptr);
  EXPECT_EQ(memory.row(0, 3, 0), nullptr);
  EXPECT_EQ(memory.layout().row_bytes[1], 0U);
}

TEST(GearMemory, TouchedBytesAreThoseOfTheRows) {
  const BlockLayout layout(bytes_and_floats(), 8);
  EXPECT_EQ(layout.touched_bytes(3), 3U * (27U + 12U));
}

TEST(GearMemory, RowsStandBehindEachOther) {
  const GearMemory memory(BlockLayout(bytes_and_floats(), 4), 2);
  EXPECT_EQ(memory.row(1, 0, 3) - memory.row(1, 0, 0), 3 * 27);
  EXPECT_EQ(memory.row(1, 2, 1) - memory.row(1, 2, 0), 12);
}

TEST(GearMemory, BlocksAreAlignedAndApart) {
  const GearMemory memory(BlockLayout(bytes_and_floats(), 4), 3);
  EXPECT_EQ(memory.total_bytes(), 3 * memory.layout().block_bytes);
  for (std::size_t block = 0; block < 3; ++block) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.row(block, 0, 0)) % kTensorAlignment, 0U);
    std::memset(memory.row(block, 0, 0), static_cast<int>(block + 1), memory.layout().block_bytes);
  }
  for (std::size_t block = 0; block < 3; ++block) {
    EXPECT_EQ(static_cast<std::size_t>(*memory.row(block, 2, 3)), block + 1);
  }
}

TEST(GearMemory, SlotsTellRowZeroOfEveryTensor) {
  const GearMemory memory(BlockLayout(bytes_and_floats(), 4), 2);
  const auto slots = memory.slots();
  ASSERT_EQ(slots.size(), 2U);
  ASSERT_EQ(slots[1].size(), 4U);
  EXPECT_EQ(slots[1][2], memory.row(1, 2, 0));
  EXPECT_EQ(slots[1][1], nullptr);
}

TEST(GearMemory, PagesBecomeResidentWhenTheyAreTouched) {
  const std::vector<TensorSpec> large = {
      {.name = "x", .dtype = DataType::uint8, .row_shape = Shape{1 << 20}}};
  const GearMemory memory(BlockLayout(large, 8), 2);
  EXPECT_EQ(memory.resident_bytes(), 0U);
  std::memset(memory.row(1, 0, 0), 1, 1 << 20);
  EXPECT_GE(memory.resident_bytes(), std::size_t{1} << 20);
  EXPECT_LT(memory.resident_bytes(), memory.total_bytes());
}

TEST(GearMemory, LayoutBeyondTheAddressSpaceIsAnError) {
  const std::vector<TensorSpec> huge = {
      {.name = "x", .dtype = DataType::uint8, .row_shape = Shape{INT64_MAX}}};
  try {
    const BlockLayout layout(huge, 8);
    FAIL() << "got a block of " << layout.block_bytes << " bytes";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::model);
    EXPECT_THAT(error.what(), HasSubstr("max_batch_size"));
  }
}

TEST(GearMemory, MemoryThatTheSystemRefusesIsAnError) {
  const std::vector<TensorSpec> huge = {
      {.name = "x", .dtype = DataType::uint8, .row_shape = Shape{std::int64_t{1} << 60}}};
  EXPECT_THROW(GearMemory(BlockLayout(huge, 1), 1), Error);
}

TEST(GearMemory, ModelsWithoutBatchedBytesNeedNone) {
  const GearMemory memory(BlockLayout({{.name = "x", .row_shape = Shape{0}}}, 4), 3);
  EXPECT_EQ(memory.total_bytes(), 0U);
  EXPECT_EQ(memory.resident_bytes(), 0U);
}

TEST(GearMemory, GivesBackTheWholePagesOfRowsThatAreNotNeeded) {
  constexpr std::size_t kPage = 4096;
  constexpr auto kRow = static_cast<std::int64_t>(kPage);
  GearMemory memory(BlockLayout({{.name = "a", .dtype = DataType::uint8, .row_shape = {kRow}},
                                 {.name = "b", .dtype = DataType::uint8, .row_shape = {kRow}}},
                                8),
                    2);
  for (std::size_t block = 0; block < 2; ++block) {
    for (std::size_t tensor = 0; tensor < 2; ++tensor) {
      std::memset(memory.row(block, tensor, 0), 7, 8 * kPage);
    }
  }
  EXPECT_EQ(memory.give_back(1, 3, 7), 8 * kPage);
  EXPECT_EQ(memory.resident_bytes(), (32 - 8) * kPage);
  EXPECT_EQ(*memory.row(1, 0, 2), std::byte{7});
  EXPECT_EQ(*memory.row(1, 1, 7), std::byte{7});
  EXPECT_EQ(*memory.row(0, 0, 5), std::byte{7});
  EXPECT_EQ(*memory.row(1, 0, 5), std::byte{0});
}

TEST(GearMemory, KeepsPagesThatOtherRowsShare) {
  GearMemory memory(BlockLayout({{.name = "a", .dtype = DataType::uint8, .row_shape = {100}}}, 8),
                    1);
  std::memset(memory.row(0, 0, 0), 7, 800);
  EXPECT_EQ(memory.give_back(0, 1, 8), 0U);
  EXPECT_EQ(*memory.row(0, 0, 7), std::byte{7});
}

}  // namespace
}  // namespace dynbatch
