// Blocking on the end of a request.
#pragma once

#include <cstdint>

#include "base/mutant.hpp"
#include "base/platform.hpp"
#include "batch/request.hpp"

namespace dynbatch {

/// Blocks until the request has ended or the deadline has passed; says whether it has ended. Any
/// number of threads may wait for one request.
template <class P>
bool wait_for_end(Request<P>& request, Nanoseconds deadline) noexcept {
  using R = Request<P>;
  // acquire: pairs with RequestLedger::end: publishes the result.
  std::uint32_t state = request.state.load(std::memory_order_acquire);
  while ((state & R::kDone) == 0) {
    if (deadline != kNever && P::now() >= deadline) return false;
    // relaxed: only announces the sleeper; end() exchanges the same word.
    const std::uint32_t asleep = DYNBATCH_MUTANT(waits_unannounced) ? state : state | R::kWaiting;
    if (state != asleep &&
        !request.state.compare_exchange_weak(state, asleep, std::memory_order_relaxed,
                                             std::memory_order_relaxed)) {
      continue;
    }
    P::park(request.state, asleep, deadline);
    if (DYNBATCH_MUTANT(trusts_wake_ups)) return true;
    // acquire: pairs with RequestLedger::end, as above.
    state = request.state.load(std::memory_order_acquire);
  }
  // acquire: pairs with RequestLedger::end: the exchange above may have seen kDone without it.
  static_cast<void>(request.state.load(std::memory_order_acquire));
  return true;
}

}  // namespace dynbatch
