// The kernels again, an element at a time and without a thought of speed; and random cases for both.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <random>
#include <vector>

#include <dynbatch/tensor.hpp>

#include "kernels/pad.hpp"

namespace dynbatch {

inline void PrintTo(const Shape& shape, std::ostream* out) { *out << to_string(shape); }

namespace testing {

using Bytes = std::vector<std::byte>;
using Index = std::array<std::int64_t, Shape::kMaxRank>;

inline std::size_t elements_of(const Shape& shape) {
  std::size_t elements = 1;
  for (const std::int64_t dim : shape.dims()) elements *= static_cast<std::size_t>(dim);
  return elements;
}

inline std::size_t position(const Shape& shape, const Index& index) {
  std::int64_t at = 0;
  for (std::size_t axis = 0; axis < shape.rank(); ++axis) at = at * shape[axis] + index[axis];
  return static_cast<std::size_t>(at);
}

/// Calls visit(index) for every element of a shape.
template <class Visit>
void for_each_index(const Shape& shape, const Visit& visit) {
  const std::size_t elements = elements_of(shape);
  for (std::size_t element = 0; element < elements; ++element) {
    Index index{};
    auto rest = static_cast<std::int64_t>(element);
    for (std::size_t axis = shape.rank(); axis-- > 0;) {
      index[axis] = rest % shape[axis];
      rest /= shape[axis];
    }
    visit(index);
  }
}

struct Case {
  Shape source;  // the rows, whole
  Shape target;  // the batch, whole
  std::size_t batch_axis = 0;
  std::size_t first_row = 0;
  std::size_t element_bytes = 1;
  PadValue pad;
};

inline void PrintTo(const Case& c, std::ostream* out) {
  *out << "rows " << to_string(c.source) << " from " << c.first_row << " on of "
       << to_string(c.target) << ", batch axis " << c.batch_axis << ", elements of "
       << c.element_bytes << " bytes, mode " << static_cast<int>(c.pad.mode);
}

/// Calls visit(index in the batch, index in the rows, whether the rows have it) for all elements of our rows.
template <class Visit>
void for_each_of_rows(const Case& c, const Visit& visit) {
  for_each_index(c.target, [&](const Index& in_batch) {
    Index in_rows = in_batch;
    in_rows[c.batch_axis] -= static_cast<std::int64_t>(c.first_row);
    const std::int64_t row = in_rows[c.batch_axis];
    if (row < 0 || row >= c.source[c.batch_axis]) return;
    bool inside = true;
    for (std::size_t axis = 0; axis < c.source.rank(); ++axis) {
      inside = inside && in_rows[axis] < c.source[axis];
    }
    visit(in_batch, in_rows, inside);
  });
}

inline void reference_place_rows(std::byte* target, const std::byte* source, const Case& c) {
  for_each_of_rows(c, [&](const Index& in_batch, Index in_rows, bool inside) {
    const std::byte* from = c.pad.bytes.data();
    if (inside || (c.pad.mode != PadMode::constant && elements_of(c.source) != 0)) {
      for (std::size_t axis = 0; axis < c.source.rank(); ++axis) {
        if (in_rows[axis] < c.source[axis]) continue;
        in_rows[axis] = c.pad.mode == PadMode::edge ? c.source[axis] - 1 : 0;
      }
      from = source + position(c.source, in_rows) * c.element_bytes;
    }
    std::memcpy(target + position(c.target, in_batch) * c.element_bytes, from, c.element_bytes);
  });
}

/// Sizes that make a difference to kernels: none, one, odd ones.
inline Case random_case(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };
  Case c;
  c.element_bytes = std::size_t{1} << below(4);
  const std::size_t rank = 1 + below(Shape::kMaxRank);
  c.batch_axis = below(rank);
  // Deep tensors get small dimensions; a zero is rare enough that most cases have elements.
  const std::size_t largest = rank <= 2 ? 70 : rank <= 4 ? 9 : 4;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const std::size_t whole = below(20) == 0 ? 0 : 1 + below(largest);
    const std::size_t own = below(2) == 0 ? whole : below(whole + 1);
    c.target.push_back(static_cast<std::int64_t>(whole));
    c.source.push_back(static_cast<std::int64_t>(own));
    if (axis == c.batch_axis) c.first_row = below(whole - own + 1);
  }
  c.pad.mode = static_cast<PadMode>(below(3));
  const bool one_byte = below(2) == 0;
  for (std::byte& byte : c.pad.bytes) byte = static_cast<std::byte>(one_byte ? 0x5a : random());
  return c;
}

inline Bytes random_bytes(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

}  // namespace testing
}  // namespace dynbatch
