#include "kernels/pad.hpp"

#include <cstring>

#include "kernels/corner.hpp"
#include "kernels/fill.hpp"
#include "kernels/lines.hpp"

namespace dynbatch {
namespace {

/// memcpy forbids null even where there is nothing to copy, and an empty tensor may have no address.
void copy(std::byte* target, const std::byte* source, std::size_t bytes) noexcept {
  if (bytes != 0) std::memcpy(target, source, bytes);
}

void place_lines(std::byte* target, const std::byte* source, const Lines& lines,
                 const Pattern& pattern) noexcept {
  for (std::size_t i = 0; i < lines.count; ++i) {
    copy(target, source, lines.rows_bytes);
    pattern.fill(target + lines.rows_bytes, lines.batch_bytes - lines.rows_bytes);
    target += lines.batch_bytes;
    source += lines.rows_bytes;
  }
}

void cut_lines(std::byte* target, const std::byte* source, const Lines& lines) noexcept {
  for (std::size_t i = 0; i < lines.count; ++i) {
    copy(target, source, lines.rows_bytes);
    target += lines.rows_bytes;
    source += lines.batch_bytes;
  }
}

}  // namespace

void place_rows(std::byte* target, const Shape& target_shape, std::size_t batch_axis,
                std::size_t first_row, const std::byte* source, const Shape& source_shape,
                std::size_t element_bytes, const PadValue& pad) noexcept {
  const bool repeats = pad.mode != PadMode::constant;
  const Pattern pattern(pad.bytes, element_bytes);
  if (!repeats) {
    const auto lines = lines_of(source_shape, target_shape, batch_axis, first_row, element_bytes);
    if (lines) return place_lines(target + lines->first_byte, source, *lines, pattern);
  }
  const Corner corner =
      corner_of(source_shape, target_shape, batch_axis, first_row, element_bytes, repeats);
  const auto behind = [&](std::size_t level, std::byte* slab) noexcept {
    if (repeats && corner.axes[level].count != 0) {
      repeat_behind(corner, level, slab, pad.mode == PadMode::edge);
    } else {
      fill_behind(corner, level, slab, pattern);
    }
  };
  for_each_run(corner, corner.depth - 1, target + corner.first_byte, source, copy, behind);
}

void cut_rows(std::byte* target, const Shape& target_shape, const std::byte* source,
              const Shape& source_shape, std::size_t batch_axis, std::size_t first_row,
              std::size_t element_bytes) noexcept {
  const auto lines = lines_of(target_shape, source_shape, batch_axis, first_row, element_bytes);
  if (lines) return cut_lines(target, source + lines->first_byte, *lines);
  const Corner corner =
      corner_of(target_shape, source_shape, batch_axis, first_row, element_bytes, false);
  const auto copy_back = [](const std::byte* batch, std::byte* rows, std::size_t bytes) noexcept {
    copy(rows, batch, bytes);
  };
  for_each_run(corner, corner.depth - 1, source + corner.first_byte, target, copy_back,
               [](std::size_t, const std::byte*) noexcept {});
}

}  // namespace dynbatch
