// Runtime, part 2 of 7: permits, the timer, and callers that wait for room.
#pragma once

#include <algorithm>
#include <utility>

#include "base/mutant.hpp"
#include "runtime/runtime.hpp"

namespace dynbatch {

/// After a publish, with a permit free: leads here if it may, and wakes workers for the rest.
template <class P, class Queue>
void Runtime<P, Queue>::dispatch(bool may_lead, R* own) noexcept {
  Taken taken;
  WakeList list;
  {
    const Lock lock(mutex_);
    // Callers lead only while no worker does: otherwise each would barge in with a batch of one.
    // relaxed: written under the lock.
    if (may_lead && callers_run_ && active_workers_ == 0 &&
        permits_.load(std::memory_order_relaxed) > 0 && unsafe_take(taken, false)) {
      unsafe_add_permits(-1);
    }
    unsafe_hand_out(list);
    unsafe_note_rest();  // without workers, close() has to look at what was just published
  }
  if (!DYNBATCH_MUTANT(drops_wake_up)) list.wake();
  if (taken) lead(taken, own);
}

template <class P, class Queue>
void Runtime<P, Queue>::start_held() noexcept {
  if (forked()) return;
  WakeList list;
  {
    const Lock lock(mutex_);
    queue_.unsafe_release_held();
    if (!DYNBATCH_MUTANT(starts_unseen)) unsafe_hand_out(list);
    unsafe_note_rest();  // as in dispatch
  }
  list.wake();
}

template <class P, class Queue>
Decision Runtime<P, Queue>::decide_now(const typename Queue::BlockState& state,
                                       Nanoseconds& now) const noexcept {
  // relaxed, both: written under the lock.
  const Nanoseconds delay = delay_.load(std::memory_order_relaxed);
  if (delay > 0 && now == 0) now = P::now();  // the clock is read only where time matters
  return decide({.full = state.full,
                 .sealed = state.sealed,
                 .held = state.held,
                 .complete = state.complete,
                 .first_at = state.first_at,
                 .max_delay = delay,
                 .space_wanted = space_first_ != nullptr,
                 .draining = closing_.load(std::memory_order_relaxed)},
                now);
}

/// Takes the oldest batch that is due. The caller holds a permit, or takes one after this.
template <class P, class Queue>
bool Runtime<P, Queue>::unsafe_take(Taken& taken, bool on_worker) noexcept {
  if (on_worker && !failed_.empty()) {
    taken = std::move(failed_.back());
    failed_.pop_back();
    ++runs_under_way_;
    return true;
  }
  Nanoseconds now = 0;
  CloseReason reason = CloseReason::idle;
  const std::uint32_t block = queue_.unsafe_take([&](const typename Queue::BlockState& state) {
    const Decision decision = decide_now(state, now);
    reason = decision.reason;
    return decision.run;
  });
  if (block == kNone) return false;
  taken.block = block;
  taken.reason = reason;
  ++leading_;
  ++runs_under_way_;
  taken.alone = unsafe_is_alone();
  taken.shrinks = std::exchange(shrinks_next_, false);
  taken.kept_rows = lower_gear_.kept_rows();
  if constexpr (!Queue::kStages)
    touched_rows_[block] = std::max(touched_rows_[block], queue_.rows(block));
  // relaxed: written under the lock.
  if (space_first_ == nullptr && !has_shared_ && !closing_.load(std::memory_order_relaxed)) {
    queue_.unsafe_open_next();
  }
  return true;
}

/// Whether the batch that was just taken is to run with all CPUs: nothing else runs or waits, nor did
/// for the last few.
template <class P, class Queue>
bool Runtime<P, Queue>::unsafe_is_alone() noexcept {
  if (setup_.lone_limits.empty() && shaped_lone_.least_work <= 0.0) return false;
  if (leading_ > 1 || queue_.unsafe_blocks_in_use() > 1) {
    quiet_batches_ = 0;
    return false;
  }
  if (quiet_batches_ == kQuietBatches) return lone_runs_.may_run();
  ++quiet_batches_;
  return false;
}

/// How many batches are due, and when the next one will be.
template <class P, class Queue>
std::size_t Runtime<P, Queue>::unsafe_ready(Nanoseconds& earliest_due) const noexcept {
  Nanoseconds now = 0;
  return failed_.size() + queue_.unsafe_count_ready([&](const typename Queue::BlockState& state) {
    const Decision decision = decide_now(state, now);
    if (!decision.run) earliest_due = std::min(earliest_due, decision.due);
    return decision.run;
  });
}

/// Wakes a worker, with a permit, for each batch that is due; and one to keep the time.
template <class P, class Queue>
void Runtime<P, Queue>::unsafe_hand_out(WakeList& list) noexcept {
  // relaxed, here and below: written under the lock.
  if (permits_.load(std::memory_order_relaxed) == 0 || idle_ == nullptr) return;
  Nanoseconds due = kNever;
  std::size_t ready = unsafe_ready(due);
  ready -= std::min<std::size_t>(ready, on_their_way_);
  while (ready-- > 0 && permits_.load(std::memory_order_relaxed) > 0 && idle_ != nullptr &&
         !list.full()) {
    Worker* const worker = unsafe_pop_idle();
    worker->handed = true;
    unsafe_add_permits(-1);
    ++active_workers_;
    ++on_their_way_;
    ++statistics_.worker_wakeups;
    list.add(worker->word);
  }
  if (due >= timer_due_.load(std::memory_order_relaxed) || list.full()) return;
  Worker* keeper = timekeeper_;
  if (keeper != nullptr) {
    unsafe_remove_idle(*keeper);
    // release: pairs with park_idle: the worker looks anew.
    keeper->word.store(1, std::memory_order_release);
  } else if (idle_ != nullptr) {
    keeper = unsafe_pop_idle();
  } else {
    return;  // all workers are awake, and look before they park
  }
  ++statistics_.worker_wakeups;
  list.add(keeper->word);
}

template <class P, class Queue>
auto Runtime<P, Queue>::unsafe_pop_idle() noexcept -> Worker* {
  // The timekeeper last: another worker would have to be woken to take its place.
  Worker* worker = idle_;
  if (worker == timekeeper_ && worker->next != nullptr) worker = worker->next;
  unsafe_remove_idle(*worker);
  // release: pairs with park_idle: publishes what the worker was woken for.
  worker->word.store(1, std::memory_order_release);
  return worker;
}

template <class P, class Queue>
void Runtime<P, Queue>::unsafe_remove_idle(Worker& worker) noexcept {
  Worker** at = &idle_;
  while (*at != &worker) at = &(*at)->next;
  *at = worker.next;
  worker.next = nullptr;
  worker.parked = false;
  if (timekeeper_ == &worker) unsafe_set_timer(nullptr, kNever);
}

template <class P, class Queue>
void Runtime<P, Queue>::unsafe_add_permits(std::int32_t change) noexcept {
  // seq_cst: pairs with publish: whoever gives a permit back scans the blocks after this.
  const std::uint32_t free = permits_.load(std::memory_order_relaxed);
  permits_.store(free + static_cast<std::uint32_t>(change), DYNBATCH_MUTANT(weak_permits)
                                                                ? std::memory_order_release
                                                                : std::memory_order_seq_cst);
}

template <class P, class Queue>
void Runtime<P, Queue>::unsafe_set_timer(Worker* worker, Nanoseconds due) noexcept {
  timekeeper_ = worker;
  // seq_cst: pairs with publish: when the time is put off, the blocks are scanned after this.
  timer_due_.store(
      due, DYNBATCH_MUTANT(weak_timer) ? std::memory_order_release : std::memory_order_seq_cst);
}

/// Gives room that has become free to those who wait for it, in the order they came.
template <class P, class Queue>
void Runtime<P, Queue>::unsafe_serve_space() noexcept {
  // Room that was announced is kept for those who were told of it. Only while more is to come, since
  // they may never ask for it.
  std::size_t told_rows = 0;
  std::size_t told = 0;
  const auto fits_beside_them = [&](const SpaceWaiter& waiter) {
    if (setup_.exclusive) {
      // Each has a block of its own, or its rows.
      const std::size_t wanted =
          Queue::kStages ? told_rows + waiter.rows : (told + 1) * queue_.rows_per_block();
      return queue_.unsafe_free_rows() >= wanted &&
             (!Queue::kStages || queue_.unsafe_room(waiter.rows, waiter.key) >= waiter.rows);
    }
    const std::size_t wanted = told_rows + waiter.rows;
    return queue_.unsafe_room(wanted, waiter.key) >= wanted;
  };
  while (space_first_ != nullptr) {
    SpaceWaiter* const waiter = space_first_;
    if (waiter->port != nullptr) {
      if (!fits_beside_them(*waiter) && unsafe_in_flight()) break;
      told_rows += waiter->rows;
      ++told;
    } else {
      if (told > 0 && !fits_beside_them(*waiter) && unsafe_in_flight()) break;
      waiter->claim = queue_.unsafe_claim(waiter->rows, waiter->key);
      if (waiter->claim.rows == 0) break;
    }
    unsafe_pop_space();
    unsafe_grant(*waiter);
  }
  if (space_first_ != nullptr || closing_.load(std::memory_order_relaxed)) return;
  // relaxed: rows that wait for company again are seen by the next scan.
  hurry_.store(false, std::memory_order_relaxed);
  if (!has_shared_) queue_.unsafe_open_next();
}

template <class P, class Queue>
void Runtime<P, Queue>::unsafe_pop_space() noexcept {
  space_first_ = space_first_->next;
  if (space_first_ == nullptr) space_last_ = nullptr;
}

/// The waiter is out of the list; it may be gone once its word is set.
template <class P, class Queue>
void Runtime<P, Queue>::unsafe_grant(SpaceWaiter& waiter) noexcept {
  if (waiter.port != nullptr) {
    waiter.port->add(&waiter, &waiter);
    return;
  }
  // release: pairs with wait_for_room: publishes the claim.
  waiter.word.store(1, std::memory_order_release);
  P::wake(waiter.word, 1);
}

template <class P, class Queue>
void Runtime<P, Queue>::notify_space(CompletionList<P>& port, void* context,
                                     std::uint32_t rows) noexcept {
  auto* const waiter = new SpaceWaiter;
  waiter->rows = std::max<std::uint32_t>(1, rows);
  waiter->port = &port;
  waiter->context = context;
  waiter->PortEntry::release = [](PortEntry* entry) noexcept {
    delete static_cast<SpaceWaiter*>(entry);
  };
  if (forked()) {
    port.add(waiter, waiter);
    return;
  }
  WakeList list;
  {
    const Lock lock(mutex_);
    (space_first_ == nullptr ? space_first_ : space_last_->next) = waiter;
    space_last_ = waiter;
    if (closing_.load(std::memory_order_relaxed)) {
      unsafe_refuse_space();
    } else {
      // seq_cst: pairs with publish, as in claim_or_wait.
      hurry_.store(true, std::memory_order_seq_cst);
      unsafe_serve_space();
    }
    unsafe_hand_out(list);
  }
  list.wake();
}

}  // namespace dynbatch
