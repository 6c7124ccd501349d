// Inputs that the runtime makes out of the rows of another one: Triton's batch inputs, masks and lengths.
// Pure functions; they allocate nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <dynbatch/tensor.hpp>

namespace dynbatch {

/// Shape of the batch input `made` (element_count ... item_shape_flatten) for requests of these whole shapes
/// (batch axis first, ranks equal, at least one).
Shape batch_input_shape(Made made, std::span<const Shape> requests) noexcept;

/// Writes it. `type` is int32, int64 or float32. int32 holds counts up to 2^31 - 1, which the caller sees to;
/// float32 is exact up to 2^24. Counts are those of requests, with the batch axis; item shapes are those of
/// items. max_element_count_as_shape: only its length tells something; contents are zero.
void write_batch_input(Made made, DataType type, std::span<const Shape> requests,
                       std::byte* target) noexcept;

/// Mask rows: 1 inside the corner `source_shape` of the target's rows, 0 in the rest of these rows. Shapes
/// are whole, of equal rank; rows and axes as for place_rows. Any type.
void write_mask(std::byte* target, const Shape& target_shape, std::size_t batch_axis,
                std::size_t first_row, const Shape& source_shape, DataType type) noexcept;

/// One number a row. Any type, in the manner of pad_value().
void write_lengths(std::byte* target, DataType type, std::size_t rows,
                   std::int64_t length) noexcept;

}  // namespace dynbatch
