#include "kernels/batch_inputs.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/pad.hpp"

namespace dynbatch {
namespace {

std::int64_t elements_of(const Shape& shape) noexcept {
  std::int64_t elements = 1;
  for (const std::int64_t dim : shape.dims()) elements *= dim;
  return elements;
}

void put(std::byte* target, DataType dtype, std::size_t index, std::int64_t value) noexcept {
  const std::size_t bytes = size_of(dtype);
  const PadValue number = pad_value(static_cast<double>(value), dtype, PadMode::constant);
  std::memcpy(target + index * bytes, number.bytes.data(), bytes);
}

}  // namespace

Shape batch_input_shape(Made kind, std::span<const Shape> requests) noexcept {
  const auto count = static_cast<std::int64_t>(requests.size());
  std::int64_t rows = 0;
  std::int64_t most = 0;
  for (const Shape& request : requests) {
    rows += request[0];
    most = std::max(most, elements_of(request));
  }
  const auto rank = static_cast<std::int64_t>(requests[0].rank()) - 1;
  switch (kind) {
    case Made::accumulated_element_count_with_zero: return {count + 1};
    case Made::max_element_count_as_shape: return {most};
    case Made::item_shape: return {rows, rank};
    case Made::item_shape_flatten: return {rows * rank};
    default: return {count};
  }
}

void write_batch_input(Made kind, DataType dtype, std::span<const Shape> requests,
                       std::byte* target) noexcept {
  std::int64_t sum = 0;
  std::size_t at = 0;
  if (kind == Made::accumulated_element_count_with_zero) put(target, dtype, at++, 0);
  for (const Shape& request : requests) {
    sum += elements_of(request);
    if (kind == Made::element_count) put(target, dtype, at++, elements_of(request));
    if (kind == Made::accumulated_element_count ||
        kind == Made::accumulated_element_count_with_zero)
      put(target, dtype, at++, sum);
    if (kind != Made::item_shape && kind != Made::item_shape_flatten) continue;
    for (std::int64_t row = 0; row < request[0]; ++row) {
      for (const std::int64_t dim : request.dims().subspan(1)) put(target, dtype, at++, dim);
    }
  }
}

void write_mask(std::byte* target, const Shape& target_shape, std::size_t batch_axis,
                std::size_t first_row, const Shape& source_shape, DataType dtype) noexcept {
  const std::size_t bytes = size_of(dtype);
  std::vector<std::byte> ones(static_cast<std::size_t>(elements_of(source_shape)) * bytes);
  for (std::size_t i = 0; i * bytes < ones.size(); ++i) put(ones.data(), dtype, i, 1);
  place_rows(target, target_shape, batch_axis, first_row, ones.data(), source_shape, bytes, {});
}

void write_lengths(std::byte* target, DataType dtype, std::size_t rows,
                   std::int64_t length) noexcept {
  for (std::size_t row = 0; row < rows; ++row) put(target, dtype, row, length);
}

}  // namespace dynbatch
