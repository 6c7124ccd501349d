#include "batch/shared_inputs.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace dynbatch {
namespace {

using Shared = SharedInputs<StdPlatform>;

const std::vector<TensorSpec> kSpecs = {
    {.name = "x", .dtype = DataType::float32, .row_shape = Shape{1}},
    {.name = "a", .dtype = DataType::float32, .row_shape = Shape{2}, .shared = true},
    {.name = "empty", .dtype = DataType::float32, .row_shape = Shape{0}, .shared = true}};

struct Inputs {
  float x = 0.0F;
  std::array<float, 2> a{};
  std::vector<InputView> views() const {
    return {{&x, DataType::float32, Shape{1, 1}},
            {a.data(), DataType::float32, Shape{2}},
            {nullptr, DataType::float32, Shape{0}}};
  }
};

TEST(SharedInputs, EqualBytesHaveOneKey) {
  Shared shared;
  const Inputs first{.x = 1.0F, .a = {1.0F, 2.0F}};
  const Inputs second{.x = 9.0F, .a = {1.0F, 2.0F}};
  EXPECT_EQ(shared.acquire(kSpecs, first.views()), shared.acquire(kSpecs, second.views()));
  EXPECT_EQ(shared.size(), 1U);
}

TEST(SharedInputs, DifferentBytesHaveDifferentKeys) {
  Shared shared;
  const Inputs first{.a = {1.0F, 2.0F}};
  const Inputs second{.a = {1.0F, 3.0F}};
  EXPECT_NE(shared.acquire(kSpecs, first.views()), shared.acquire(kSpecs, second.views()));
  EXPECT_EQ(shared.size(), 2U);
}

TEST(SharedInputs, ZerosOfBothSignsDiffer) {
  Shared shared;
  const Inputs plus{.a = {0.0F, 0.0F}};
  const Inputs minus{.a = {-0.0F, 0.0F}};
  EXPECT_NE(shared.acquire(kSpecs, plus.views()), shared.acquire(kSpecs, minus.views()));
}

TEST(SharedInputs, OlderKeysAreFoundBehindNewerOnes) {
  Shared shared;
  const Inputs first{.a = {1.0F, 2.0F}};
  const Inputs second{.a = {3.0F, 4.0F}};
  auto* const entry = shared.acquire(kSpecs, first.views());
  shared.acquire(kSpecs, second.views());
  EXPECT_EQ(shared.acquire(kSpecs, first.views()), entry);
}

TEST(SharedInputs, BytesAreKeptApartFromTheCaller) {
  Shared shared;
  Inputs inputs{.a = {1.0F, 2.0F}};
  auto* const entry = shared.acquire(kSpecs, inputs.views());
  inputs.a = {5.0F, 5.0F};
  EXPECT_EQ(reinterpret_cast<const float*>(entry->tensors[1].data())[1], 2.0F);
}

TEST(SharedInputs, EmptyTensorsHaveAnAddress) {
  Shared shared;
  EXPECT_NE(shared.acquire(kSpecs, Inputs{}.views())->tensors[2].data(), nullptr);
}

TEST(SharedInputs, KeysGoWithTheirLastHolder) {
  Shared shared;
  const Inputs inputs{.a = {1.0F, 2.0F}};
  auto* const entry = shared.acquire(kSpecs, inputs.views());
  shared.acquire(kSpecs, inputs.views());
  shared.release(entry);
  EXPECT_EQ(shared.size(), 1U);
  shared.release(entry);
  EXPECT_EQ(shared.size(), 0U);
}

}  // namespace
}  // namespace dynbatch
