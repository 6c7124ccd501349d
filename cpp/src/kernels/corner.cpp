#include "kernels/corner.hpp"

#include <cstring>

#include "base/assertions.hpp"

namespace dynbatch {
namespace {

/// What lies behind `count` of an axis, as runs of bytes: one, unless other rows stand between ours.
struct Behind {
  std::size_t begin = 0;
  std::size_t bytes = 0;  // to the end of the axis
  std::size_t run_bytes = 0;
  std::size_t run_stride = 0;
};

Behind behind(const Corner& corner, std::size_t level) noexcept {
  const Corner::Axis& axis = corner.axes[level];
  const std::size_t bytes = (axis.whole - axis.count) * axis.batch_stride;
  const std::size_t begin = axis.count * axis.batch_stride;
  if (corner.batch_level >= level) return {begin, bytes, bytes, bytes};
  const Corner::Axis& batch = corner.axes[corner.batch_level];
  return {begin, bytes, batch.count * batch.batch_stride, batch.whole * batch.batch_stride};
}

/// Whether the outer axis only says how often the inner one follows itself.
bool are_one(const Corner::Axis& outer, const Corner::Axis& inner, bool repeats) noexcept {
  return inner.count == inner.whole && !(outer.is_padded && repeats);
}

}  // namespace

Corner corner_of(const Shape& rows, const Shape& batch, std::size_t batch_axis,
                 std::size_t first_row, std::size_t element_bytes, bool repeats) noexcept {
  DYNBATCH_DEBUG_ASSERT(rows.valid() && rows.rank() == batch.rank() && batch_axis < batch.rank());
  Corner corner;
  std::size_t rows_stride = element_bytes;
  std::size_t batch_stride = element_bytes;
  for (std::size_t axis = batch.rank(); axis-- > 0;) {
    const auto count = static_cast<std::size_t>(rows[axis]);
    const auto whole = static_cast<std::size_t>(batch[axis]);
    const bool is_batch = axis == batch_axis;
    DYNBATCH_DEBUG_ASSERT(count + (is_batch ? first_row : 0) <= whole);
    if (is_batch) corner.first_byte = first_row * batch_stride;
    if (count != whole || corner.depth != 0) {
      const Corner::Axis added{count, whole, rows_stride, batch_stride,
                               count != whole && !is_batch};
      Corner::Axis* const inner = corner.depth == 0 ? nullptr : &corner.axes[corner.depth - 1];
      if (inner != nullptr && are_one(added, *inner, repeats)) {
        inner->count *= count;
        inner->whole *= whole;
        inner->is_padded = added.is_padded;
      } else {
        corner.axes[corner.depth++] = added;
      }
      if (is_batch && count != whole) corner.batch_level = corner.depth - 1;
    }
    rows_stride *= count;
    batch_stride *= whole;
  }
  if (corner.depth == 0) corner.axes[corner.depth++] = {1, 1, rows_stride, batch_stride, false};
  return corner;
}

void fill_behind(const Corner& corner, std::size_t level, std::byte* slab,
                 const Pattern& pattern) noexcept {
  const Behind rest = behind(corner, level);
  for (std::size_t at = 0; at < rest.bytes; at += rest.run_stride) {
    pattern.fill(slab + rest.begin + at, rest.run_bytes);
  }
}

void repeat_behind(const Corner& corner, std::size_t level, std::byte* slab, bool last) noexcept {
  const Corner::Axis& axis = corner.axes[level];
  const Behind rest = behind(corner, level);
  const std::byte* const piece = slab + (last ? (axis.count - 1) * axis.batch_stride : 0);
  if (rest.run_bytes == rest.run_stride) {
    repeat(slab + rest.begin, rest.bytes, piece, axis.batch_stride);
    return;
  }
  for (std::size_t at = 0; at < rest.bytes; at += rest.run_stride) {
    std::memcpy(slab + rest.begin + at, piece + at % axis.batch_stride, rest.run_bytes);
  }
}

}  // namespace dynbatch
