// Gear memory: the batch blocks that callers write and the model reads, and the layout of both kinds
// of blocks. Every gear overlays the same block, since a batch of n rows touches its first n rows.
//
// Owned by the runtime. Addresses never change; who may touch which rows is the queue's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <dynbatch/tensor.hpp>

#include "base/pages.hpp"

namespace dynbatch {

inline constexpr std::size_t kTensorAlignment = 64;

/// Where each tensor lies in a block of `rows` rows. Tensors of unknown shape, and shared inputs,
/// take no place: their offset is kNowhere.
struct BlockLayout {
  static constexpr std::size_t kNowhere = SIZE_MAX;

  BlockLayout() = default;
  /// Throws Error(model) if the block would not fit the address space.
  BlockLayout(const std::vector<TensorSpec>& tensors, std::size_t block_rows);

  std::size_t rows = 0;
  std::size_t block_bytes = 0;         // aligned, so that blocks can stand side by side
  std::vector<std::size_t> row_bytes;  // per tensor; 0 for those without a place
  std::vector<std::size_t> offsets;    // per tensor

  /// Bytes that a batch of `batch_rows` rows touches.
  std::size_t touched_bytes(std::size_t batch_rows) const noexcept;
};

/// `count` blocks of one layout.
class GearMemory {
 public:
  GearMemory() = default;
  GearMemory(BlockLayout layout, std::size_t count);

  const BlockLayout& layout() const noexcept { return layout_; }
  std::size_t count() const noexcept { return count_; }
  std::size_t total_bytes() const noexcept { return pages_.size_bytes(); }
  std::size_t resident_bytes() const noexcept { return pages_.resident_bytes(); }

  /// Row `row` of tensor `tensor` in block `block`; null if the tensor has no place.
  std::byte* row(std::size_t block, std::size_t tensor, std::size_t row) const noexcept {
    const std::size_t offset = layout_.offsets[tensor];
    if (offset == BlockLayout::kNowhere) return nullptr;
    return pages_.data() + block * layout_.block_bytes + offset + row * layout_.row_bytes[tensor];
  }
  /// Gives back the whole pages of rows [first_row, end_row) of a block; by whoever has the block to
  /// itself as far as these rows go. Returns their bytes.
  std::size_t give_back(std::size_t block, std::size_t first_row, std::size_t end_row) noexcept;
  /// Row 0 of every tensor, for each block: what Executor::prepare() gets.
  std::vector<std::vector<std::byte*>> slots() const;

 private:
  BlockLayout layout_;
  std::size_t count_ = 0;
  Pages pages_;
};

}  // namespace dynbatch
