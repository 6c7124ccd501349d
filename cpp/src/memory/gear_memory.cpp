#include "memory/gear_memory.hpp"

#include <string>
#include <utility>

#include <dynbatch/error.hpp>

namespace dynbatch {
namespace {

std::size_t add(std::size_t a, std::size_t b) {
  std::size_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) throw Error(ErrorCode::model, "gear memory overflows");
  return sum;
}

std::size_t multiply(std::size_t a, std::size_t b) {
  std::size_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) {
    throw Error(ErrorCode::model, "gear memory overflows: " + std::to_string(a) + " x " +
                                      std::to_string(b) + " bytes; use a smaller max_batch_size");
  }
  return product;
}

std::size_t align(std::size_t bytes) {
  return add(bytes, kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

}  // namespace

BlockLayout::BlockLayout(const std::vector<TensorSpec>& tensors, std::size_t block_rows)
    : rows(block_rows) {
  for (const TensorSpec& tensor : tensors) {
    if (tensor.shared || !tensor.has_known_shape()) {
      row_bytes.push_back(0);
      offsets.push_back(kNowhere);
      continue;
    }
    row_bytes.push_back(tensor.row_bytes());
    offsets.push_back(block_bytes);
    block_bytes = add(block_bytes, align(multiply(row_bytes.back(), rows)));
  }
}

std::size_t BlockLayout::touched_bytes(std::size_t batch_rows) const noexcept {
  std::size_t bytes = 0;
  for (const std::size_t size : row_bytes) bytes += size * batch_rows;
  return bytes;
}

GearMemory::GearMemory(BlockLayout layout, std::size_t count)
    : layout_(std::move(layout)), count_(count), pages_(multiply(layout_.block_bytes, count)) {}

std::size_t GearMemory::give_back(std::size_t block, std::size_t first_row,
                                  std::size_t end_row) noexcept {
  std::size_t bytes = 0;
  for (std::size_t tensor = 0; tensor < layout_.offsets.size(); ++tensor) {
    const std::byte* const first = row(block, tensor, first_row);
    if (first == nullptr) continue;
    bytes += pages_.give_back(static_cast<std::size_t>(first - pages_.data()),
                              (end_row - first_row) * layout_.row_bytes[tensor]);
  }
  return bytes;
}

std::vector<std::vector<std::byte*>> GearMemory::slots() const {
  std::vector<std::vector<std::byte*>> slots(count_);
  for (std::size_t block = 0; block < count_; ++block) {
    for (std::size_t tensor = 0; tensor < layout_.offsets.size(); ++tensor) {
      slots[block].push_back(row(block, tensor, 0));
    }
  }
  return slots;
}

}  // namespace dynbatch
