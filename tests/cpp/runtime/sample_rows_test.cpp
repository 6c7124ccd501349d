// The values that rows have at load where nobody gives examples.
#include "runtime/sample_rows.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <span>
#include <vector>

namespace dynbatch {
namespace {

std::vector<float> made_up(std::size_t elements) {
  std::vector<std::byte> bytes(elements * sizeof(float));
  std::mt19937 random(kSampleSeed);
  make_up(bytes, DataType::float32, random);
  const auto* const values = reinterpret_cast<const float*>(bytes.data());
  return {values, values + elements};
}

TEST(SampleRows, LargeTensorsRepeatWhatIsDrawn) {
  constexpr std::size_t kDrawn = (std::size_t{1} << 20) - 3;
  constexpr std::size_t kBehind = 1000;
  const std::vector<float> values = made_up(2 * kDrawn + kBehind);
  const std::span<const float> drawn = std::span(values).first(kDrawn);
  EXPECT_NE(drawn.front(), drawn.back());
  EXPECT_TRUE(std::ranges::equal(drawn, std::span(values).subspan(kDrawn, kDrawn)));
  EXPECT_TRUE(std::ranges::equal(drawn.first(kBehind), std::span(values).last(kBehind)));
}

TEST(SampleRows, TensorOfNoElementsIsLeftAlone) { EXPECT_THAT(made_up(0), ::testing::IsEmpty()); }

}  // namespace
}  // namespace dynbatch
