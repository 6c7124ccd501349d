// RequestQueue, part 2 of 2: taking and recycling.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "queue/request_queue.hpp"

namespace dynbatch {

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
