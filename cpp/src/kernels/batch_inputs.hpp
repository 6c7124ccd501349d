// Stand-in, to be replaced by the one of the kernels' author: inputs that the runtime makes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <dynbatch/tensor.hpp>

namespace dynbatch {

Shape batch_input_shape(Made kind, std::span<const Shape> requests) noexcept;
void write_batch_input(Made kind, DataType dtype, std::span<const Shape> requests,
                       std::byte* target) noexcept;
void write_mask(std::byte* target, const Shape& target_shape, std::size_t batch_axis,
                std::size_t first_row, const Shape& source_shape, DataType dtype) noexcept;
void write_lengths(std::byte* target, DataType dtype, std::size_t rows,
                   std::int64_t length) noexcept;

}  // namespace dynbatch
