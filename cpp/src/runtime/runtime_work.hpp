// Runtime, part 3 of 7: what a worker does: taking, polling, parking.
#pragma once

#include <algorithm>

#include "base/mutant.hpp"
#include "runtime/runtime.hpp"

namespace dynbatch {

template <class P, class Queue>
void Runtime<P, Queue>::work() noexcept {
  if (forked()) return;
  Worker me;
  Lock lock(mutex_);
  ++present_workers_;
  // release: pairs with wait_for_workers.
  rest_word_.fetch_add(1, std::memory_order_release);
  P::wake(rest_word_, INT32_MAX);
  for (;;) {
    Taken taken;
    if (me.handed) {
      me.handed = false;
      if (!DYNBATCH_MUTANT(stays_on_its_way)) --on_their_way_;
      if (!unsafe_take(taken, true)) {
        --active_workers_;
        unsafe_add_permits(1);
        continue;  // scans again now that the permit is seen to be free
      }
    } else if (permits_.load(std::memory_order_relaxed) > 0 && unsafe_take(taken, true)) {
      unsafe_add_permits(-1);
      ++active_workers_;
    }
    if (taken) {
      work_with_permit(taken, lock);
      --active_workers_;
      unsafe_add_permits(1);
      continue;  // as above
    }
    if (stopping_) break;
    park_idle(me, lock);
  }
  --present_workers_;
  unsafe_note_rest();
}

template <class P, class Queue>
void Runtime<P, Queue>::work_with_permit(Taken& taken, Lock& lock) noexcept {
  do {
    WakeList list;
    unsafe_hand_out(list);  // more than one batch may have become due
    lock.unlock();
    list.wake();
    Record record;
    run_batch(taken, false, record);
    if (DYNBATCH_MUTANT(finishes_unlocked)) {
      unsafe_finish(taken, record);
      lock.lock();
    } else {
      lock.lock();
      unsafe_finish(taken, record);
    }
    taken = Taken{};
    let_grow(lock);
  } while (unsafe_take(taken, true) || (linger(lock) && unsafe_take(taken, true)));
}

/// After a run that cost next to nothing, rows that come in quick succession are let into the batch: to
/// take a few of them at a time would cost more than to run them. The lock is free meanwhile.
template <class P, class Queue>
void Runtime<P, Queue>::let_grow(Lock& lock) noexcept {
  constexpr Nanoseconds kStep = 250;
  constexpr Nanoseconds kLongest = 4'000;
  if (!may_poll() || statistics_.run_time_average >= kShortestRun) return;
  std::uint32_t rows = queue_.unsafe_growing_rows();
  if (rows == 0) return;
  lock.unlock();
  const Nanoseconds end = P::now() + kLongest;
  for (Nanoseconds now = end - kLongest; now < end;) {
    const Nanoseconds step = now + kStep;
    while ((now = P::now()) < step) P::pause();
    const std::uint32_t more = queue_.growing_rows();
    if (more <= rows) break;  // or none, if the block is full or sealed
    rows = more;
  }
  lock.lock();
}

/// Polls for the next batch with the permit held: callers then only queue, without a wake-up. The lock
/// is free meanwhile. Says whether something may be ready.
template <class P, class Queue>
bool Runtime<P, Queue>::linger(Lock& lock) noexcept {
  const Nanoseconds average = statistics_.run_time_average;
  const Nanoseconds span = std::min(setup_.longest_linger, average / 2);
  // Shorter runs are better batched by not waiting at all.
  if (!may_poll() || average < kShortestRun) return false;
  lock.unlock();
  const Nanoseconds end = P::now() + span;
  bool seen = queue_.looks_ready();
  while (!seen && (P::now() < end || DYNBATCH_MUTANT(lingers_for_ever))) {
    P::pause();
    seen = queue_.looks_ready();
  }
  lock.lock();
  return seen;
}

template <class P, class Queue>
void Runtime<P, Queue>::park_idle(Worker& me, Lock& lock) noexcept {
  // relaxed: written under the lock.
  Nanoseconds due = kNever;
  // Time has passed since the caller looked: a batch may have become due just now.
  if (DYNBATCH_MUTANT(sleeps_without_look)) {
    lock.unlock();
    lock.lock();
  } else if (permits_.load(std::memory_order_relaxed) > 0 && unsafe_ready(due) > 0) {
    return;
  }
  me.word.store(0, std::memory_order_relaxed);
  me.parked = true;
  me.next = idle_;
  idle_ = &me;
  const bool keeps_time = due < timer_due_.load(std::memory_order_relaxed);
  if (keeps_time) unsafe_set_timer(&me, due);
  lock.unlock();
  const Nanoseconds deadline = keeps_time ? due : kNever;
  // acquire: pairs with unsafe_pop_idle: publishes what the worker was woken for.
  while (me.word.load(std::memory_order_acquire) == 0 &&
         (deadline == kNever || P::now() < deadline)) {
    P::park(me.word, 0, deadline);
  }
  lock.lock();
  if (me.parked) unsafe_remove_idle(me);
}

}  // namespace dynbatch
