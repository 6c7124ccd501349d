// Runtime, part 4 of 7: running a batch, and ending its requests.
#pragma once

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/mutant.hpp"
#include "batch/own_outputs.hpp"
#include "runtime/run_outputs.hpp"
#include "runtime/runtime.hpp"

namespace dynbatch {

/// Calls visit(row, part) for each part of a taken block.
template <class P, class Visit>
void for_each_part(std::span<Part<P>> parts, Visit&& visit) noexcept {
  for (std::size_t row = 0; row < parts.size(); row += parts[row].rows) {
    visit(static_cast<std::uint32_t>(row), parts[row]);
  }
}

/// A blocking caller runs what it has taken, and goes on only while parts of its own request wait.
template <class P, class Queue>
void Runtime<P, Queue>::lead(Taken& taken, R* own) noexcept {
  while (taken) {
    Record record;
    run_batch(taken, true, record);
    WakeList list;
    {
      const Lock lock(mutex_);
      const bool goes_on = !taken.failed_before && !own->is_done() && active_workers_ == 0;
      if (taken.failed_before) {
        --runs_under_way_;
        failed_.push_back(std::move(taken));  // reserved; a worker isolates it
        unsafe_note_rest();                   // without workers, close() ends it
      } else {
        unsafe_finish(taken, record);
      }
      taken = Taken{};
      if (!goes_on || !unsafe_take(taken, false)) unsafe_add_permits(1);
      if (!DYNBATCH_MUTANT(no_scan_after_permit)) unsafe_hand_out(list);
    }
    list.wake();
  }
}

template <class P, class Queue>
void Runtime<P, Queue>::run_batch(Taken& taken, bool on_caller, Record& record) noexcept {
  if constexpr (Queue::kStages) return run_staged_batch(taken, on_caller, record);
  const std::span<Part<P>> parts = queue_.parts(taken.block);
  if (DYNBATCH_MUTANT(recycles_early)) {
    const Lock lock(mutex_);
    queue_.unsafe_recycle(taken.block);
  }
  // acquire: pairs with close.
  if (cancelling_.load(std::memory_order_acquire)) {
    cancel(parts);
    return;
  }
  auto first = static_cast<std::uint32_t>(parts.size());
  std::uint32_t end = 0;
  std::size_t count = 0;
  Nanoseconds now = 0;
  for_each_part<P>(parts, [&](std::uint32_t row, const Part<P>& part) {
    ++count;
    if (part.request->is_done()) return;  // given up: its rows are skipped if they stand at an end
    first = std::min(first, row);
    end = row + part.rows;
    if (part.request->submitted_at == 0 || part.request_row > 0 || taken.failed_before ||
        record.wait_count == kSamples)
      return;  // not sampled, or noted already
    if (now == 0) now = P::now();
    record.waits[record.wait_count++] = now - part.request->submitted_at;
  });
  if (end == 0) {
    cancel(parts);
    return;
  }
  if (fills()) first = 0;  // filling needs the rows at the start of the block
  OutputBlock<P>& outputs = *ledger_->output_pool.acquire();
  // relaxed: nobody else knows the block. One hold is the run's own.
  outputs.readers.store(1, std::memory_order_relaxed);
  if (!taken.failed_before) {
    record.ran = true;
    record.run.on_caller = on_caller;
    taken.failure = execute({.memory = &input_memory_,
                             .block = taken.block,
                             .first = first,
                             .slot = first == 0 ? taken.block : Batch::kNoSlot,
                             .key = queue_.key(taken.block),
                             .parts = parts.subspan(first, end - first),
                             .alone = taken.alone,
                             .shrinks = taken.shrinks},
                            outputs, record.run);
    note_batch(taken, record);
  }
  if (!taken.failure) {
    complete(parts, first, outputs, true);
    // acquire: pairs with close, which has asked the run to end early.
  } else if (cancelling_.load(std::memory_order_acquire)) {
    cancel(parts);
  } else if (count == 1 || !executor_.reruns()) {
    fail(parts, taken.failure);
  } else if (on_caller) {
    taken.failed_before = true;
  } else {
    isolate(taken, outputs);
  }
  if (record.ran) give_back(taken, outputs, record);
  ledger_->output_pool.release(outputs);
}

template <class P, class Queue>
Failure Runtime<P, Queue>::execute(const RowRange& range, OutputBlock<P>& outputs,
                                   RunRecord& run) noexcept {
  const std::size_t rows = range.parts.size();
  const auto gear = std::lower_bound(setup_.fill_gears.begin(), setup_.fill_gears.end(), rows);
  const std::size_t run_rows = gear == setup_.fill_gears.end() ? rows : *gear;
  const auto* const shared = static_cast<const typename SharedInputs<P>::Entry*>(range.key);
  for (std::size_t i = 0; i < outputs.inputs.size(); ++i) {
    if (ledger_->spec.inputs[i].shared) {
      outputs.inputs[i] = shared->tensors[i].data();
      continue;
    }
    const std::size_t row_bytes = range.memory->layout().row_bytes[i];
    outputs.inputs[i] = range.memory->row(range.block, i, range.first);
    for (std::size_t row = rows; row < run_rows && row_bytes > 0; ++row) {
      std::memcpy(range.memory->row(range.block, i, range.first + row), setup_.fill_row[i].data(),
                  row_bytes);
    }
  }
  run.lone_limit = range.alone ? setup_.lone_limits[run_rows] : 0;
  run.alone = run.lone_limit > 0;
  CollectedOutputs<P> collected(ledger_->spec, outputs, run_rows);
  const Batch batch{.rows = run_rows,
                    .inputs = outputs.inputs,
                    .outputs = outputs.tensors,
                    .input_slot = range.slot,
                    .output_slot = outputs.slot,
                    .alone = run.alone,
                    .shrinks = range.shrinks};
  const Running running{.runtime = this, .outer = running_here()};
  running_here() = &running;
  const Nanoseconds start = P::now();
  Failure failure = executor_.run(batch, collected);
  run.ended_at = P::now();
  run.run_time = run.ended_at - start;
  run.shrinks = range.shrinks;
  running_here() = running.outer;
  if (!failure) failure = collected.check();
  outputs.rows = static_cast<std::uint32_t>(rows);
  run.rows = static_cast<std::uint32_t>(rows);
  run.padded_rows = static_cast<std::uint32_t>(run_rows - rows);
  run.failed = static_cast<bool>(failure);
  if (failure) {
    for (AdoptedOutput& output : outputs.adopted) output.clear();
    return failure;
  }
  for (const auto& [row, row_failure] : collected.row_failures()) {
    for_each_part<P>(range.parts, [&](std::uint32_t part_row, const Part<P>& part) {
      if (row >= part_row && row < part_row + part.rows)
        ledger_->set_failure(*part.request, row_failure);
    });
  }
  return {};
}

/// Gives back the memory of both blocks that only larger batches than those of late have touched: the
/// rows behind those of this run, which nobody else knows of until the blocks are used again.
template <class P, class Queue>
void Runtime<P, Queue>::give_back(const Taken& taken, OutputBlock<P>& outputs,
                                  Record& record) noexcept {
  const std::uint32_t run_rows = record.run.rows + record.run.padded_rows;
  const auto trim = [&](std::uint32_t& touched, std::uint32_t used, GearMemory& memory,
                        std::uint32_t block) {
    touched = std::max(touched, used);
    const std::uint32_t kept = std::max(taken.kept_rows, used);
    if (touched <= kept || taken.failure) return false;
    record.given_back_bytes += memory.give_back(block, kept, touched);
    touched = kept;
    return true;
  };
  // Skipped rows stand in front of those that ran.
  trim(touched_rows_[taken.block], std::max(queue_.rows(taken.block), run_rows), input_memory_,
       taken.block);
  outputs.trimmed = trim(outputs.touched_rows, run_rows, ledger_->output_memory, outputs.slot);
}

/// Ends the parts with their rows of `outputs`, the first of which belongs to row `first` of `parts`.
template <class P, class Queue>
void Runtime<P, Queue>::complete(std::span<Part<P>> parts, std::uint32_t first,
                                 OutputBlock<P>& outputs, bool may_lend) noexcept {
  const bool lent = may_lend && ledger_->output_pool.lend(outputs);
  const auto holds = static_cast<std::uint32_t>(parts.size());
  std::uint32_t unused = holds;
  // relaxed: tickets see the block only after their requests have been ended.
  if (lent) outputs.readers.fetch_add(holds, std::memory_order_relaxed);
  Tally tally;
  R* to_tell = nullptr;
  for_each_part<P>(parts, [&](std::uint32_t row, Part<P>& part) {
    R& request = *part.request;
    // acquire: pairs with set_failure: a row of the request may have failed by itself.
    const bool failed = request.failure.load(std::memory_order_acquire) != nullptr;
    if (failed || request.is_done()) {
      // nothing to hand over
    } else if (lent && !request.is_cut) {
      request.outputs = &outputs;
      request.first_row = row - first;
      if (!DYNBATCH_MUTANT(drops_output_hold)) --unused;
    } else {
      store_copy(request, part, row - first, outputs);
    }
    end_part(request, tally, to_tell);
  });
  tell_all(to_tell, tally);
  if (lent) ledger_->output_pool.release(outputs, unused);
}

template <class P, class Queue>
void Runtime<P, Queue>::store_copy(R& request, const Part<P>& part, std::uint32_t row,
                                   OutputBlock<P>& outputs) noexcept {
  Failure failure;
  try {
    if (!request.own_outputs) request.own_outputs = std::make_unique<OwnOutputs<P>>();
    failure = copy_out(request, part, row, outputs);
  } catch (const std::bad_alloc&) {
    failure.code = ErrorCode::execution;
  }
  if (failure) ledger_->set_failure(request, failure);
}

template <class P, class Queue>
void Runtime<P, Queue>::fail(std::span<Part<P>> parts, const Failure& failure) noexcept {
  Tally tally;
  R* to_tell = nullptr;
  for_each_part<P>(parts, [&](std::uint32_t, Part<P>& part) {
    if (!part.request->is_done()) ledger_->set_failure(*part.request, failure);
    end_part(*part.request, tally, to_tell);
  });
  tell_all(to_tell, tally);
}

template <class P, class Queue>
void Runtime<P, Queue>::cancel(std::span<Part<P>> parts) noexcept {
  fail(parts, {.code = ErrorCode::cancelled, .message = "cancelled by close()", .cause = nullptr});
}

/// One part of the request is over; the last one ends it, and lets go of the queue's hold.
template <class P, class Queue>
void Runtime<P, Queue>::end_part(R& request, Tally& tally, R*& to_tell) noexcept {
  // acq_rel: pairs with itself: the last part sees the results and failures of the others.
  if (request.open_parts.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  // acquire: pairs with set_failure.
  const Failure* const failure = request.failure.load(std::memory_order_acquire);
  const std::uint32_t state =
      ledger_->end(request, failure == nullptr ? ErrorCode::none : failure->code, tally);
  if ((state & R::kDone) != 0) {
    // Its caller gave it up; nobody will read the result.
    if (request.outputs != nullptr)
      ledger_->output_pool.release(*std::exchange(request.outputs, nullptr));
    ledger_->release(request);
  } else if ((state & (R::kWaiting | R::kPort)) != 0) {
    request.state_to_tell = state;
    request.next_to_tell = to_tell;
    to_tell = &request;
  } else {
    ledger_->release(request);
  }
}

/// Adds to the accounts, then wakes: ports once for all their requests, then each sleeping caller.
template <class P, class Queue>
void Runtime<P, Queue>::tell_all(R* to_tell, const Tally& tally) noexcept {
  ledger_->add(tally);
  R* sleepers = nullptr;
  CompletionList<P>* port = nullptr;
  PortEntry* first = nullptr;  // a chain for `port`, newest first
  PortEntry* last = nullptr;
  for (R* request = to_tell; request != nullptr;) {
    R* const next = request->next_to_tell;
    if ((request->state_to_tell & R::kWaiting) != 0) {
      if ((request->state_to_tell & R::kPort) != 0) {
        request->references.fetch_add(1, std::memory_order_relaxed);  // for the port
      }
      request->next_to_tell = sleepers;
      sleepers = request;
    }
    if ((request->state_to_tell & R::kPort) != 0) {
      if (port != nullptr && port != request->port) {
        port->add(first, last);
        first = nullptr;
      }
      port = request->port;
      if (first == nullptr) {
        first = request;
      } else {
        last->next_entry = request;
      }
      last = request;
    }
    request = next;
  }
  if (first != nullptr) port->add(first, last);
  while (sleepers != nullptr) {
    R* const next = sleepers->next_to_tell;
    P::wake(sleepers->state, INT32_MAX);
    ledger_->release(*sleepers);
    sleepers = next;
  }
}

/// Before any request of the batch is answered, so that whoever has an answer finds its run in stats().
template <class P, class Queue>
void Runtime<P, Queue>::note_batch(const Taken& taken, const Record& record) noexcept {
  const Lock lock(mutex_);
  if (!DYNBATCH_MUTANT(counts_late)) unsafe_note_batch(taken, record);
}

template <class P, class Queue>
void Runtime<P, Queue>::unsafe_note_batch(const Taken& taken, const Record& record) noexcept {
  statistics_.add(taken.reason);
  unsafe_add_run(record.run);
  for (std::size_t i = 0; i < record.wait_count; ++i) statistics_.queue_wait.add(record.waits[i]);
  if (record.run.failed) return;  // its time and rows say nothing about others
  if (record.run.alone) lone_runs_.note(record.run.run_time, record.run.lone_limit);
  if (lower_gear_.note(record.run.rows + record.run.padded_rows, record.run.ended_at)) {
    shrinks_next_ = true;
  }
}

template <class P, class Queue>
void Runtime<P, Queue>::note_run(const RunRecord& run) noexcept {
  const Lock lock(mutex_);
  unsafe_add_run(run);
}

template <class P, class Queue>
void Runtime<P, Queue>::unsafe_add_run(const RunRecord& run) noexcept {
  statistics_.add(run);
  // relaxed: a hint for callers.
  brief_rows_.store(statistics_.brief_runs.are_brief() ? run.rows : 0, std::memory_order_relaxed);
}

/// The batch is over: its block is free again, and whoever waited for room gets it.
template <class P, class Queue>
void Runtime<P, Queue>::unsafe_finish(const Taken& taken, const Record& record) noexcept {
  if (!DYNBATCH_MUTANT(recycles_early)) queue_.unsafe_recycle(taken.block);
  --leading_;
  --runs_under_way_;
  if (record.ran) {
    if (DYNBATCH_MUTANT(counts_late)) unsafe_note_batch(taken, record);
    statistics_.given_back_bytes += record.given_back_bytes;
    if constexpr (Queue::kStages) unsafe_trim_arena(record.run.ended_at);
  }
  if (!DYNBATCH_MUTANT(forgets_space)) unsafe_serve_space();
  unsafe_note_rest();
}

/// After a burst, for a while: what waiting requests no longer need is given back.
template <class P, class Queue>
void Runtime<P, Queue>::unsafe_trim_arena(Nanoseconds now) noexcept {
  constexpr std::size_t kUnit = std::size_t{64} << 10;
  const auto peak = static_cast<std::uint32_t>(queue_.unsafe_take_peak_bytes() / kUnit + 1);
  if (lower_arena_.note(peak, now)) statistics_.given_back_bytes += queue_.unsafe_give_back();
}

}  // namespace dynbatch
