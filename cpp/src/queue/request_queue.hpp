// RequestQueue: batches are formed by being written. Callers claim rows of the open block, write them
// at their place, and publish them; whoever holds a permit seals the oldest block and takes it.
//
// A block is free, open (takes rows), sealed (takes no more) or taken (being run). One 64-bit word a
// block holds its generation, the rows claimed, the rows published, the sealed bit, and a held bit while
// all its claimers have asked to wait for more of their own. The word of a block is unsealed only while
// the block is open, so a claim needs no look at anything else.
//
// Threads: claim(), publish() and looks_ready() are lock-free and may be called by any thread. What is
// named unsafe_ happens about once a batch and is called under the runtime's one short lock.
// Progress: a producer that is preempted between claim and publish delays its own block, no other.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/assertions.hpp"
#include "base/mutant.hpp"
#include "base/platform.hpp"

namespace dynbatch {

/// Requests with different keys never share a block. Null: the model has no shared inputs.
using BatchKey = const void*;

/// Rows [row, row + rows) of a block. rows == 0: nothing was claimed.
struct Claim {
  std::uint32_t block = 0;
  std::uint32_t row = 0;
  std::uint32_t rows = 0;
};

/// `Part` says which rows of a block belong to which request; the queue only keeps it.
template <class P, class Part>
class RequestQueue {
 public:
  static constexpr std::uint32_t kMaxRows = (1u << 14) - 1;
  static constexpr std::uint32_t kNone = UINT32_MAX;

  /// What the policy sees of a block.
  struct BlockState {
    std::uint32_t rows = 0;    // claimed
    bool complete = false;     // all of them are published
    bool full = false;         // no room for another row
    bool sealed = false;       // takes no more, full or not
    bool held = false;         // all its claimers are about to claim more
    Nanoseconds first_at = 0;  // when the first row came; 0 if no clock was read; of complete ones
  };

  /// `exclusive`: each request gets a block of its own, sealed when it is claimed.
  RequestQueue(std::uint32_t blocks, std::uint32_t rows, bool exclusive);

  std::uint32_t block_count() const noexcept { return static_cast<std::uint32_t>(blocks_.size()); }
  std::uint32_t rows_per_block() const noexcept { return rows_; }

  /// Claims `rows` rows of the open block, whole. Nothing if they do not fit, if no block is open,
  /// or if the queue is exclusive: then unsafe_claim() decides. `hold`: the claimer will claim more
  /// before it calls for unsafe_release_held().
  Claim claim(std::uint32_t rows, bool hold = false) noexcept;
  /// Notes when the block's first row came; by its claimer, before it publishes.
  void set_first_at(const Claim& claim, Nanoseconds now) noexcept {
    blocks_[claim.block].first_at.store(now, std::memory_order_relaxed);
  }
  /// After publish: when the first row came, or what a later life of the block has there.
  Nanoseconds first_at(const Claim& claim) const noexcept {
    return blocks_[claim.block].first_at.load(std::memory_order_relaxed);
  }
  /// Tells that the rows are written. The state is that of the block right after.
  BlockState publish(const Claim& claim, const Part& part) noexcept;
  /// Whether a block may be ready to be taken; a hint.
  bool looks_ready() const noexcept;

  /// Whether the open block has no rows so far; a hint. False where no block is open.
  bool looks_empty() const noexcept;

  /// Rows that can be claimed now for `key` without waiting, up to `wanted`.
  std::size_t unsafe_room(std::size_t wanted, BatchKey key) const noexcept;
  /// Claims up to `rows` rows of one block, opening the next one if that is needed. Nothing if less
  /// than `least_of_open` of them can be had in the open block, which others claim from meanwhile.
  Claim unsafe_claim(std::uint32_t rows, BatchKey key, bool hold = false,
                     std::size_t least_of_open = 0) noexcept;
  /// Whoever claimed with `hold` does not claim more for now.
  void unsafe_release_held() noexcept;
  /// Opens a block for newcomers if none is open and one is free. Not for keys.
  void unsafe_open_next() noexcept;
  /// Takes no more rows until unsafe_open_next(): newcomers must ask unsafe_claim().
  void unsafe_stop_claims() noexcept;

