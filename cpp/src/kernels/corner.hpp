// The corner that the rows of a request take of a batch's rows, as nested loops over bytes: what place_rows,
// cut_rows and write_mask have in common.
#pragma once

#include <array>
#include <cstddef>

#include <dynbatch/tensor.hpp>

#include "kernels/fill.hpp"

namespace dynbatch {

/// Axes whose bytes follow each other in both the rows and the batch are one here, so that what can be moved
/// at once is.
struct Corner {
  struct Axis {
    std::size_t count;         // how many the rows have along it
    std::size_t whole;         // how many the batch has
    std::size_t rows_stride;   // bytes from one to the next in the rows
    std::size_t batch_stride;  // ... and in the batch
    bool is_padded;            // the rows end before the batch does; never along the batch axis
  };
  static constexpr std::size_t kNone = Shape::kMaxRank;

  // Innermost first; along that one both strides are the same. Unset beyond `depth`: to clear them would
  // cost small rows more than to copy them does.
  std::array<Axis, Shape::kMaxRank> axes;
  std::size_t depth = 0;            // axes in use, at least one
  std::size_t batch_level = kNone;  // the batch axis among them, if other rows stand beside ours
  std::size_t first_byte = 0;       // where the corner begins in the batch
};

/// Both shapes are whole and of equal rank; `rows` has the rows [first_row, first_row + rows[batch_axis]) of
/// the batch. Where `repeats`, padding is a copy of slabs along one axis: a padded axis stays alone.
Corner corner_of(const Shape& rows, const Shape& batch, std::size_t batch_axis,
                 std::size_t first_row, std::size_t element_bytes, bool repeats) noexcept;

/// Calls move(batch, rows, bytes) for each run of bytes that lie together and behind(level, batch) once
/// for each padded axis of each slab, inner axes first. `Rows` is a pointer, or an offset if there are none.
template <class Byte, class Rows, class Move, class Behind>
void for_each_run(const Corner& corner, std::size_t level, Byte* batch, Rows rows, const Move& move,
                  const Behind& behind) noexcept {
  const Corner::Axis& axis = corner.axes[level];
  if (level == 0) {
    move(batch, rows, axis.count * axis.batch_stride);
  } else {
    const Corner::Axis& inner = corner.axes[level - 1];
    for (std::size_t i = 0; i < axis.count; ++i) {
      if (level == 1) {  // what most runs are: without a call
        move(batch + i * axis.batch_stride, rows + i * axis.rows_stride,
             inner.count * inner.batch_stride);
        if (inner.is_padded) behind(0, batch + i * axis.batch_stride);
      } else {
        for_each_run(corner, level - 1, batch + i * axis.batch_stride, rows + i * axis.rows_stride,
                     move, behind);
      }
    }
  }
  if (axis.is_padded) behind(level, batch);
}

/// Fills what the batch has along a padded axis behind the rows that start at `slab`, in our rows alone.
void fill_behind(const Corner& corner, std::size_t level, std::byte* slab,
                 const Pattern& pattern) noexcept;
/// The same with copies of the last or the first of what the rows have along the axis, which is not nothing.
void repeat_behind(const Corner& corner, std::size_t level, std::byte* slab, bool last) noexcept;

}  // namespace dynbatch
