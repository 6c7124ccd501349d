// Filling memory with what repeats: one element, or any piece.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace dynbatch {

/// An element of 1, 2, 4 or 8 bytes, repeated to eight bytes: how often a fill writes it does not matter then.
class Pattern {
 public:
  Pattern(const std::array<std::byte, 8>& element, std::size_t element_bytes) noexcept;

  /// Writes `bytes` bytes, a multiple of the element's; `target` has any alignment.
  void fill(std::byte* target, std::size_t bytes) const noexcept;

 private:
  std::uint64_t eight_bytes_ = 0;
};

/// Writes `piece`, which does not overlap the target, again and again until `bytes` are full. `bytes` is a
/// multiple of `piece_bytes`.
void repeat(std::byte* target, std::size_t bytes, const std::byte* piece,
            std::size_t piece_bytes) noexcept;

}  // namespace dynbatch
