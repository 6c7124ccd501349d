// OutputLayout: where, in an output of a batch whose rows differ in shape, each request finds its part.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <dynbatch/tensor.hpp>

namespace dynbatch {

struct OutputLayout {
  /// How long an axis of a request's own part is: (the size of the dimension * numerator + offset) /
  /// denominator, rounded down. Offset denominator - 1 rounds up; strides, windows and pools of
  /// convolutions give others, such as (width + 3) / 8.
  struct Trim {
    int dimension = TensorSpec::kStatic;  // kStatic: as long as in the batch
    std::int64_t numerator = 1;
    std::int64_t denominator = 1;
    std::int64_t offset = 0;
    bool operator==(const Trim&) const = default;

    std::int64_t length(std::span<const std::int64_t> sizes) const noexcept {
      const std::int64_t scaled = sizes[static_cast<std::size_t>(dimension)] * numerator + offset;
      return std::max<std::int64_t>(scaled, 0) / denominator;
    }
  };

  bool shared = false;  // no batch axis: each request gets all of it
  std::size_t batch_axis = 0;
  std::size_t rows_per_row = 1;             // k consecutive rows for each row of the batch
  std::optional<std::size_t> scattered_as;  // flat; a request's part has the shape of this input
  std::vector<Trim> trims;                  // per axis of the whole output

  bool operator==(const OutputLayout&) const = default;
};

/// The shape of the part of a request of `rows` rows, given that of the whole output.
inline Shape own_shape(const OutputLayout& layout, const Shape& whole, std::size_t rows,
                       std::span<const std::int64_t> sizes) noexcept {
  if (layout.shared) return whole;
  Shape own;
  for (std::size_t axis = 0; axis < whole.rank(); ++axis) {
    if (axis == layout.batch_axis) {
      own.push_back(static_cast<std::int64_t>(rows * layout.rows_per_row));
    } else if (axis < layout.trims.size() && layout.trims[axis].dimension != TensorSpec::kStatic) {
      own.push_back(layout.trims[axis].length(sizes));
    } else {
      own.push_back(whole[axis]);
    }
  }
  return own;
}

}  // namespace dynbatch
