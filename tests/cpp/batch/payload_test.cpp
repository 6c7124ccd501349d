#include "batch/payload.hpp"

#include <gmock/gmock.h>

#include <array>
#include <cstdint>
#include <vector>

namespace dynbatch {
namespace {

using ::testing::ElementsAre;

class PayloadTest : public ::testing::Test {
 protected:
  std::vector<float> tensor(std::size_t input) const {
    const auto* const data = reinterpret_cast<const float*>(payload_tensor(bytes(), input));
    return {data, data + elements_of(payload_item(bytes(), input).shape)};
  }
  std::byte* bytes() { return reinterpret_cast<std::byte*>(memory_.data()); }
  const std::byte* bytes() const { return reinterpret_cast<const std::byte*>(memory_.data()); }

  const std::array<float, 6> x_ = {1, 2, 3, 4, 5, 6};
  std::array<std::uint64_t, 256> memory_{};
};

TEST_F(PayloadTest, TellsShapesAndHoldsTheRowsOfAPart) {
  ModelSpec spec;
  spec.inputs = {{.name = "a", .row_shape = Shape{2}}, {.name = "b", .row_shape = Shape{}}};
  const std::array<InputView, 2> views = {InputView{x_.data(), DataType::float32, Shape{3, 2}},
                                          InputView{x_.data(), DataType::float32, Shape{3}}};
  write_payload(spec, bytes(), views, 1, 2);
  EXPECT_EQ(payload_item(bytes(), 0).shape, (Shape{2, 2}));
  EXPECT_THAT(tensor(0), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(tensor(1), ElementsAre(2, 3));
}

TEST_F(PayloadTest, CutsRowsAlongTheirBatchAxis) {
  ModelSpec spec;
  spec.inputs = {{.name = "a", .row_shape = Shape{2}, .batch_axis = 1}};
  const InputView view{x_.data(), DataType::float32, Shape{2, 3}};
  write_payload(spec, bytes(), {&view, 1}, 1, 2);
  EXPECT_EQ(payload_item(bytes(), 0).shape, (Shape{2, 2}));
  EXPECT_THAT(tensor(0), ElementsAre(2, 3, 5, 6));
}

TEST_F(PayloadTest, SharedInputsAndThoseLeftOutTakeNoPlace) {
  ModelSpec spec;
  spec.inputs = {{.name = "a", .row_shape = Shape{2}},
                 {.name = "shared", .row_shape = Shape{2}, .shared = true},
                 {.name = "mask", .row_shape = Shape{2}, .made = Made::mask}};
  const std::array<InputView, 3> views = {InputView{x_.data(), DataType::float32, Shape{1, 2}},
                                          InputView{x_.data(), DataType::float32, Shape{2}},
                                          InputView{}};
  write_payload(spec, bytes(), views, 0, 1);
  EXPECT_TRUE(payload_item(bytes(), 0).given());
  EXPECT_FALSE(payload_item(bytes(), 1).given());
  EXPECT_FALSE(payload_item(bytes(), 2).given());
}

TEST_F(PayloadTest, RowsWithoutElementsAreGiven) {
  ModelSpec spec;
  spec.inputs = {{.name = "a", .row_shape = Shape{0}}};
  const InputView view{nullptr, DataType::float32, Shape{2, 0}};
  write_payload(spec, bytes(), {&view, 1}, 0, 2);
  EXPECT_TRUE(payload_item(bytes(), 0).given());
  EXPECT_EQ(payload_item(bytes(), 0).shape, (Shape{2, 0}));
}

TEST_F(PayloadTest, HeadBytesHoldWhatItemsAndAlignmentCost) {
  ModelSpec spec;
  std::vector<InputView> views;
  for (int i = 0; i < 5; ++i) {
    spec.inputs.push_back({.name = "x", .dtype = DataType::uint8, .row_shape = Shape{1}});
    views.push_back({x_.data(), DataType::uint8, Shape{1, 1}});
  }
  write_payload(spec, bytes(), views, 0, 1);
  const std::size_t end = payload_item(bytes(), 4).offset + 1;
  EXPECT_LE(end, payload_head_bytes(5) + 5);
  EXPECT_EQ(payload_item(bytes(), 4).offset % kPayloadAlignment, 0U);
}

}  // namespace
}  // namespace dynbatch
