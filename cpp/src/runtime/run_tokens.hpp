// RunTokens: the right to be inside the executor, where more batches may be under way than run: the others are
// gathered or taken apart meanwhile. Any thread; acquire() sleeps while all are out.
#pragma once

#include <cstdint>

#include "base/mutant.hpp"
#include "base/platform.hpp"

namespace dynbatch {

template <class P>
class RunTokens {
 public:
  explicit RunTokens(std::uint32_t count) noexcept : free_(count) {}

  void acquire() noexcept {
    for (;;) {
      // relaxed: the exchange below checks it.
      std::uint32_t free = free_.load(std::memory_order_relaxed);
      // acquire: pairs with release: sees what the last holder's run has left.
      while (free > 0 && !free_.compare_exchange_weak(free, free - 1, std::memory_order_acquire,
                                                      std::memory_order_relaxed)) {
      }
      if (free > 0) return;
      // seq_cst: pairs with release: it sees this sleeper, or the sleep sees its token.
      sleepers_.fetch_add(1, std::memory_order_seq_cst);
      P::park(free_, 0, kNever);
      sleepers_.fetch_sub(1, std::memory_order_relaxed);
    }
  }

  void release() noexcept {
    // seq_cst: pairs with acquire, twice: publishes the run, and comes before the look at the sleepers.
    free_.fetch_add(
        1, DYNBATCH_MUTANT(weak_run_token) ? std::memory_order_release : std::memory_order_seq_cst);
    // seq_cst: pairs with acquire, as above.
    if (sleepers_.load(std::memory_order_seq_cst) > 0) P::wake(free_, 1);
  }

 private:
  typename P::Word free_;
  typename P::template atomic<std::uint32_t> sleepers_{0};
};

}  // namespace dynbatch
