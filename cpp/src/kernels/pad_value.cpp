#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "kernels/pad.hpp"

namespace dynbatch {
namespace {

/// The bits of `number` in an IEEE format narrower than double.
std::uint64_t float_bits(double number, int mantissa_bits, int exponent_bits) noexcept {
  const std::uint64_t one = std::uint64_t{1} << mantissa_bits;
  const std::uint64_t infinity = ((std::uint64_t{1} << exponent_bits) - 1) << mantissa_bits;
  const std::uint64_t sign =
      std::signbit(number) ? std::uint64_t{1} << (mantissa_bits + exponent_bits) : 0;
  if (std::isnan(number)) return infinity | one >> 1;
  if (std::isinf(number)) return sign | infinity;
  if (number == 0.0) return sign;
  const int lowest_exponent = 2 - (1 << (exponent_bits - 1));  // of normal numbers
  const int exponent = std::max(std::ilogb(number), lowest_exponent);
  if (exponent > 1 - lowest_exponent) return sign | (infinity - 1);
  // How many of the smallest steps at this exponent: exact, and rounding up to the next exponent carries.
  const double steps = std::nearbyint(std::ldexp(std::abs(number), mantissa_bits - exponent));
  const auto biased = static_cast<std::uint64_t>(exponent - lowest_exponent);
  return sign |
         std::min((biased << mantissa_bits) + static_cast<std::uint64_t>(steps), infinity - 1);
}

template <class Integer>
std::uint64_t integer_bits(double number) noexcept {
  using Limits = std::numeric_limits<Integer>;
  if (std::isnan(number)) return 0;
  const double rounded = std::nearbyint(number);
  // As a double the largest integer may be one too large itself.
  if (rounded >= static_cast<double>(Limits::max()))
    return static_cast<std::uint64_t>(Limits::max());
  if (rounded <= static_cast<double>(Limits::min()))
    return static_cast<std::uint64_t>(Limits::min());
  return static_cast<std::uint64_t>(static_cast<Integer>(rounded));
}

std::uint64_t element_bits(double number, DataType type) noexcept {
  switch (type) {
    case DataType::float32: return float_bits(number, 23, 8);
    case DataType::float16: return float_bits(number, 10, 5);
    case DataType::bfloat16: return float_bits(number, 7, 8);
    case DataType::float64: return std::bit_cast<std::uint64_t>(number);
    case DataType::boolean: return number != 0.0 ? 1 : 0;
    case DataType::uint8: return integer_bits<std::uint8_t>(number);
    case DataType::int8: return integer_bits<std::int8_t>(number);
    case DataType::uint16: return integer_bits<std::uint16_t>(number);
    case DataType::int16: return integer_bits<std::int16_t>(number);
    case DataType::uint32: return integer_bits<std::uint32_t>(number);
    case DataType::int32: return integer_bits<std::int32_t>(number);
    case DataType::uint64: return integer_bits<std::uint64_t>(number);
    case DataType::int64: return integer_bits<std::int64_t>(number);
  }
  return 0;
}

}  // namespace

PadValue pad_value(double number, DataType type, PadMode mode) noexcept {
  static_assert(std::endian::native == std::endian::little,
                "an element is the low bytes of its bits");
  PadValue value{.mode = mode};
  const std::uint64_t bits = element_bits(number, type);
  std::memcpy(value.bytes.data(), &bits, size_of(type));
  return value;
}

}  // namespace dynbatch