  /// Offers the blocks that hold rows to `decide(BlockState) -> bool`, oldest first. Seals and
  /// returns the first that it accepts and that is complete; kNone if there is none.
  template <class Decide>
  std::uint32_t unsafe_take(Decide&& decide) noexcept;
  /// The same look without taking: how many blocks could be taken.
  template <class Decide>
  std::size_t unsafe_count_ready(Decide&& decide) const noexcept;
  /// Gives a taken block back.
  void unsafe_recycle(std::uint32_t index) noexcept;

  /// The parts of a taken block: one entry at the first row of each part.
  std::span<Part> parts(std::uint32_t block) noexcept {
    return {blocks_[block].parts.get(), rows(block)};
  }
  std::uint32_t rows(std::uint32_t index) const noexcept;
  BatchKey key(std::uint32_t block) const noexcept { return blocks_[block].key; }
  std::size_t unsafe_free_blocks() const noexcept { return free_count_; }
  /// Taken blocks, and those in which rows wait, published or not.
  std::size_t unsafe_blocks_in_use() const noexcept;
  bool unsafe_idle() const noexcept { return unsafe_blocks_in_use() == 0; }
  bool unsafe_invariants_hold() const noexcept;

 private:
  // Word: generation:34 | held:1 | sealed:1 | claimed:14 | published:14.
  static constexpr std::uint64_t kPublishedOne = 1;
  static constexpr std::uint64_t kClaimedOne = 1ull << 14;
  static constexpr std::uint64_t kSealed = 1ull << 28;
  static constexpr std::uint64_t kHeld = 1ull << 29;
  static constexpr std::uint64_t kGenerationOne = 1ull << 30;
  static std::uint32_t published(std::uint64_t word) noexcept { return word & kMaxRows; }
  static std::uint32_t claimed(std::uint64_t word) noexcept { return (word >> 14) & kMaxRows; }
  static bool sealed(std::uint64_t word) noexcept { return (word & kSealed) != 0; }
  static bool held(std::uint64_t word) noexcept { return (word & kHeld) != 0; }
  /// The word with `rows` more claimed: a block is held from its first claim on until one is not.
  static std::uint64_t with_claim(std::uint64_t word, std::uint32_t rows, bool hold) noexcept {
    if (!hold && !DYNBATCH_MUTANT(stays_held)) word &= ~kHeld;
    if (hold && claimed(word) == 0) word |= kHeld;
    return word + rows * kClaimedOne;
  }

  enum class Place : std::uint8_t { free, queued, taken };
  struct alignas(kCacheLine) Block {
    typename P::template atomic<std::uint64_t> word{kSealed};
    // Of the block's present life; written by one claimer, or under the lock, before it is read.
    alignas(kCacheLine) std::unique_ptr<Part[]> parts;
    // Atomic because a publisher may look when the block has gone on to its next life.
    typename P::template atomic<Nanoseconds> first_at{0};
    BatchKey key = nullptr;
    Place place = Place::free;
  };
  static_assert(offsetof(Block, parts) >= kCacheLine, "claims must not disturb readers of parts");

  BlockState state_of(const Block& block, std::uint64_t word) const noexcept;
  std::uint32_t open_block(BatchKey key, std::uint32_t claimed_rows, bool hold, bool seal) noexcept;
  void seal(Block& block) noexcept;

