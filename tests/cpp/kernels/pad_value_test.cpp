#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "kernels/pad.hpp"

namespace dynbatch {
namespace {

template <class T>
T element(double number, DataType type) {
  const PadValue value = pad_value(number, type, PadMode::edge);
  EXPECT_EQ(value.mode, PadMode::edge);
  T read{};
  std::memcpy(&read, value.bytes.data(), sizeof(read));
  for (std::size_t at = sizeof(T); at < value.bytes.size(); ++at) {
    EXPECT_EQ(value.bytes[at], std::byte{0});
  }
  return read;
}

std::uint16_t half(double number) { return element<std::uint16_t>(number, DataType::float16); }
std::uint16_t brain(double number) { return element<std::uint16_t>(number, DataType::bfloat16); }

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(PadValue, IntegersAreRoundedToNearestAndEven) {
  EXPECT_EQ(element<std::int32_t>(2.5, DataType::int32), 2);
  EXPECT_EQ(element<std::int32_t>(3.5, DataType::int32), 4);
  EXPECT_EQ(element<std::int64_t>(-1.6, DataType::int64), -2);
  EXPECT_EQ(element<std::int8_t>(-100, DataType::int8), -100);
  EXPECT_EQ(element<std::uint16_t>(65'535, DataType::uint16), 65'535);
  EXPECT_EQ(element<std::uint32_t>(4'294'967'295, DataType::uint32), 4'294'967'295);
}

TEST(PadValue, IntegersSaturate) {
  EXPECT_EQ(element<std::uint8_t>(-3, DataType::uint8), 0);
  EXPECT_EQ(element<std::uint8_t>(255.4, DataType::uint8), 255);
  EXPECT_EQ(element<std::uint8_t>(1e9, DataType::uint8), 255);
  EXPECT_EQ(element<std::int8_t>(-1e9, DataType::int8), -128);
  EXPECT_EQ(element<std::int16_t>(kInfinity, DataType::int16), 32'767);
  EXPECT_EQ(element<std::int64_t>(9.3e18, DataType::int64), INT64_MAX);
  EXPECT_EQ(element<std::int64_t>(-kInfinity, DataType::int64), INT64_MIN);
  EXPECT_EQ(element<std::uint64_t>(1e20, DataType::uint64), UINT64_MAX);
  EXPECT_EQ(element<std::int32_t>(kNaN, DataType::int32), 0);
}

TEST(PadValue, BooleansAreZeroOrOne) {
  EXPECT_EQ(element<std::uint8_t>(0.0, DataType::boolean), 0);
  EXPECT_EQ(element<std::uint8_t>(0.25, DataType::boolean), 1);
  EXPECT_EQ(element<std::uint8_t>(-7, DataType::boolean), 1);
}

TEST(PadValue, HalvesAtTheirEdges) {
  EXPECT_EQ(half(0.0), 0x0000);
  EXPECT_EQ(half(-0.0), 0x8000);
  EXPECT_EQ(half(1.0), 0x3c00);
  EXPECT_EQ(half(-2.0), 0xc000);
  EXPECT_EQ(half(65'504), 0x7bff);
  EXPECT_EQ(half(65'519), 0x7bff);
  EXPECT_EQ(half(1e9), 0x7bff);   // not infinity
  EXPECT_EQ(half(-1e9), 0xfbff);  // what a mask of -1e9 wants to be
  EXPECT_EQ(half(kInfinity), 0x7c00);
  EXPECT_EQ(half(-kInfinity), 0xfc00);
  EXPECT_EQ(half(kNaN) & 0x7fff, 0x7e00);
  EXPECT_EQ(half(std::ldexp(1.0, -14)), 0x0400);            // smallest normal
  EXPECT_EQ(half(std::ldexp(1.0, -24)), 0x0001);            // smallest of all
  EXPECT_EQ(half(std::ldexp(1.0, -25)), 0x0000);            // half of it: to even
  EXPECT_EQ(half(std::ldexp(1.0 + 1e-9, -25)), 0x0001);     // not through a rounded float
  EXPECT_EQ(half(std::ldexp(1.0, -14) * 0.99999), 0x0400);  // carries out of the subnormals
  EXPECT_EQ(half(1.0 + std::ldexp(1.0, -11)), 0x3c00);      // ties to even
  EXPECT_EQ(half(1.0 + 3 * std::ldexp(1.0, -11)), 0x3c02);  // ... upwards
  EXPECT_EQ(half(2.0 - std::ldexp(1.0, -12)), 0x4000);      // carries into the exponent
}

TEST(PadValue, BrainFloatsAreTheUpperHalfOfRoundedFloats) {
  EXPECT_EQ(brain(1.0), 0x3f80);
  EXPECT_EQ(brain(-100.0), 0xc2c8);
  EXPECT_EQ(brain(1.0 + std::ldexp(1.0, -8)), 0x3f80);
  EXPECT_EQ(brain(1.0 + 3 * std::ldexp(1.0, -8)), 0x3f82);
  EXPECT_EQ(brain(3.4e38), 0x7f7f);
  EXPECT_EQ(brain(kInfinity), 0x7f80);
  EXPECT_EQ(brain(std::ldexp(1.0, -133)), 0x0001);
}

TEST(PadValue, EveryHalfComesBackAsItself) {
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const auto exponent = static_cast<int>(bits >> 10);
    const int mantissa = static_cast<int>(bits & 0x3ff) | (exponent == 0 ? 0 : 0x400);
    const double value = std::ldexp(mantissa, (exponent == 0 ? 1 : exponent) - 25);
    ASSERT_EQ(half(value), bits);
    ASSERT_EQ(half(-value), bits | 0x8000);
  }
}

TEST(PadValue, FloatsRoundAsTheCompilerDoes) {
  for (const double number : {0.0, -0.0, 1.0, 0.1, -1.0 / 3, 3.4028234e38, -1e-45, 1e-40, 1e-300,
                              1.17549435e-38, 16'777'217.0, 16'777'219.0, kInfinity}) {
    EXPECT_EQ(element<std::uint32_t>(number, DataType::float32),
              std::bit_cast<std::uint32_t>(static_cast<float>(number)))
        << number;
  }
  EXPECT_EQ(element<float>(-1e300, DataType::float32), std::numeric_limits<float>::lowest());
  EXPECT_TRUE(std::isnan(element<float>(kNaN, DataType::float32)));
  EXPECT_EQ(element<double>(-1e300, DataType::float64), -1e300);
}

}  // namespace
}  // namespace dynbatch
