// Output blocks: reference-counted memory of one batch's outputs, and their pool.
//
// A run holds the block it writes into; afterwards its readers (tickets) hold it, and the last one
// gives it back. The pool lends at most `blocks - workers` blocks to readers, so that a run always
// finds one; what cannot be lent is copied out by the runtime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include <dynbatch/executor.hpp>

#include "base/assertions.hpp"
#include "base/platform.hpp"
#include "memory/gear_memory.hpp"

namespace dynbatch {

/// Memory that the executor brought for one output.
struct AdoptedOutput {
  const std::byte* data = nullptr;
  Shape shape;
  void (*release)(void* context) = nullptr;
  void* context = nullptr;

  void clear() noexcept {
    if (release != nullptr) release(context);
    *this = AdoptedOutput{};
  }
};

template <class P>
struct alignas(kCacheLine) OutputBlock {
  typename P::template atomic<std::uint32_t> readers{0};
  std::uint32_t slot = 0;
  bool lent = false;
  bool trimmed = false;             // in its last run
  std::uint32_t touched_rows = 0;   // rows whose memory may be resident; of the run that holds it
  std::uint32_t rows = 0;           // of requests, that the run produced
  std::vector<std::byte*> tensors;  // row 0 of each output; null where the executor brings it
  std::vector<AdoptedOutput> adopted;    // per output; empty data where the block's own is used
  std::vector<const std::byte*> inputs;  // the run's inputs; here so that a run allocates nothing
};

template <class P>
class OutputPool {
 public:
  using Block = OutputBlock<P>;

  OutputPool(const GearMemory& memory, std::size_t inputs, std::size_t outputs, std::size_t workers)
      : blocks_(memory.count()), lendable_(memory.count() - workers) {
    free_.reserve(blocks_.size());
    const auto slots = memory.slots();
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      blocks_[i].slot = static_cast<std::uint32_t>(i);
      blocks_[i].tensors = slots[i];
      blocks_[i].adopted.resize(outputs);
      blocks_[i].inputs.resize(inputs);
      free_.push_back(&blocks_[i]);
    }
  }

  /// A block for one run; never fails while at most `workers` runs hold one.
  Block* acquire() noexcept {
    const std::lock_guard lock(mutex_);
    DYNBATCH_ASSERT(!free_.empty());
    Block* const block = free_.back();
    free_.pop_back();
    return block;
  }

  /// Whether the block may stay with its readers after the run. If not, they get copies.
  bool lend(Block& block) noexcept {
    const std::lock_guard lock(mutex_);
    if (lent_ == lendable_) return false;
    ++lent_;
    block.lent = true;
    return true;
  }

  /// Drops `count` holds; the last one returns the block.
  void release(Block& block, std::uint32_t count = 1) noexcept {
    // acq_rel pairs with itself: the last reader sees that all others have read.
    if (block.readers.fetch_sub(count, std::memory_order_acq_rel) != count) return;
    for (AdoptedOutput& output : block.adopted) output.clear();
    const std::lock_guard lock(mutex_);
    if (block.lent) --lent_;
    block.lent = false;
    // The last in is the first out, whose lines are still in a cache. One that gave memory back goes last,
    // so that all of them come to do so.
    free_.insert(std::exchange(block.trimmed, false) ? free_.begin() : free_.end(), &block);
  }

  /// At rest, with no run and no reader.
  bool invariants_hold() noexcept {
    const std::lock_guard lock(mutex_);
    return lent_ == 0 && free_.size() == blocks_.size();
  }

 private:
  std::vector<Block> blocks_;
  std::size_t lendable_;
  typename P::Mutex mutex_;
  std::size_t lent_ = 0;      // under mutex_
  std::vector<Block*> free_;  // under mutex_; capacity for all, so it never allocates
};

}  // namespace dynbatch
