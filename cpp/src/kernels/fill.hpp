// Filling memory with what repeats: one element, or any piece.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace dynbatch {

/// An element of 1, 2, 4 or 8 bytes, repeated to eight, so that fills need not know its size.
class Pattern {
 public:
  Pattern(const std::array<std::byte, 8>& element, std::size_t element_bytes) noexcept;

  /// Writes `bytes` bytes, a multiple of the element's; `target` has any alignment.
  void fill(std::byte* target, std::size_t bytes) const noexcept;

 private:
  std::uint64_t word_ = 0;
  bool is_one_byte_ = false;  // which is what memset is best at
};

/// Writes `piece`, which does not overlap the target, again and again until `bytes` are full. `bytes` is a
/// multiple of `piece_bytes`.
void repeat(std::byte* target, std::size_t bytes, const std::byte* piece,
            std::size_t piece_bytes) noexcept;

/// Of fill(): `bytes` of repeated words.
void fill_words(std::byte* target, std::size_t bytes, std::uint64_t word) noexcept;

inline Pattern::Pattern(const std::array<std::byte, 8>& element,
                        std::size_t element_bytes) noexcept {
  std::memcpy(&word_, element.data(), sizeof(word_));
  // By arithmetic: eight single bytes that are read back as one word would wait for their stores.
  if (element_bytes == 1) word_ = (word_ & 0xff) * 0x0101010101010101;
  if (element_bytes == 2) word_ = (word_ & 0xffff) * 0x0001000100010001;
  if (element_bytes == 4) word_ = (word_ & 0xffffffff) * 0x0000000100000001;
  is_one_byte_ = word_ == (word_ & 0xff) * 0x0101010101010101;
}

inline void Pattern::fill(std::byte* target, std::size_t bytes) const noexcept {
  if (bytes == 0) return;
  if (is_one_byte_) {
    std::memset(target, static_cast<int>(word_ & 0xff), bytes);
  } else {
    fill_words(target, bytes, word_);
  }
}

}  // namespace dynbatch
