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
// Reading order: request_queue_claim.hpp, request_queue_take.hpp.
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
  static constexpr bool kStages = false;  // batches are written in place
  using Key = BatchKey;
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

  /// `exclusive`: each request gets a block of its own, sealed when it is claimed. Free blocks are used in
  /// rotation among the first `rotating` of them, and the others only where none of those is free.
  RequestQueue(std::uint32_t blocks, std::uint32_t rows, bool exclusive,
               std::uint32_t rotating = UINT32_MAX);

  std::uint32_t block_count() const noexcept { return static_cast<std::uint32_t>(blocks_.size()); }
  std::uint32_t rows_per_block() const noexcept { return rows_; }
  std::size_t rows_in_all() const noexcept { return blocks_.size() * rows_; }

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

  /// Rows claimed of the open block, while it takes more; a hint. 0 where there are none.
  std::uint32_t growing_rows() const noexcept;
  /// The same, if nothing else could be taken.
  std::uint32_t unsafe_growing_rows() const noexcept {
    return order_.size() == 1 ? growing_rows() : 0;
  }
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
  std::size_t unsafe_free_rows() const noexcept { return free_count_ * rows_; }
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
  std::uint32_t next_free() noexcept;
  void seal(Block& block) noexcept;

  const std::uint32_t rows_;
  const bool exclusive_;
  const std::uint32_t rotating_;
  std::vector<Block> blocks_;
  // The block that newcomers try first; a hint, since the word alone decides.
  alignas(kCacheLine) typename P::template atomic<std::uint32_t> open_{kNone};
  alignas(kCacheLine) std::uint32_t last_opened_ = 0;  // of those that rotate
  std::size_t free_count_ = 0;
  std::vector<std::uint32_t> order_;  // queued blocks, oldest first; capacity for all
};

}  // namespace dynbatch

#include "queue/request_queue_claim.hpp"
#include "queue/request_queue_take.hpp"
