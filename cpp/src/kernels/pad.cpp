#include "kernels/pad.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/batch_inputs.hpp"

namespace dynbatch {
namespace {

using Index = std::array<std::int64_t, Shape::kMaxRank>;

// Calls visit(index) for every element of `shape`, in order.
template <class Visit>
void for_each(const Shape& shape, Visit visit) noexcept {
  Index index{};
  for (const std::int64_t dim : shape.dims()) {
    if (dim <= 0) return;
  }
  for (;;) {
    visit(index);
    std::size_t axis = shape.rank();
    while (axis > 0) {
      --axis;
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
      if (axis == 0) return;
    }
    if (shape.rank() == 0) return;
  }
}

std::size_t offset(const Shape& shape, const Index& index) noexcept {
  std::size_t at = 0;
  for (std::size_t axis = 0; axis < shape.rank(); ++axis)
    at = at * static_cast<std::size_t>(shape[axis]) + static_cast<std::size_t>(index[axis]);
  return at;
}

template <class T>
PadValue value_of(T value, PadMode mode) noexcept {
  PadValue pad{.bytes = {}, .mode = mode};
  std::memcpy(pad.bytes.data(), &value, sizeof value);
  return pad;
}

}  // namespace

PadValue pad_value(double value, DataType dtype, PadMode mode) noexcept {
  switch (dtype) {
    case DataType::float32: return value_of(static_cast<float>(value), mode);
    case DataType::float64: return value_of(value, mode);
    default: return value_of(static_cast<std::int64_t>(value), mode);
  }
}

void place_rows(std::byte* target, const Shape& target_shape, std::size_t batch_axis,
                std::size_t first_row, const std::byte* source, const Shape& source_shape,
                std::size_t element_bytes, const PadValue& pad) noexcept {
  Shape box;
  for (std::size_t axis = 0; axis < target_shape.rank(); ++axis)
    box.push_back(axis == batch_axis ? source_shape[axis] : target_shape[axis]);
  for_each(box, [&](Index index) {
    Index from = index;
    bool inside = true;
    for (std::size_t axis = 0; axis < box.rank(); ++axis) {
      if (from[axis] < source_shape[axis]) continue;
      inside = inside && pad.mode != PadMode::constant;
      from[axis] = pad.mode == PadMode::edge ? source_shape[axis] - 1 : 0;
    }
    index[batch_axis] += static_cast<std::int64_t>(first_row);
    std::memcpy(target + offset(target_shape, index) * element_bytes,
                inside ? source + offset(source_shape, from) * element_bytes : pad.bytes.data(),
                element_bytes);
  });
}

void cut_rows(std::byte* target, const Shape& target_shape, const std::byte* source,
              const Shape& source_shape, std::size_t batch_axis, std::size_t first_row,
              std::size_t element_bytes) noexcept {
  for_each(target_shape, [&](const Index& index) {
    Index from = index;
    from[batch_axis] += static_cast<std::int64_t>(first_row);
    std::memcpy(target + offset(target_shape, index) * element_bytes,
                source + offset(source_shape, from) * element_bytes, element_bytes);
  });
}

}  // namespace dynbatch
