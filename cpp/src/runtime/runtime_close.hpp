// Runtime, part 7 of 7: making, closing, and telling.
#pragma once

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/fork_guard.hpp"
#include "base/mutant.hpp"
#include "runtime/runtime.hpp"

namespace dynbatch {

/// Rows of memory that a block needs, so that a full batch can be filled up to a gear.
inline std::size_t memory_rows(const RuntimeSetup& setup) noexcept {
  const auto gear =
      std::lower_bound(setup.fill_gears.begin(), setup.fill_gears.end(), setup.block_rows);
  return gear == setup.fill_gears.end() ? setup.block_rows : *gear;
}

template <class P, class Queue>
Runtime<P, Queue>::Runtime(Executor& executor, RuntimeSetup setup,
                           const std::vector<std::size_t>& batch_sizes)
    : executor_(executor),
      setup_(std::move(setup)),
      has_shared_(std::any_of(executor.spec().inputs.begin(), executor.spec().inputs.end(),
                              [](const TensorSpec& input) { return input.shared; })),
      callers_run_(setup_.callers_run && executor.runs_on_callers()),
      forks_(fork_generation()),
      ledger_(std::make_unique<RequestLedger<P>>(
          executor.spec(), setup_.output_row_shapes,
          BlockLayout(executor.spec().outputs, memory_rows(setup_)), setup_.output_blocks,
          setup_.workers)),
      input_memory_(BlockLayout(executor.spec().inputs, memory_rows(setup_)), setup_.blocks),
      rerun_memory_(input_memory_.layout(), fills() ? setup_.workers : 0),
      queue_(setup_.blocks, setup_.block_rows, setup_.exclusive, setup_.rotating_blocks),
      touched_rows_(setup_.blocks),
      permits_(static_cast<std::uint32_t>(setup_.workers)),
      delay_(setup_.max_delay) {
  failed_.reserve(setup_.blocks);
  if (setup_.brief_at_load) statistics_.brief_runs.expect();
  free_rerun_blocks_.resize(rerun_memory_.count());
  std::iota(free_rerun_blocks_.begin(), free_rerun_blocks_.end(), 0);
  statistics_.batches_by_size.resize(setup_.block_rows + 1);
  executor_.prepare({.input_slots = input_memory_.slots(),
                     .output_slots = ledger_->output_memory.slots(),
                     .batch_sizes = batch_sizes});
  if (!has_shared_) queue_.unsafe_open_next();
}

/// No output has a place: the executor brings them.
inline std::vector<TensorSpec> brought(std::vector<TensorSpec> outputs) {
  for (TensorSpec& output : outputs) output.row_shape = Shape{-1};
  return outputs;
}

template <class P, class Queue>
Runtime<P, Queue>::Runtime(Executor& executor, StagedSetup staged, RuntimeSetup setup)
    : executor_(executor),
      setup_(std::move(setup)),
      has_shared_(std::any_of(executor.spec().inputs.begin(), executor.spec().inputs.end(),
                              [](const TensorSpec& input) { return input.shared; })),
      callers_run_(setup_.callers_run && executor.runs_on_callers()),
      forks_(fork_generation()),
      ledger_(std::make_unique<RequestLedger<P>>(
          executor.spec(), setup_.output_row_shapes,
          BlockLayout(brought(executor.spec().outputs), setup_.block_rows), setup_.output_blocks,
          setup_.workers)),
      stager_(std::make_unique<Stager>(ledger_->spec, std::move(staged.stager))),
      queue_(setup_.blocks, setup_.block_rows, setup_.exclusive, staged.arena_bytes,
             static_cast<std::uint32_t>(setup_.workers) + kFailedBatches,
             Former(std::move(staged.former))),
      permits_(static_cast<std::uint32_t>(setup_.workers)),
      delay_(setup_.max_delay),
      shaped_lone_(std::move(staged.lone)) {
  failed_.reserve(setup_.workers + kFailedBatches);
  if (setup_.brief_at_load) statistics_.brief_runs.expect();
  if (staged.runs < setup_.workers)
    run_tokens_ = std::make_unique<RunTokens<P>>(static_cast<std::uint32_t>(staged.runs));
  for (std::size_t i = 0; i < setup_.workers; ++i) {
    stagings_.push_back(
        std::make_unique<Staging>(ledger_->spec, setup_.block_rows, stager_->fill_row_bytes()));
    free_stagings_.push_back(stagings_.back().get());
  }
  statistics_.batches_by_size.resize(setup_.block_rows + 1);
  executor_.prepare({});
}

template <class P, class Queue>
Runtime<P, Queue>::~Runtime() {
  DYNBATCH_EXPENSIVE_ASSERT(unsafe_all_is_back());
  RequestLedger<P>::abandon(std::move(ledger_));
}

template <class P, class Queue>
bool Runtime<P, Queue>::close(bool drain, Nanoseconds deadline) noexcept {
  if (forked()) return true;
  Lock lock(mutex_);
  // relaxed: written under the lock.
  if (!closing_.load(std::memory_order_relaxed)) {
    // seq_cst, both: pairs with publish and submit; the blocks are scanned after this.
    closing_.store(true, std::memory_order_seq_cst);
    hurry_.store(true, std::memory_order_seq_cst);
    if (!DYNBATCH_MUTANT(closes_unsealed)) queue_.unsafe_stop_claims();
    unsafe_refuse_space();
  }
  if (!drain && !cancelling_.load(std::memory_order_relaxed)) {
    // seq_cst: pairs with run_batch, which then cancels instead of running.
    cancelling_.store(true, std::memory_order_seq_cst);
    unsafe_refuse_space();
    cancel_queued(lock);
    lock.unlock();
    executor_.terminate();
    lock.lock();
  }
  WakeList list;
  unsafe_hand_out(list);
  lock.unlock();
  list.wake();
  lock.lock();
  unsafe_note_rest();
  while (!stopping_ && !runs_on_this_thread()) {  // a run cannot wait for itself
    if (present_workers_ == 0 && runs_under_way_ == 0)
      cancel_queued(lock);  // nobody else will come
    if (stopping_) break;
    if (deadline != kNever && P::now() >= deadline) return false;
    // relaxed: changes under the lock only.
    const std::uint32_t word = rest_word_.load(std::memory_order_relaxed);
    lock.unlock();
    P::park(rest_word_, word, deadline);
    lock.lock();
  }
  return true;
}

/// Ends what waits, without a permit. The lock is free while tickets are told.
template <class P, class Queue>
void Runtime<P, Queue>::cancel_queued(Lock& lock) noexcept {
  for (Taken taken; unsafe_take(taken, true); taken = Taken{}) {
    lock.unlock();
    cancel(queue_.parts(taken.block));
    lock.lock();
    unsafe_finish(taken, Record{});
  }
}

/// Refuses those who wait for room, except, while draining, the rest of accepted requests.
template <class P, class Queue>
void Runtime<P, Queue>::unsafe_refuse_space() noexcept {
  SpaceWaiter* waiter = std::exchange(space_first_, nullptr);
  space_last_ = nullptr;
  while (waiter != nullptr) {
    SpaceWaiter* const next = std::exchange(waiter->next, nullptr);
    // relaxed: written under the lock.
    if (waiter->accepted && !cancelling_.load(std::memory_order_relaxed)) {
      (space_first_ == nullptr ? space_first_ : space_last_->next) = waiter;
      space_last_ = waiter;
    } else {
      waiter->closed = true;
      unsafe_grant(*waiter);
    }
    waiter = next;
  }
  unsafe_serve_space();
}

/// Whether blocks are in use, each of which will be given back.
template <class P, class Queue>
bool Runtime<P, Queue>::unsafe_in_flight() const noexcept {
  return leading_ > 0 || !queue_.unsafe_idle();
}

template <class P, class Queue>
bool Runtime<P, Queue>::unsafe_at_rest() const noexcept {
  return !unsafe_in_flight() && claiming_ == 0;
}

/// Once the runtime is closed and at rest, workers leave and close() returns.
template <class P, class Queue>
void Runtime<P, Queue>::unsafe_note_rest() noexcept {
  // relaxed: written under the lock.
  if (!closing_.load(std::memory_order_relaxed)) return;
  if (unsafe_at_rest()) stopping_ = true;
  while (stopping_ && idle_ != nullptr) {
    Worker* const worker = unsafe_pop_idle();
    P::wake(worker->word, 1);
  }
  // relaxed: the futex and the lock order it.
  rest_word_.fetch_add(1, std::memory_order_relaxed);
  P::wake(rest_word_, INT32_MAX);
}

template <class P, class Queue>
bool Runtime<P, Queue>::closed() const noexcept {
  // acquire: pairs with close.
  return closing_.load(std::memory_order_acquire) || forked();
}

template <class P, class Queue>
void Runtime<P, Queue>::set_max_delay(Nanoseconds delay) noexcept {
  if (forked()) return;
  WakeList list;
  {
    const Lock lock(mutex_);
    // seq_cst: pairs with publish; the blocks are scanned after this.
    delay_.store(delay, std::memory_order_seq_cst);
    unsafe_set_timer(timekeeper_, kNever);  // wakes anew at the earliest due time, if there is one
    if (!DYNBATCH_MUTANT(no_scan_after_delay)) unsafe_hand_out(list);
  }
  list.wake();
}

template <class P, class Queue>
Nanoseconds Runtime<P, Queue>::average_run_time() const noexcept {
  if (forked()) return 0;
  const Lock lock(mutex_);
  return statistics_.run_time_average;
}

template <class P, class Queue>
std::uint32_t Runtime<P, Queue>::brief_rows() const noexcept {
  if (Queue::kStages) return 0;  // how long a run takes depends on more than its rows
  // relaxed, all: a hint, and what is done next decides by itself.
  const bool leads_alone =
      callers_run_ && !forked() && delay_.load(std::memory_order_relaxed) == 0 &&
      permits_.load(std::memory_order_relaxed) == setup_.workers && queue_.looks_empty();
  return leads_alone ? brief_rows_.load(std::memory_order_relaxed) : 0;
}

template <class P, class Queue>
void Runtime<P, Queue>::wait_for_workers(std::size_t count) noexcept {
  while (!forked()) {
    // acquire: pairs with work: the count changes before the word does.
    const std::uint32_t word = rest_word_.load(std::memory_order_acquire);
    {
      const Lock lock(mutex_);
      // relaxed: written under the lock. Workers leave a closed runtime, or never enter it.
      if (present_workers_ >= count || closing_.load(std::memory_order_relaxed)) return;
    }
    P::park(rest_word_, word, kNever);
  }
}

template <class P, class Queue>
void Runtime<P, Queue>::add_to(Stats& stats) const {
  stats.accepted = ledger_->accepted();
  stats.succeeded = ledger_->succeeded();
  stats.failed = ledger_->failed();
  stats.cancelled = ledger_->cancelled();
  stats.timed_out = ledger_->timed_out();
  stats.in_flight = ledger_->in_flight();
  stats.refused = ledger_->refused();
  stats.unread_bytes = ledger_->unread_bytes();
  stats.resident_bytes = input_memory_.resident_bytes() + rerun_memory_.resident_bytes() +
                         ledger_->output_memory.resident_bytes();
  if constexpr (Queue::kStages) stats.resident_bytes += queue_.arena().resident_bytes();
  stats.workers = setup_.workers;
  if (forked()) return;
  const Lock lock(mutex_);
  stats.rows = statistics_.rows;
  stats.padded_rows = statistics_.padded_rows;
  stats.elements = statistics_.elements;
  stats.padded_elements = statistics_.padded_elements;
  stats.batches = statistics_.batches;
  stats.failed_runs = statistics_.failed_runs;
  stats.reruns = statistics_.reruns;
  stats.batches_by_size = statistics_.batches_by_size;
  const auto closed = [&](CloseReason reason) {
    return statistics_.closed[static_cast<std::size_t>(reason)];
  };
  stats.closed_full = closed(CloseReason::full);
  stats.closed_idle = closed(CloseReason::idle);
  stats.closed_delay = closed(CloseReason::delay);
  stats.closed_space = closed(CloseReason::space);
  stats.closed_drain = closed(CloseReason::drain);
  stats.runs_on_callers = statistics_.runs_on_callers;
  stats.runs_on_workers = statistics_.batches - statistics_.runs_on_callers;
  stats.given_back_bytes = statistics_.given_back_bytes;
  stats.shrinks = statistics_.shrinks;
  stats.runs_alone = statistics_.runs_alone;
  stats.worker_wakeups = statistics_.worker_wakeups;
  stats.queue_wait = statistics_.queue_wait.quantiles();
  stats.run_time = statistics_.run_time.quantiles();
  stats.runs_under_way = runs_under_way_;
}

template <class P, class Queue>
bool Runtime<P, Queue>::invariants_hold() noexcept {
  const Lock lock(mutex_);
  return unsafe_all_is_back() && ledger_->output_pool.invariants_hold();
}

template <class P, class Queue>
bool Runtime<P, Queue>::unsafe_all_is_back() const noexcept {
  return queue_.unsafe_invariants_hold() && queue_.unsafe_idle() && leading_ == 0 &&
         runs_under_way_ == 0 && free_rerun_blocks_.size() == rerun_memory_.count() &&
         free_stagings_.size() == stagings_.size() && failed_.empty() && on_their_way_ == 0 &&
         space_first_ == nullptr &&
         // relaxed: written under the lock.
         permits_.load(std::memory_order_relaxed) + active_workers_ == setup_.workers;
}

}  // namespace dynbatch
