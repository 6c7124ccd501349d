// Stand-in, to be replaced by the one of the kernels' author: boxes of rows in larger tensors.
#pragma once

#include <array>
#include <cstddef>

#include <dynbatch/tensor.hpp>

namespace dynbatch {

struct PadValue {
  std::array<std::byte, 8> bytes{};
  PadMode mode = PadMode::constant;
};

PadValue pad_value(double value, DataType dtype, PadMode mode) noexcept;
void place_rows(std::byte* target, const Shape& target_shape, std::size_t batch_axis,
                std::size_t first_row, const std::byte* source, const Shape& source_shape,
                std::size_t element_bytes, const PadValue& pad) noexcept;
void cut_rows(std::byte* target, const Shape& target_shape, const std::byte* source,
              const Shape& source_shape, std::size_t batch_axis, std::size_t first_row,
              std::size_t element_bytes) noexcept;

}  // namespace dynbatch
