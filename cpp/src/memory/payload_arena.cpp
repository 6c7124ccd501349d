#include "memory/payload_arena.hpp"

#include <algorithm>
#include <new>

#include "base/assertions.hpp"

namespace dynbatch {
namespace {

constexpr std::size_t rounded(std::size_t bytes) noexcept {
  constexpr std::size_t kUnit = PayloadArena::kAlignment;
  return (bytes + kUnit - 1) / kUnit * kUnit;
}

}  // namespace

PayloadArena::PayloadArena(std::size_t size_bytes)
    : pages_(rounded(size_bytes)), bytes_(pages_.size_bytes() / kAlignment * kAlignment) {
  DYNBATCH_ASSERT(bytes_ >= 2 * kAlignment);
  largest_ = bytes_ - kAlignment;
  make_whole();
}

void PayloadArena::make_whole() noexcept {
  auto* const whole = new (pages_.data()) Piece{.bytes = bytes_, .free = true};
  free_ = whole;
}

auto PayloadArena::behind(Piece* piece) const noexcept -> Piece* {
  std::byte* const address = reinterpret_cast<std::byte*>(piece) + piece->bytes;
  return address == end() ? nullptr : piece_at(address);
}

std::byte* PayloadArena::acquire(std::size_t size_bytes) noexcept {
  if (size_bytes > largest_) return nullptr;
  const std::size_t bytes = piece_bytes(size_bytes);
  Piece* piece = free_;
  while (piece != nullptr && piece->bytes < bytes) piece = piece->next_free;
  if (piece == nullptr) return nullptr;
  unlink(piece);
  split(piece, bytes);
  piece->free = false;
  used_ += piece->bytes;
  peak_ = std::max(peak_, used_);
  touched_ = std::max(touched_, offset_of(piece) + piece->bytes);
  return reinterpret_cast<std::byte*>(piece) + kAlignment;
}

void PayloadArena::release(std::byte* taken) noexcept {
  Piece* piece = piece_at(taken - kAlignment);
  DYNBATCH_DEBUG_ASSERT(!piece->free);
  used_ -= piece->bytes;
  join_with_next(piece);
  if (piece->previous_bytes > 0) {
    Piece* const previous = piece_at(reinterpret_cast<std::byte*>(piece) - piece->previous_bytes);
    if (previous->free) {
      unlink(previous);
      previous->bytes += piece->bytes;
      if (Piece* const next = behind(previous)) next->previous_bytes = previous->bytes;
      piece = previous;
    }
  }
  piece->free = true;
  link(piece);
}

/// Takes the piece behind into this one, if it is free.
void PayloadArena::join_with_next(Piece* piece) noexcept {
  Piece* const next = behind(piece);
  if (next == nullptr || !next->free) return;
  unlink(next);
  piece->bytes += next->bytes;
  if (Piece* const after = behind(piece)) after->previous_bytes = piece->bytes;
}

/// Leaves `bytes` to the piece, and makes what is beyond a free one.
void PayloadArena::split(Piece* piece, std::size_t bytes) noexcept {
  const std::size_t rest = piece->bytes - bytes;
  if (rest < 2 * kAlignment) return;
  piece->bytes = bytes;
  auto* const tail = new (reinterpret_cast<std::byte*>(piece) + bytes)
      Piece{.bytes = rest, .previous_bytes = bytes, .free = true};
  if (Piece* const after = behind(tail)) after->previous_bytes = rest;
  link(tail);
}

void PayloadArena::link(Piece* piece) noexcept {
  piece->previous_free = nullptr;
  piece->next_free = free_;
  if (free_ != nullptr) free_->previous_free = piece;
  free_ = piece;
}

void PayloadArena::unlink(Piece* piece) noexcept {
  (piece->previous_free == nullptr ? free_ : piece->previous_free->next_free) = piece->next_free;
  if (piece->next_free != nullptr) piece->next_free->previous_free = piece->previous_free;
}

std::size_t PayloadArena::give_back() noexcept {
  std::size_t bytes = 0;
  std::size_t used_up_to = 0;
  for (Piece* piece = piece_at(pages_.data()); piece != nullptr && offset_of(piece) < touched_;
       piece = behind(piece)) {
    const std::size_t inside = offset_of(piece) + kAlignment;
    const std::size_t end = std::min(offset_of(piece) + piece->bytes, touched_);
    if (!piece->free) {
      used_up_to = end;
    } else if (inside < end) {
      bytes += pages_.give_back(inside, end - inside);
    }
  }
  touched_ = used_up_to;
  return bytes;
}

bool PayloadArena::invariants_hold() const noexcept {
  std::size_t listed = 0;
  for (Piece* piece = free_; piece != nullptr; piece = piece->next_free) {
    if (!piece->free) return false;
    ++listed;
  }
  std::size_t previous = 0;
  std::size_t used = 0;
  bool after_free = false;
  for (Piece* piece = bytes_ == 0 ? nullptr : piece_at(pages_.data()); piece != nullptr;
       piece = behind(piece)) {
    if (piece->previous_bytes != previous || piece->bytes % kAlignment != 0) return false;
    if (piece->free && after_free) return false;  // would be one piece
    if (piece->free) {
      if (listed == 0) return false;
      --listed;
    } else {
      used += piece->bytes;
    }
    after_free = piece->free;
    previous = piece->bytes;
  }
  return listed == 0 && used == used_;
}

}  // namespace dynbatch
