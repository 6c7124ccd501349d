// Payload arena: bounded memory for the inputs of requests that wait to be gathered. Pieces of any size are
// taken and given back in any order; neighbours that are free become one piece again, so that sizes come and
// go without leaving holes that nobody can use for long.
//
// First fit over a list of the free pieces, the latest first, with the size of each piece at both of its ends
// (boundary tags, Knuth 2.5). Not thread-safe: lives under the runtime's lock, or the queue's owner.
// The bytes of a piece belong to whoever took it, from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/pages.hpp"

namespace dynbatch {

class PayloadArena {
 public:
  static constexpr std::size_t kAlignment = 64;  // of pieces, and what each costs beside its bytes

  PayloadArena() = default;
  /// Throws Error(model) if the system refuses. At least kAlignment * 2 bytes.
  explicit PayloadArena(std::size_t size_bytes);

  /// At least `size_bytes` bytes; null if no free piece is that large. Never throws.
  std::byte* acquire(std::size_t size_bytes) noexcept;
  void release(std::byte* taken) noexcept;

  /// What a piece takes of the arena.
  static constexpr std::size_t piece_bytes(std::size_t size_bytes) noexcept {
    return (size_bytes + (size_bytes == 0 ? 1 : 0) + 2 * kAlignment - 1) / kAlignment * kAlignment;
  }
  /// The largest piece that an arena without any piece taken has.
  std::size_t largest_piece() const noexcept { return largest_; }
  std::size_t used_bytes() const noexcept { return used_; }
  /// The most that was in use since the last call.
  std::size_t take_peak_bytes() noexcept { return std::exchange(peak_, used_); }
  std::size_t total_bytes() const noexcept { return pages_.size_bytes(); }
  std::size_t resident_bytes() const noexcept { return pages_.resident_bytes(); }
  /// Gives the pages inside free pieces back that were in use. Returns their bytes.
  std::size_t give_back() noexcept;
  /// Walks all pieces.
  bool invariants_hold() const noexcept;

 private:
  /// Stands in front of each piece, and takes one alignment.
  struct alignas(kAlignment) Piece {
    std::size_t bytes = 0;           // with this head
    std::size_t previous_bytes = 0;  // of the piece in front; 0: none
    bool free = false;
    Piece* next_free = nullptr;
    Piece* previous_free = nullptr;
  };
  static_assert(sizeof(Piece) == kAlignment);

  Piece* piece_at(std::byte* address) const noexcept { return reinterpret_cast<Piece*>(address); }
  std::byte* end() const noexcept { return pages_.data() + bytes_; }
  Piece* behind(Piece* piece) const noexcept;
  std::size_t offset_of(const Piece* piece) const noexcept {
    return static_cast<std::size_t>(reinterpret_cast<const std::byte*>(piece) - pages_.data());
  }
  void make_whole() noexcept;
  void link(Piece* piece) noexcept;
  void unlink(Piece* piece) noexcept;
  void split(Piece* piece, std::size_t bytes) noexcept;
  void join_with_next(Piece* piece) noexcept;

  Pages pages_;
  std::size_t bytes_ = 0;  // used for pieces: whole alignments
  std::size_t largest_ = 0;
  std::size_t used_ = 0;
  std::size_t peak_ = 0;     // of used_
  std::size_t touched_ = 0;  // nobody has used what is behind it
  Piece* free_ = nullptr;
};

}  // namespace dynbatch
