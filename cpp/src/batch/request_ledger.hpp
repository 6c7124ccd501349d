// RequestLedger: the accounts of the requests, and what their results need to live: requests, output
// blocks and output specs. It outlives the batcher for as long as tickets do.
//
// Any thread may call anything; nothing blocks, except that a ticket's last hold on an output block
// takes the pool's short lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <dynbatch/error.hpp>
#include <dynbatch/tensor.hpp>

#include "base/assertions.hpp"
#include "base/fork_guard.hpp"
#include "base/mutant.hpp"
#include "base/platform.hpp"
#include "batch/request.hpp"
#include "batch/request_pool.hpp"
#include "memory/gear_memory.hpp"
#include "memory/output_block.hpp"

namespace dynbatch {

/// How requests ended, gathered by one thread before it is added to the accounts.
struct Tally {
  std::uint32_t succeeded = 0;
  std::uint32_t failed = 0;
  std::uint32_t cancelled = 0;
  std::uint32_t timed_out = 0;
  std::uint32_t ended = 0;  // counted where a request ends, not by how

  void count(ErrorCode code) noexcept {
    switch (code) {
      case ErrorCode::none: ++succeeded; break;
      case ErrorCode::timeout: ++timed_out; break;
      case ErrorCode::cancelled: ++cancelled; break;
      default: ++failed; break;
    }
  }
};

template <class P>
class RequestLedger {
 public:
  RequestLedger(ModelSpec model, std::vector<Shape> row_shapes, BlockLayout outputs,
                std::size_t output_blocks, std::size_t workers)
      : spec(std::move(model)),
        empty_row_shapes(std::move(row_shapes)),
        output_memory(std::move(outputs), output_blocks),
        output_pool(output_memory, spec.inputs.size(), spec.outputs.size(), workers) {}

  // Constant after construction.
  const ModelSpec spec;
  const std::vector<Shape> empty_row_shapes;  // per output, of requests of no rows
  GearMemory output_memory;
  OutputPool<P> output_pool;
  SharedInputs<P> shared_inputs;

  /// With the last request, or before the first: nothing is held any more.
  ~RequestLedger() {
    DYNBATCH_EXPENSIVE_ASSERT(output_pool.invariants_hold() && shared_inputs.size() == 0);
  }

  /// A fresh request, held once by the caller and once by the queue; null without memory.
  Request<P>* acquire(std::uint32_t rows) noexcept;
  /// In the child of a fork: nobody will end what was under way, and locks may be held for ever.
  bool forked() const noexcept { return fork_generation() != forks_; }
  /// Counts the request as accepted; before its first row is published.
  void accept() noexcept;
  void refuse() noexcept { refused_.fetch_add(1, std::memory_order_relaxed); }
  /// Ends the request unless it has ended. The state before; kDone in it: somebody else was first.
  std::uint32_t end(Request<P>& request, ErrorCode code, Tally& tally) noexcept;
  /// Ends it from the caller's side, counts it and tells whoever waits. True if this call ended it.
  bool give_up(Request<P>& request, ErrorCode code) noexcept;
  void add(const Tally& tally) noexcept;
  /// Tells the waiters and the port of a request that has just been ended; `state` is end()'s.
  void tell(Request<P>& request, std::uint32_t state) noexcept;
  /// See Ticket::notify: has the end of the request announced at `port`, once.
  bool notify(Request<P>& request, CompletionList<P>& port, void* context) noexcept;
  /// Drops one hold. After the last one the request is recycled.
  void release(Request<P>& request) noexcept;
  /// Keeps the first failure of a request.
  void set_failure(Request<P>& request, const Failure& failure) noexcept;
  void count_unread(Request<P>& request, std::size_t bytes) noexcept {
    request.own_outputs->unread_bytes += bytes;
    unread_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  }

  /// The batcher is gone: deletes the ledger with the last request that is still held.
  static void abandon(std::unique_ptr<RequestLedger> ledger) noexcept;

