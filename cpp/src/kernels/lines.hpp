// The most frequent corner, worked out in a few nanoseconds: small rows are copied in less time than a
// Corner takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <dynbatch/tensor.hpp>

#include "base/assertions.hpp"

namespace dynbatch {

/// Lines that follow each other in the rows and in the batch, where they may be longer.
struct Lines {
  std::size_t count = 0;
  std::size_t rows_bytes = 0;   // of a line
  std::size_t batch_bytes = 0;  // ... in the batch
  std::size_t first_byte = 0;   // of ours in the batch
};

/// If the batch axis is 0 and the rows end before the batch does along one other axis at most. Shapes are
/// those of corner_of().
inline std::optional<Lines> lines_of(const Shape& rows, const Shape& batch, std::size_t batch_axis,
                                     std::size_t first_row, std::size_t element_bytes) noexcept {
  DYNBATCH_DEBUG_ASSERT(rows.valid() && rows.rank() == batch.rank() && rows.rank() != 0);
  if (batch_axis != 0) return std::nullopt;
  const auto size = [](std::int64_t dim) noexcept { return static_cast<std::size_t>(dim); };
  std::size_t axis = rows.rank() - 1;
  for (; axis > 0 && rows[axis] == batch[axis]; --axis) element_bytes *= size(rows[axis]);
  const std::size_t rows_bytes = element_bytes * size(rows[axis]);
  if (axis == 0) return Lines{1, rows_bytes, rows_bytes, first_row * element_bytes};
  const std::size_t batch_bytes = element_bytes * size(batch[axis]);
  std::size_t lines_a_row = 1;
  for (--axis; axis > 0; --axis) {
    if (rows[axis] != batch[axis]) return std::nullopt;
    lines_a_row *= size(rows[axis]);
  }
  return Lines{lines_a_row * size(rows[0]), rows_bytes, batch_bytes,
               first_row * lines_a_row * batch_bytes};
}

}  // namespace dynbatch
