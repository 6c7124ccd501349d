#pragma once
#include <cstddef>
#include <span>
#include <dynbatch/tensor.hpp>
namespace dynbatch {
Shape batch_input_shape(Made made, std::span<const Shape> requests) noexcept;
void write_batch_input(Made made, DataType type, std::span<const Shape> requests, std::byte* target) noexcept;
void write_mask(std::byte* target, const Shape& target_shape, std::size_t batch_axis, std::size_t first_row, const Shape& source_shape, DataType type) noexcept;
void write_lengths(std::byte* target, DataType type, std::size_t rows, std::int64_t length) noexcept;
}