  // Accounts; at rest they balance.
  std::uint64_t accepted() const noexcept { return sum(&Stripe::accepted); }
  std::uint64_t in_flight() const noexcept;
  std::uint64_t succeeded() const noexcept { return succeeded_.load(std::memory_order_relaxed); }
  std::uint64_t failed() const noexcept { return failed_.load(std::memory_order_relaxed); }
  std::uint64_t cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }
  std::uint64_t timed_out() const noexcept { return timed_out_.load(std::memory_order_relaxed); }
  std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }
  std::uint64_t unread_bytes() const noexcept {
    return unread_bytes_.load(std::memory_order_relaxed);
  }

 private:
  using Counter = typename P::template atomic<std::uint64_t>;
  struct alignas(kCacheLine) Stripe {
    Counter accepted{0};
    Counter entered{0};  // the independent count behind in_flight
  };
  static constexpr std::size_t kStripes = 8;

  /// The number of a thread, counted from 0.
  struct ThreadNumber {
    inline static typename P::template atomic<std::uint32_t> threads{0};
    const std::uint32_t value = threads.fetch_add(1, std::memory_order_relaxed);
  };
  std::uint64_t sum(Counter Stripe::* member) const noexcept {
    std::uint64_t total = 0;
    for (const Stripe& one : stripes_) total += (one.*member).load(std::memory_order_relaxed);
    return total;
  }
  void release_late(std::int64_t requests) noexcept;

  const std::uint32_t forks_ = fork_generation();
  RequestPool<P, Request<P>> pool_;
  std::array<Stripe, kStripes> stripes_;
  alignas(kCacheLine) Counter succeeded_{0};
  Counter failed_{0};
  Counter cancelled_{0};
  Counter timed_out_{0};
  Counter refused_{0};
  Counter left_{0};
  Counter unread_bytes_{0};
  typename P::template atomic<std::int64_t> outstanding_{0};  // requests out after abandon()
};

template <class P>
Request<P>* RequestLedger<P>::acquire(std::uint32_t rows) noexcept {
  Request<P>* const request = pool_.acquire();
  if (request == nullptr) return nullptr;
  // relaxed, all: nobody else knows the request yet.
  request->state.store(0, std::memory_order_relaxed);
  request->references.store(2, std::memory_order_relaxed);
  request->open_parts.store(1, std::memory_order_relaxed);
  request->ledger = this;
  request->rows = rows;
  request->submitted_at = 0;
  request->is_cut = false;
  return request;
}

template <class P>
void RequestLedger<P>::accept() noexcept {
  Stripe& mine = stripes_[P::template local<ThreadNumber, RequestLedger>().value % kStripes];
  mine.accepted.fetch_add(1, std::memory_order_relaxed);
  mine.entered.fetch_add(1, std::memory_order_relaxed);
}

template <class P>
std::uint32_t RequestLedger<P>::end(Request<P>& request, ErrorCode code, Tally& tally) noexcept {
  using R = Request<P>;
  // relaxed: the exchange below checks it.
  std::uint32_t state = request.state.load(std::memory_order_relaxed);
  while ((state & R::kDone) == 0) {
    const std::uint32_t ended = state | R::kDone | static_cast<std::uint32_t>(code);
    if (DYNBATCH_MUTANT(ends_without_exchange)) {
      request.state.store(ended, std::memory_order_release);  // pairs with nothing: a fault
      break;
    }
    // acq_rel: pairs with Request::is_done: publishes the result; and with notify: sees its port.
    if (request.state.compare_exchange_weak(
            state, ended,
            DYNBATCH_MUTANT(relaxed_end) ? std::memory_order_relaxed : std::memory_order_acq_rel,
            std::memory_order_relaxed)) {
      break;
    }
  }
  if ((state & R::kDone) == 0) {
    ++tally.ended;
    tally.count(code);
  }
  return state;
}

template <class P>
bool RequestLedger<P>::give_up(Request<P>& request, ErrorCode code) noexcept {
  Tally tally;
  const std::uint32_t state = end(request, code, tally);
  if ((state & Request<P>::kDone) != 0) return false;
  add(tally);
  tell(request, state);
  if (DYNBATCH_MUTANT(cancel_frees)) release(request);
  return true;
}

