#include "kernels/fill.hpp"

#include <algorithm>
#include <cstring>

namespace dynbatch {
namespace {

constexpr std::uint64_t kEachByte = 0x0101010101010101;

/// GCC makes vector stores of it.
void fill_words(std::byte* target, std::size_t bytes, std::uint64_t word) noexcept {
  std::size_t at = 0;
  for (; at + sizeof(word) <= bytes; at += sizeof(word)) {
    std::memcpy(target + at, &word, sizeof(word));
  }
  std::memcpy(target + at, &word, bytes - at);
}

}  // namespace

Pattern::Pattern(const std::array<std::byte, 8>& element, std::size_t element_bytes) noexcept {
  std::array<std::byte, 8> repeated = element;
  for (std::size_t at = element_bytes; at < repeated.size(); ++at) {
    repeated[at] = repeated[at - element_bytes];
  }
  std::memcpy(&eight_bytes_, repeated.data(), repeated.size());
}

void Pattern::fill(std::byte* target, std::size_t bytes) const noexcept {
  if (bytes == 0) return;
  const std::uint64_t byte = eight_bytes_ & 0xff;
  if (eight_bytes_ == byte * kEachByte) {
    std::memset(target, static_cast<int>(byte), bytes);
  } else {
    fill_words(target, bytes, eight_bytes_);
  }
}

void repeat(std::byte* target, std::size_t bytes, const std::byte* piece,
            std::size_t piece_bytes) noexcept {
  if (bytes == 0) return;
  std::memcpy(target, piece, piece_bytes);
  // What is written already is the next piece: few large moves.
  for (std::size_t done = piece_bytes; done < bytes;) {
    const std::size_t next = std::min(done, bytes - done);
    std::memcpy(target + done, target, next);
    done += next;
  }
}

}  // namespace dynbatch
