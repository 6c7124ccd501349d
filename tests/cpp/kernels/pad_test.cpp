#include "kernels/pad.hpp"

#include <gtest/gtest.h>

#include <algorithm>
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
using testing::reference_place_rows;

constexpr std::uint64_t kCases = 4000;
constexpr std::size_t kMargin = 16;  // bytes on both sides of a tensor, which nobody may touch

std::size_t bytes_of(const Shape& shape, const Case& c) {
  return elements_of(shape) * c.element_bytes;
}

void place(std::byte* target, const std::byte* source, const Case& c) {
  place_rows(target, c.target, c.batch_axis, c.first_row, source, c.source, c.element_bytes, c.pad);
}

void cut(std::byte* target, const std::byte* batch, const Case& c) {
  cut_rows(target, c.source, batch, c.target, c.batch_axis, c.first_row, c.element_bytes);
}

/// The whole memory around the batch, after the kernel or the reference was there.
template <class Place>
Bytes placed(const Case& c, std::uint64_t seed, const Place& place_case) {
  const std::size_t shift = seed % 8;  // neither tensor needs an aligned address
  const Bytes source = random_bytes(shift + bytes_of(c.source, c), seed);
  Bytes memory = random_bytes(2 * kMargin + bytes_of(c.target, c), seed + 1);
  place_case(memory.data() + kMargin - shift, source.data() + shift, c);
  return memory;
}

TEST(Pad, PlacesAsTheReferenceDoesAndTouchesNothingElse) {
  std::size_t with_elements = 0;
  for (std::uint64_t seed = 0; seed < kCases; ++seed) {
    const Case c = random_case(seed);
    ASSERT_EQ(placed(c, seed, place), placed(c, seed, reference_place_rows))
        << "seed " << seed << ": " << ::testing::PrintToString(c);
    if (elements_of(c.source) != 0) ++with_elements;
  }
  EXPECT_GT(with_elements, kCases / 3);  // the cases say something
}

TEST(Pad, CuttingGivesBackWhatWasPlaced) {
  for (std::uint64_t seed = 0; seed < kCases; ++seed) {
    const Case c = random_case(seed);
    const std::size_t shift = seed % 8;
    const Bytes source = random_bytes(bytes_of(c.source, c), seed);
    Bytes batch = random_bytes(shift + bytes_of(c.target, c), seed + 1);
    place(batch.data() + shift, source.data(), c);
    Bytes memory(2 * kMargin + source.size(), std::byte{0x77});
    Bytes expected = memory;
    std::copy(source.begin(), source.end(), expected.begin() + kMargin);
    cut(memory.data() + kMargin, batch.data() + shift, c);
    ASSERT_EQ(memory, expected) << "seed " << seed << ": " << ::testing::PrintToString(c);
  }
}

TEST(Pad, PlacesMegabytes) {
  const PadValue odd{.bytes = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}}};
  for (const PadMode mode : {PadMode::constant, PadMode::edge, PadMode::first}) {
    const PadValue pad{.bytes = odd.bytes, .mode = mode};
    for (const Case& c : {Case{{3, 1, 65'537}, {8, 2, 100'003}, 0, 4, 4, pad},
                          Case{{1'001, 3, 77}, {1'003, 5, 79}, 1, 1, 2, pad}}) {
      EXPECT_EQ(placed(c, 3, place), placed(c, 3, reference_place_rows))
          << ::testing::PrintToString(c);
    }
  }
}

TEST(Pad, EmptyTensorsMayHaveNoAddress) {
  Case c{{1, 0}, {2, 3}, 0, 1, 2, pad_value(7, DataType::uint16, PadMode::edge)};
  std::vector<std::uint16_t> batch(6, 1);
  place(reinterpret_cast<std::byte*>(batch.data()), nullptr, c);
  EXPECT_EQ(batch, (std::vector<std::uint16_t>{1, 1, 1, 7, 7, 7}));  // nothing to repeat
  cut(nullptr, reinterpret_cast<const std::byte*>(batch.data()), c);
  c.source = c.target = {0, 3};
  c.first_row = 0;
  place(nullptr, nullptr, c);
}

std::vector<std::int32_t> placed_in_zeros(const Case& c, std::vector<std::int32_t> source) {
  std::vector<std::int32_t> batch(elements_of(c.target));
  place(reinterpret_cast<std::byte*>(batch.data()),
        reinterpret_cast<const std::byte*>(source.data()), c);
  return batch;
}

TEST(Pad, ModesByHand) {
  Case c{{1, 2, 2}, {2, 3, 4}, 0, 1, 4, pad_value(9, DataType::int32, PadMode::constant)};
  std::vector<std::int32_t> constant(12), edge(12), first(12);
  constant.insert(constant.end(), {1, 2, 9, 9, 3, 4, 9, 9, 9, 9, 9, 9});
  edge.insert(edge.end(), {1, 2, 2, 2, 3, 4, 4, 4, 3, 4, 4, 4});
  first.insert(first.end(), {1, 2, 1, 1, 3, 4, 3, 3, 1, 2, 1, 1});
  EXPECT_EQ(placed_in_zeros(c, {1, 2, 3, 4}), constant);
  c.pad.mode = PadMode::edge;
  EXPECT_EQ(placed_in_zeros(c, {1, 2, 3, 4}), edge);
  c.pad.mode = PadMode::first;
  EXPECT_EQ(placed_in_zeros(c, {1, 2, 3, 4}), first);
}

TEST(Pad, RowsInsideAPaddedAxis) {
  // Time first: what is behind the last step of our row stands between the steps of the other one.
  const Case c{{2, 1}, {4, 2}, 1, 1, 4, pad_value(9, DataType::int32, PadMode::constant)};
  EXPECT_EQ(placed_in_zeros(c, {1, 2}), (std::vector<std::int32_t>{0, 1, 0, 2, 0, 9, 0, 9}));
}

}  // namespace
}  // namespace dynbatch