template <class P>
void RequestLedger<P>::add(const Tally& tally) noexcept {
  const auto bump = [](Counter& counter, std::uint32_t by) {
    if (by > 0) counter.fetch_add(by, std::memory_order_relaxed);
  };
  bump(succeeded_, tally.succeeded);
  bump(failed_, tally.failed);
  bump(cancelled_, tally.cancelled);
  bump(timed_out_, tally.timed_out);
  bump(left_, tally.ended);
}

template <class P>
void RequestLedger<P>::tell(Request<P>& request, std::uint32_t state) noexcept {
  if ((state & Request<P>::kPort) != 0) {
    request.references.fetch_add(1, std::memory_order_relaxed);  // the port's hold
    request.port->add(&request, &request);
  }
  if ((state & Request<P>::kWaiting) != 0) P::wake(request.state, INT32_MAX);
}

template <class P>
bool RequestLedger<P>::notify(Request<P>& request, CompletionList<P>& port,
                              void* context) noexcept {
  using R = Request<P>;
  // relaxed: one thread at a time uses a ticket, and only this function sets the bit.
  if ((request.state.load(std::memory_order_relaxed) & R::kPort) != 0) return false;
  request.port = &port;
  request.context = context;
  request.PortEntry::release = [](PortEntry* entry) noexcept {
    R& finished = *static_cast<R*>(entry);
    finished.ledger->release(finished);
  };
  // acq_rel: pairs with end: publishes the port, or sees that the end came first.
  const std::uint32_t state = request.state.fetch_or(R::kPort, std::memory_order_acq_rel);
  if ((state & R::kDone) != 0) {
    request.references.fetch_add(1, std::memory_order_relaxed);  // the port's hold
    port.add(&request, &request);
  }
  return true;
}

template <class P>
void RequestLedger<P>::release(Request<P>& request) noexcept {
  // acq_rel: pairs with itself: whoever frees sees what the other owner did.
  if (request.references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (request.outputs != nullptr) output_pool.release(*request.outputs);
  request.outputs = nullptr;
  if (request.own_outputs && request.own_outputs->unread_bytes > 0) {
    unread_bytes_.fetch_sub(request.own_outputs->unread_bytes, std::memory_order_relaxed);
    request.own_outputs->unread_bytes = 0;
  }
  if (request.own_outputs) request.own_outputs->tensors.clear();
  // relaxed: this thread is the last to see the request.
  delete request.failure.exchange(nullptr, std::memory_order_relaxed);
  if (request.shared != nullptr) shared_inputs.release(request.shared);
  request.shared = nullptr;
  if (!pool_.release(request)) release_late(1);
}

template <class P>
void RequestLedger<P>::set_failure(Request<P>& request, const Failure& failure) noexcept {
  auto copy = std::make_unique<Failure>(failure);
  Failure* none = nullptr;
  // acq_rel: pairs with readers of a finished request: publishes the text.
  if (request.failure.compare_exchange_strong(none, copy.get(), std::memory_order_acq_rel,
                                              std::memory_order_acquire)) {
    [[maybe_unused]] const Failure* const owned = copy.release();  // by the request
  }
}

template <class P>
std::uint64_t RequestLedger<P>::in_flight() const noexcept {
  const std::uint64_t left = left_.load(std::memory_order_relaxed);
  const std::uint64_t entered = sum(&Stripe::entered);
  return entered > left ? entered - left : 0;
}

template <class P>
void RequestLedger<P>::abandon(std::unique_ptr<RequestLedger> ledger) noexcept {
  RequestLedger* const self = ledger.release();
  self->release_late(-static_cast<std::int64_t>(self->pool_.close()));
}

template <class P>
void RequestLedger<P>::release_late(std::int64_t requests) noexcept {
  // acq_rel: pairs with itself: whoever deletes sees that all others are done with the ledger. Late
  // requests may count before abandon() has told how many are out, so the count may pass below 0.
  if (outstanding_.fetch_sub(requests, std::memory_order_acq_rel) == requests) delete this;
}

}  // namespace dynbatch
