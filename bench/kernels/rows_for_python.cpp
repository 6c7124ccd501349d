// The row kernels behind a C interface, so that one Python process times them and NumPy in turns. Each call
// does its work `repeats` times, as the core does it without Python in between.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include <dynbatch/tensor.hpp>

#include "kernels/pad.hpp"

namespace {

dynbatch::Shape shape_at(const std::int64_t* dims, std::size_t rank, std::size_t index) {
  return dynbatch::Shape(std::span<const std::int64_t>(dims + index * rank, rank));
}

std::vector<dynbatch::Shape> shapes_of(const std::int64_t* dims, std::size_t rank,
                                       std::size_t count) {
  std::vector<dynbatch::Shape> shapes;
  for (std::size_t i = 0; i < count; ++i) shapes.push_back(shape_at(dims, rank, i));
  return shapes;
}

}  // namespace

#define BENCH_EXPORT extern "C" __attribute__((visibility("default")))

/// Puts requests of one row each, of `rank` dimensions, into a batch padded with zeros.
BENCH_EXPORT void bench_place_rows(std::byte* target, const std::int64_t* target_dims,
                                   std::size_t rank, const std::byte* const* sources,
                                   const std::int64_t* source_dims, std::size_t count,
                                   std::size_t element_bytes, std::size_t repeats) {
  const dynbatch::Shape whole = shape_at(target_dims, rank, 0);
  const std::vector<dynbatch::Shape> shapes = shapes_of(source_dims, rank, count);
  for (std::size_t repeat = 0; repeat < repeats; ++repeat) {
    for (std::size_t i = 0; i < count; ++i)
      dynbatch::place_rows(target, whole, 0, i, sources[i], shapes[i], element_bytes,
                           dynbatch::PadValue{});
  }
}

/// The inverse: one row of each batch into its own array, without the padding.
BENCH_EXPORT void bench_cut_rows(std::byte* const* targets, const std::int64_t* target_dims,
                                 std::size_t rank, const std::byte* source,
                                 const std::int64_t* source_dims, std::size_t count,
                                 std::size_t element_bytes, std::size_t repeats) {
  const dynbatch::Shape whole = shape_at(source_dims, rank, 0);
  const std::vector<dynbatch::Shape> shapes = shapes_of(target_dims, rank, count);
  for (std::size_t repeat = 0; repeat < repeats; ++repeat) {
    for (std::size_t i = 0; i < count; ++i)
      dynbatch::cut_rows(targets[i], shapes[i], source, whole, 0, i, element_bytes);
  }
}

/// What both are held against: pieces of these bytes, one after the other, each from memory of its own.
BENCH_EXPORT void bench_copy(std::byte* target, const std::byte* const* sources,
                             const std::size_t* bytes, std::size_t count, std::size_t repeats) {
  for (std::size_t repeat = 0; repeat < repeats; ++repeat) {
    std::byte* at = target;
    for (std::size_t i = 0; i < count; ++i) {
      std::memcpy(at, sources[i], bytes[i]);
      at += bytes[i];
    }
    asm volatile("" : : "r"(target) : "memory");  // every copy is made
  }
}
