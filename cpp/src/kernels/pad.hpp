// Rows of requests into a batch, padded, and back: pure functions on bytes, for any axis of the batch. They
// allocate nothing and may run on any number of threads, on rows of their own each.
#pragma once

#include <array>
#include <cstddef>

#include <dynbatch/tensor.hpp>

namespace dynbatch {

/// One element of any dtype as bytes, and how to repeat. `bytes` also stand where a mode has nothing to
/// repeat: along an axis of size 0.
struct PadValue {
  std::array<std::byte, 8> bytes{};
  PadMode mode = PadMode::constant;
};

/// The element of `type` nearest to `number`; of two equally near ones the even one, as NumPy rounds. A
/// finite number beyond the range of `type` gives its largest or lowest finite element. NaN gives 0 in an
/// integer; an infinity is kept by a float and is the largest or lowest integer. A boolean is number != 0.
PadValue pad_value(double number, DataType type, PadMode mode) noexcept;

/// Puts `source`, rows of a request, into a batch. Both shapes are whole (batch axis included) and of equal
/// rank. Along `batch_axis` the source takes the rows [first_row, first_row + source_shape[batch_axis]) of
/// the target; along every other axis it stands first and is not longer than the target, and the rest of
/// those rows is filled as `pad` says (constant; edge = repeat what is last along that axis; first = repeat
/// what is first). Other rows of the target are not touched. Elements have 1, 2, 4 or 8 bytes; neither memory
/// needs to be aligned, and they do not overlap.
void place_rows(std::byte* target, const Shape& target_shape, std::size_t batch_axis,
                std::size_t first_row, const std::byte* source, const Shape& source_shape,
                std::size_t element_bytes, const PadValue& pad) noexcept;

/// The inverse: copies the rows [first_row, first_row + target_shape[batch_axis]) of `source`, of which
/// `target` is the corner, to `target`.
void cut_rows(std::byte* target, const Shape& target_shape, const std::byte* source,
              const Shape& source_shape, std::size_t batch_axis, std::size_t first_row,
              std::size_t element_bytes) noexcept;

}  // namespace dynbatch
