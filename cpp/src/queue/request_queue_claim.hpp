// RequestQueue, part 1 of 2: claiming, publishing, opening and sealing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "queue/request_queue.hpp"

namespace dynbatch {

template <class P, class Part>
RequestQueue<P, Part>::RequestQueue(std::uint32_t blocks, std::uint32_t rows, bool exclusive,
                                    std::uint32_t rotating)
    : rows_(rows),
      exclusive_(exclusive),
      rotating_(std::min(rotating, blocks)),
      blocks_(blocks),
      last_opened_(rotating_ - 1),
      free_count_(blocks) {
  DYNBATCH_ASSERT(blocks > 0 && rows > 0 && rows <= kMaxRows && rotating_ > 0);
  for (Block& block : blocks_) block.parts = std::make_unique<Part[]>(rows);
  order_.reserve(blocks);
}

template <class P, class Part>
Claim RequestQueue<P, Part>::claim(std::uint32_t rows, bool hold) noexcept {
  // acquire: pairs with unsafe_open_next: publishes the block's fields of its new life.
  const std::uint32_t index = open_.load(std::memory_order_acquire);
  if (index == kNone) return {};
  Block& block = blocks_[index];
  // acquire: pairs with open_block: whoever sees the unsealed word sees the block's fields.
  std::uint64_t word = block.word.load(std::memory_order_acquire);
  while ((!sealed(word) || DYNBATCH_MUTANT(claims_sealed)) && rows <= rows_ - claimed(word)) {
    // acquire: pairs with open_block, as above: the word may be of a later life by now.
    if (block.word.compare_exchange_weak(word, with_claim(word, rows, hold),
                                         std::memory_order_acquire, std::memory_order_acquire)) {
      return {.block = index, .row = claimed(word), .rows = rows};
    }
  }
  return {};
}

template <class P, class Part>
auto RequestQueue<P, Part>::publish(const Claim& claim, const Part& part) noexcept -> BlockState {
  Block& block = blocks_[claim.block];
  block.parts[claim.row] = part;
  // seq_cst: pairs with unsafe_take: publishes the rows and parts. With the runtime's load of its
  // free permits that follows, it is one half of the store-load pair that loses no wake-up.
  const std::uint64_t before = block.word.fetch_add(
      claim.rows * kPublishedOne, DYNBATCH_MUTANT(weak_publish)      ? std::memory_order_release
                                  : DYNBATCH_MUTANT(relaxed_publish) ? std::memory_order_relaxed
                                                                     : std::memory_order_seq_cst);
  const std::uint64_t word = before + claim.rows;
  DYNBATCH_DEBUG_ASSERT(published(word) <= claimed(word));
  BlockState state{.rows = claimed(word), .complete = published(word) == claimed(word)};
  state.sealed = sealed(word);
  state.held = held(word);
  state.full = state.rows == rows_;
  return state;
}

template <class P, class Part>
bool RequestQueue<P, Part>::looks_ready() const noexcept {
  // acquire: pairs with unsafe_open_next: publishes that the block is open.
  const std::uint32_t index = open_.load(std::memory_order_acquire);
  if (index == kNone) return true;  // all blocks are in use, so the lock has to tell
  // relaxed: a hint, the taker looks again under the lock.
  const std::uint64_t word = blocks_[index].word.load(std::memory_order_relaxed);
  return sealed(word) || (published(word) > 0 && !held(word));
}

template <class P, class Part>
std::uint32_t RequestQueue<P, Part>::growing_rows() const noexcept {
  // acquire: pairs with unsafe_open_next: publishes that the block is open.
  const std::uint32_t index = open_.load(std::memory_order_acquire);
  if (index == kNone) return 0;
  // relaxed: a hint.
  const std::uint64_t word = blocks_[index].word.load(std::memory_order_relaxed);
  return sealed(word) || claimed(word) == rows_ ? 0 : claimed(word);
}

template <class P, class Part>
bool RequestQueue<P, Part>::looks_empty() const noexcept {
  // acquire: pairs with unsafe_open_next: publishes that the block is open.
  const std::uint32_t index = open_.load(std::memory_order_acquire);
  // relaxed: a hint.
  return index != kNone && claimed(blocks_[index].word.load(std::memory_order_relaxed)) == 0;
}

template <class P, class Part>
std::size_t RequestQueue<P, Part>::unsafe_room(std::size_t wanted, BatchKey key) const noexcept {
  if (exclusive_) return free_count_ > 0 && wanted <= rows_ ? wanted : 0;
  std::size_t room = free_count_ * rows_;
  for (const std::uint32_t index : order_) {
    if (room >= wanted) break;
    // relaxed: the claim itself decides.
    const std::uint64_t word = blocks_[index].word.load(std::memory_order_relaxed);
    if (!sealed(word) && blocks_[index].key == key) room += rows_ - claimed(word);
  }
  return room < wanted ? room : wanted;
}

template <class P, class Part>
Claim RequestQueue<P, Part>::unsafe_claim(std::uint32_t rows, BatchKey key, bool hold,
                                          std::size_t least_of_open) noexcept {
  if (exclusive_) {
    if (free_count_ == 0) return {};
    return {.block = open_block(key, rows, false, true), .row = 0, .rows = rows};
  }
  for (std::size_t i = order_.size(); i-- > 0;) {
    Block& block = blocks_[order_[i]];
    if (block.key != key) continue;
    // acquire: pairs with open_block: publishes the block's fields.
    std::uint64_t word = block.word.load(std::memory_order_acquire);
    while (!sealed(word) && claimed(word) < rows_) {
      const std::uint32_t part = std::min(rows, rows_ - claimed(word));
      if (part < least_of_open) return {};
      // acquire: pairs with open_block, as above.
      if (block.word.compare_exchange_weak(word, with_claim(word, part, hold),
                                           std::memory_order_acquire, std::memory_order_acquire)) {
        return {.block = order_[i], .row = claimed(word), .rows = part};
      }
    }
    if (key == nullptr) break;  // only the newest block is open
  }
  if (free_count_ == 0 || least_of_open > 0) return {};
  const std::uint32_t part = std::min(rows, rows_);
  const std::uint32_t index = open_block(key, part, hold, false);
  // release: pairs with claim: publishes the block's fields of its new life.
  if (key == nullptr) open_.store(index, std::memory_order_release);
  return {.block = index, .row = 0, .rows = part};
}

/// In rotation, since lines that another core has just read are the dearest ones; but among few, since
/// memory that has left the caches is dear, too.
template <class P, class Part>
std::uint32_t RequestQueue<P, Part>::next_free() noexcept {
  for (std::uint32_t step = 0; step < rotating_; ++step) {
    last_opened_ = last_opened_ + 1 == rotating_ ? 0 : last_opened_ + 1;
    if (blocks_[last_opened_].place == Place::free) return last_opened_;
  }
  std::uint32_t index = rotating_;
  while (blocks_[index].place != Place::free) ++index;
  return index;
}

template <class P, class Part>
std::uint32_t RequestQueue<P, Part>::open_block(BatchKey key, std::uint32_t claimed_rows, bool hold,
                                                bool seal_it) noexcept {
  DYNBATCH_ASSERT(free_count_ > 0);
  const std::uint32_t index = next_free();
  --free_count_;
  Block& block = blocks_[index];
  block.place = Place::queued;
  block.key = key;
  block.first_at.store(0, std::memory_order_relaxed);  // relaxed: published by the word
  order_.push_back(index);
  // relaxed: the word of a free block is written under the lock only.
  const std::uint64_t old = block.word.load(std::memory_order_relaxed);
  const std::uint64_t generation = (old / kGenerationOne + 1) * kGenerationOne;
  // release: pairs with claim: publishes the fields above, and that all readers of the last life
  // have gone.
  block.word.store(
      generation | claimed_rows * kClaimedOne | (hold ? kHeld : 0) | (seal_it ? kSealed : 0),
      std::memory_order_release);
  return index;
}

template <class P, class Part>
void RequestQueue<P, Part>::unsafe_open_next() noexcept {
  if (exclusive_) return;
  if (!order_.empty() && blocks_[order_.back()].key == nullptr) {
    const Block& newest = blocks_[order_.back()];
    // relaxed: sealing happens under the lock; a full block stays full.
    const std::uint64_t word = newest.word.load(std::memory_order_relaxed);
    if (!sealed(word) && claimed(word) < rows_) {
      // release: pairs with claim: publishes the block's fields.
      open_.store(order_.back(), std::memory_order_release);
      return;
    }
  }
  if (free_count_ == 0) return;
  // release: pairs with claim: publishes the block's fields of its new life.
  open_.store(open_block(nullptr, 0, false, false), std::memory_order_release);
}

template <class P, class Part>
void RequestQueue<P, Part>::unsafe_stop_claims() noexcept {
  // relaxed: the seal below is what stops claims.
  open_.store(kNone, std::memory_order_relaxed);
  for (std::size_t i = order_.size(); i-- > 0;) {
    Block& block = blocks_[order_[i]];
    seal(block);
    // relaxed: a sealed word gains no claims.
    if (claimed(block.word.load(std::memory_order_relaxed)) == 0) {
      order_.erase(order_.begin() + static_cast<std::ptrdiff_t>(i));
      block.place = Place::free;
      ++free_count_;
    }
  }
}

template <class P, class Part>
void RequestQueue<P, Part>::unsafe_release_held() noexcept {
  for (const std::uint32_t index : order_) {
    Block& block = blocks_[index];
    // relaxed: the rows of whoever asked for this are published by it, and only they matter.
    if (held(block.word.load(std::memory_order_relaxed))) {
      // relaxed: the scan that follows is under the same hold of the lock.
      block.word.fetch_and(~kHeld, std::memory_order_relaxed);
    }
  }
}

template <class P, class Part>
void RequestQueue<P, Part>::seal(Block& block) noexcept {
  // seq_cst: pairs with publish: part of the scan that is the other half of its store-load pair.
  block.word.fetch_or(kSealed, std::memory_order_seq_cst);
}

}  // namespace dynbatch