  const std::uint32_t rows_;
  const bool exclusive_;
  std::vector<Block> blocks_;
  // The block that newcomers try first; a hint, since the word alone decides.
  alignas(kCacheLine) typename P::template atomic<std::uint32_t> open_{kNone};
  alignas(kCacheLine) std::uint32_t last_opened_ = 0;  // free blocks are used in rotation
  std::size_t free_count_ = 0;
  std::vector<std::uint32_t> order_;  // queued blocks, oldest first; capacity for all
};

template <class P, class Part>
RequestQueue<P, Part>::RequestQueue(std::uint32_t blocks, std::uint32_t rows, bool exclusive)
    : rows_(rows),
      exclusive_(exclusive),
      blocks_(blocks),
      last_opened_(blocks - 1),
      free_count_(blocks) {
  DYNBATCH_ASSERT(blocks > 0 && rows > 0 && rows <= kMaxRows);
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
bool RequestQueue<P, Part>::looks_empty() const noexcept {
  // acquire: pairs with unsafe_open_next: publishes that the block is open.
  const std::uint32_t index = open_.load(std::memory_order_acquire);
  // relaxed: a hint.
  return index != kNone && claimed(blocks_[index].word.load(std::memory_order_relaxed)) == 0;
}

template <class P, class Part>
auto RequestQueue<P, Part>::state_of(const Block& block, std::uint64_t word) const noexcept
    -> BlockState {
  BlockState state{.rows = claimed(word), .complete = published(word) == claimed(word)};
  state.sealed = sealed(word);
  state.held = held(word);
  state.full = state.rows == rows_;
  // relaxed: published by the first row's publish.
  if (state.complete) state.first_at = block.first_at.load(std::memory_order_relaxed);
  return state;
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

template <class P, class Part>
std::uint32_t RequestQueue<P, Part>::open_block(BatchKey key, std::uint32_t claimed_rows, bool hold,
                                                bool seal_it) noexcept {
  DYNBATCH_ASSERT(free_count_ > 0);
  std::uint32_t index = last_opened_;
  do {
    index = index + 1 == block_count() ? 0 : index + 1;
  } while (blocks_[index].place != Place::free);
  last_opened_ = index;
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

template <class P, class Part>
template <class Decide>
std::uint32_t RequestQueue<P, Part>::unsafe_take(Decide&& decide) noexcept {
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const std::uint32_t index = order_[i];
    Block& block = blocks_[index];
    // seq_cst: pairs with publish: sees its rows. Follows the runtime's store of its free permits:
    // the other half of the pair that loses no wake-up.
    std::uint64_t word = block.word.load(std::memory_order_seq_cst);
    if (claimed(word) == 0 || !decide(state_of(block, word))) continue;
    if (!sealed(word)) {
      // seq_cst: pairs with publish, as above; a later claim fails on the sealed word.
      word = block.word.fetch_or(kSealed, std::memory_order_seq_cst) | kSealed;
    }
    // The last publisher of an incomplete block looks again.
    if (published(word) != claimed(word) && !DYNBATCH_MUTANT(takes_incomplete)) continue;
    order_.erase(order_.begin() + static_cast<std::ptrdiff_t>(i));
    block.place = Place::taken;
    return index;
  }
  return kNone;
}

template <class P, class Part>
template <class Decide>
std::size_t RequestQueue<P, Part>::unsafe_count_ready(Decide&& decide) const noexcept {
  std::size_t ready = 0;
  for (const std::uint32_t index : order_) {
    // seq_cst: pairs with publish, as in unsafe_take.
    const BlockState state =
        state_of(blocks_[index], blocks_[index].word.load(std::memory_order_seq_cst));
    if (state.rows > 0 && state.complete && decide(state)) ++ready;
  }
  return ready;
}

template <class P, class Part>
void RequestQueue<P, Part>::unsafe_recycle(std::uint32_t index) noexcept {
  Block& block = blocks_[index];
  DYNBATCH_DEBUG_ASSERT(block.place == Place::taken);
  block.place = Place::free;
  ++free_count_;
}

template <class P, class Part>
std::uint32_t RequestQueue<P, Part>::rows(std::uint32_t index) const noexcept {
  // relaxed: the word of a taken block does not change.
  return claimed(blocks_[index].word.load(std::memory_order_relaxed));
}

template <class P, class Part>
std::size_t RequestQueue<P, Part>::unsafe_blocks_in_use() const noexcept {
  std::size_t empty = 0;
  for (const std::uint32_t index : order_) {
    // seq_cst: pairs with claim: a close must see what was claimed before claims were stopped.
    if (claimed(blocks_[index].word.load(std::memory_order_seq_cst)) == 0) ++empty;
  }
  return blocks_.size() - free_count_ - empty;
}

template <class P, class Part>
bool RequestQueue<P, Part>::unsafe_invariants_hold() const noexcept {
  std::size_t free = 0;
  for (const Block& block : blocks_) {
    // relaxed: looked at under the lock; only claimed and published may move.
    const std::uint64_t word = block.word.load(std::memory_order_relaxed);
    if (claimed(word) > rows_ || published(word) > claimed(word)) return false;
    if (block.place != Place::queued && !sealed(word)) return false;
    if (block.place == Place::free) ++free;
    if (!block.parts) return false;
  }
  for (const std::uint32_t index : order_) {
    if (blocks_[index].place != Place::queued) return false;
  }
  return free == free_count_;
}

}  // namespace dynbatch
