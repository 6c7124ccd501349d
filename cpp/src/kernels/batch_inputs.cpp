#include "kernels/batch_inputs.hpp"

#include <algorithm>
#include <cstring>

#include "base/assertions.hpp"
#include "kernels/corner.hpp"
#include "kernels/fill.hpp"
#include "kernels/pad.hpp"

namespace dynbatch {
namespace {

std::int64_t elements_of(const Shape& shape) noexcept {
  std::int64_t elements = 1;
  for (const std::int64_t dim : shape.dims()) elements *= dim;
  return elements;
}

std::int64_t most_elements(std::span<const Shape> requests) noexcept {
  std::int64_t most = 0;
  for (const Shape& request : requests) most = std::max(most, elements_of(request));
  return most;
}

std::int64_t items_of(std::span<const Shape> requests) noexcept {
  std::int64_t items = 0;
  for (const Shape& request : requests) items += request[0];
  return items;
}

/// Writes numbers one behind the other; the target may have any alignment.
template <class T>
class Numbers {
 public:
  explicit Numbers(std::byte* target) noexcept : at_(target) {}
  void add(std::int64_t number) noexcept {
    const auto value = static_cast<T>(number);
    std::memcpy(at_, &value, sizeof(value));
    at_ += sizeof(value);
  }

 private:
  std::byte* at_;
};

template <class T>
void write_item_shapes(std::span<const Shape> requests, Numbers<T> numbers) noexcept {
  for (const Shape& request : requests) {
    for (std::int64_t item = 0; item < request[0]; ++item) {
      for (const std::int64_t dim : request.dims().subspan(1)) numbers.add(dim);
    }
  }
}

template <class T>
void write_sums(std::span<const Shape> requests, Numbers<T> numbers) noexcept {
  std::int64_t sum = 0;  // here, not in T: a sum of float32 would lose more than its last rounding
  for (const Shape& request : requests) numbers.add(sum += elements_of(request));
}

template <class T>
void write_numbers(Made made, std::span<const Shape> requests, std::byte* target) noexcept {
  Numbers<T> numbers(target);
  switch (made) {
    case Made::element_count:
      for (const Shape& request : requests) numbers.add(elements_of(request));
      return;
    case Made::accumulated_element_count_with_zero: numbers.add(0); [[fallthrough]];
    case Made::accumulated_element_count: return write_sums(requests, numbers);
    case Made::max_element_count_as_shape:
      for (std::int64_t i = most_elements(requests); i > 0; --i) numbers.add(0);
      return;
    case Made::item_shape:
    case Made::item_shape_flatten: return write_item_shapes(requests, numbers);
    case Made::no:
    case Made::mask:
    case Made::length: break;
  }
  DYNBATCH_ASSERT(!"a batch input");
}

}  // namespace

Shape batch_input_shape(Made made, std::span<const Shape> requests) noexcept {
  DYNBATCH_ASSERT(!requests.empty());
  const auto count = static_cast<std::int64_t>(requests.size());
  const auto item_rank = static_cast<std::int64_t>(requests.front().rank()) - 1;
  switch (made) {
    case Made::element_count:
    case Made::accumulated_element_count: return {count};
    case Made::accumulated_element_count_with_zero: return {count + 1};
    case Made::max_element_count_as_shape: return {most_elements(requests)};
    case Made::item_shape: return {items_of(requests), item_rank};
    case Made::item_shape_flatten: return {items_of(requests) * item_rank};
    case Made::no:
    case Made::mask:
    case Made::length: break;
  }
  DYNBATCH_ASSERT(!"a batch input");
  return {};
}

void write_batch_input(Made made, DataType type, std::span<const Shape> requests,
                       std::byte* target) noexcept {
  switch (type) {
    case DataType::int32: return write_numbers<std::int32_t>(made, requests, target);
    case DataType::int64: return write_numbers<std::int64_t>(made, requests, target);
    case DataType::float32: return write_numbers<float>(made, requests, target);
    default: DYNBATCH_ASSERT(!"int32, int64 or float32");
  }
}

void write_mask(std::byte* target, const Shape& target_shape, std::size_t batch_axis,
                std::size_t first_row, const Shape& source_shape, DataType type) noexcept {
  const std::size_t element_bytes = size_of(type);
  const Corner corner =
      corner_of(source_shape, target_shape, batch_axis, first_row, element_bytes, false);
  const Pattern ones(pad_value(1.0, type, PadMode::constant).bytes, element_bytes);
  const Pattern zeros({}, element_bytes);
  for_each_run(
      corner, corner.depth - 1, target + corner.first_byte, std::size_t{0},
      [&](std::byte* run, std::size_t, std::size_t bytes) noexcept { ones.fill(run, bytes); },
      [&](std::size_t level, std::byte* slab) noexcept {
        fill_behind(corner, level, slab, zeros);
      });
}

void write_lengths(std::byte* target, DataType type, std::size_t rows,
                   std::int64_t length) noexcept {
  const std::size_t element_bytes = size_of(type);
  const PadValue number = pad_value(static_cast<double>(length), type, PadMode::constant);
  Pattern(number.bytes, element_bytes).fill(target, rows * element_bytes);
}

}  // namespace dynbatch
