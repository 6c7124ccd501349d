// Runtime, part 5 of 7: what requests may be, and batches that are gathered before they run, and taken apart
// afterwards.
#pragma once

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "batch/input_check.hpp"
#include "batch/staged_input_check.hpp"
#include "batch/staged_outputs.hpp"
#include "runtime/run_outputs.hpp"
#include "runtime/runtime.hpp"
#include "runtime/runtime_lead.hpp"
#include "runtime/shape_plan.hpp"

namespace dynbatch {

/// The rows of a request that the model takes.
template <class P, class Queue>
std::optional<std::size_t> Runtime<P, Queue>::check(std::span<const InputView> inputs,
                                                    [[maybe_unused]] StagedKey& key,
                                                    Failure& refusal) const {
  const ModelSpec& spec = ledger_->spec;
  if constexpr (!Queue::kStages) {
    return check_inputs(spec, inputs, refusal);
  } else {
    const auto rows = check_staged_inputs(spec, stager_->plan(), inputs, key, refusal);
    if (!rows || *rows == 0) return rows;
    const auto invalid = [&](std::string message) {
      refusal = {.code = ErrorCode::invalid_input, .message = std::move(message), .cause = nullptr};
      return std::nullopt;
    };
    const std::span<const std::int64_t> sizes(key.sizes.data(), spec.dimensions.size());
    if (const auto why = refuse_sizes(stager_->plan(), spec, sizes)) return invalid(*why);
    set_gear(key);
    if (setup_.whole_requests && key.most_rows > 0 && *rows > key.most_rows) {
      return invalid(
          "expected at most " + std::to_string(key.most_rows) +
          " rows, the batch of the gear of these sizes, since requests are not cut; got " +
          std::to_string(*rows));
    }
    const std::size_t most = queue_.arena().largest_piece();
    const std::size_t needed = key.payload_bytes(setup_.whole_requests ? *rows : 1);
    if (needed > most) {
      return invalid("expected inputs of at most " + std::to_string(most) +
                     " bytes, all that queue_bytes holds; got " + std::to_string(needed) +
                     "; raise queue_bytes");
    }
    return rows;
  }
}

/// Requests share batches within a gear that has a batch size of its own.
template <class P, class Queue>
void Runtime<P, Queue>::set_gear(StagedKey& key) const noexcept {
  const ShapePlan& plan = stager_->plan();
  if (std::ranges::all_of(plan.gear_batches, [](std::size_t batch) { return batch == 0; })) return;
  const std::size_t dimensions = ledger_->spec.dimensions.size();
  fit_sizes(plan, {key.sizes.data(), dimensions}, {key.equal.data(), dimensions});
  for (std::size_t g = 0; g < plan.gear_batches.size(); ++g) {
    if (!std::ranges::equal(plan.size_gears[g], std::span(key.equal.data(), dimensions))) continue;
    if (plan.gear_batches[g] == 0) {
      key.most_rows = 0;
      return;
    }
    key.most_rows = std::max(key.most_rows, static_cast<std::uint32_t>(plan.gear_batches[g]));
  }
}

template <class P, class Queue>
void Runtime<P, Queue>::run_staged_batch(Taken& taken, bool on_caller, Record& record) noexcept {
  const std::span<Part<P>> parts = queue_.parts(taken.block);
  Staging& staging = acquire_staging();
  std::size_t count = 0;
  Nanoseconds now = 0;
  for_each_part<P>(parts, [&](std::uint32_t, const Part<P>& part) {
    ++count;
    if (part.request->is_done() || part.request->submitted_at == 0 || part.request_row > 0 ||
        taken.failed_before || record.wait_count == kSamples)
      return;
    if (now == 0) now = P::now();
    record.waits[record.wait_count++] = now - part.request->submitted_at;
  });
  list_parts(staging, taken.block, 0, parts);
  // acquire: pairs with close.
  if (cancelling_.load(std::memory_order_acquire) || staging.parts.empty()) {
    release_staging(staging);
    cancel(parts);
    return;
  }
  OutputBlock<P>& outputs = *ledger_->output_pool.acquire();
  // relaxed: nobody else knows the block. One hold is the run's own.
  outputs.readers.store(1, std::memory_order_relaxed);
  if (!taken.failed_before) {
    record.ran = true;
    record.run.on_caller = on_caller;
    taken.failure = execute_staged(staging, taken, outputs, record.run);
    note_batch(taken, record);
  }
  if (!taken.failure) complete_staged(parts, staging, outputs, true);
  release_staging(staging);
  if (taken.failure) {
    // acquire: pairs with close, which has asked the run to end early.
    if (cancelling_.load(std::memory_order_acquire)) {
      cancel(parts);
    } else if (count == 1 || !executor_.reruns()) {
      fail(parts, taken.failure);
    } else if (on_caller) {
      taken.failed_before = true;
    } else {
      isolate(taken, outputs);
    }
  }
  ledger_->output_pool.release(outputs);
}

/// The parts that are still wanted.
template <class P, class Queue>
void Runtime<P, Queue>::list_parts([[maybe_unused]] Staging& staging,
                                   [[maybe_unused]] std::uint32_t batch,
                                   [[maybe_unused]] std::uint32_t first,
                                   [[maybe_unused]] std::span<Part<P>> parts) noexcept {
  if constexpr (Queue::kStages) {
    staging.parts.clear();
    for_each_part<P>(parts, [&](std::uint32_t row, Part<P>& part) {
      if (part.request->is_done()) return;
      staging.parts.push_back({.payload = queue_.payload(batch, first + row),  // reserved
                               .key = &part.request->staged,
                               .rows = part.rows,
                               .first_row = 0,
                               .owner = &part});
    });
  }
}

template <class P, class Queue>
Failure Runtime<P, Queue>::execute_staged(Staging& staging, const Taken& taken,
                                          OutputBlock<P>& outputs, RunRecord& run) noexcept {
  const auto* const shared =
      static_cast<const typename SharedInputs<P>::Entry*>(staging.parts.front().key->shared);
  Failure failure = stager_->stage(
      staging, shared == nullptr ? std::span<const std::vector<std::byte>>() : shared->tensors);
  run.rows = static_cast<std::uint32_t>(staging.rows);
  outputs.rows = run.rows;
  run.failed = static_cast<bool>(failure);
  if (failure) return failure;
  run.padded_rows = static_cast<std::uint32_t>(staging.run_rows - staging.rows);
  run.elements = staging.elements;
  run.padded_elements = staging.padded_elements;
  run.lone_limit = taken.alone ? shaped_lone_.limit(staging.run_rows, staging.sizes) : 0;
  run.alone = run.lone_limit > 0;
  CollectedOutputs<P> collected(ledger_->spec, outputs, staging.run_rows);
  const Batch batch{.rows = staging.run_rows,
                    .inputs = staging.inputs,
                    .outputs = outputs.tensors,
                    .input_shapes = staging.shapes,
                    .alone = run.alone,
                    .shrinks = taken.shrinks};
  if (run_tokens_) run_tokens_->acquire();
  // acquire: pairs with close, which may have come while this waited.
  if (run_tokens_ && cancelling_.load(std::memory_order_acquire)) {
    run_tokens_->release();
    return {.code = ErrorCode::cancelled, .message = "cancelled by close()", .cause = nullptr};
  }
  const Running running{.runtime = this, .outer = running_here()};
  running_here() = &running;
  const Nanoseconds start = P::now();
  failure = executor_.run(batch, collected);
  run.ended_at = P::now();
  run.run_time = run.ended_at - start;
  run.shrinks = taken.shrinks;
  running_here() = running.outer;
  if (run_tokens_) run_tokens_->release();
  if (!failure) failure = collected.check_delivered();
  if (!failure) {
    for (std::size_t i = 0; i < staging.outputs.size(); ++i)
      staging.outputs[i] = outputs.adopted[i].shape;
    failure = stager_->check(staging, staging.outputs);
  }
  run.failed = static_cast<bool>(failure);
  if (failure) {
    for (AdoptedOutput& output : outputs.adopted) output.clear();
    return failure;
  }
  note_row_failures(collected, staging);
  return {};
}

template <class P, class Queue>
void Runtime<P, Queue>::note_row_failures(const CollectedOutputs<P>& collected,
                                          const Staging& staging) noexcept {
  for (const auto& [row, failure] : collected.row_failures()) {
    for (const StagedPart& part : staging.parts) {
      if (row < part.first_row || row >= part.first_row + part.rows) continue;
      ledger_->set_failure(*static_cast<Part<P>*>(part.owner)->request, failure);
    }
  }
}

/// Ends the parts, each with its own of the outputs. What staging does not list was given up before the run.
template <class P, class Queue>
void Runtime<P, Queue>::complete_staged(std::span<Part<P>> parts, Staging& staging,
                                        OutputBlock<P>& outputs, bool may_lend) noexcept {
  // One request that filled the batch gets the model's own outputs.
  const bool whole = stager_->is_whole(staging, staging.outputs) &&
                     !static_cast<Part<P>*>(staging.parts.front().owner)->request->is_cut;
  const bool lent = may_lend && whole && ledger_->output_pool.lend(outputs);
  std::uint32_t unused = 1;
  // relaxed: the ticket sees the block only after its request has been ended.
  if (lent) outputs.readers.fetch_add(1, std::memory_order_relaxed);
  Tally tally;
  R* to_tell = nullptr;
  std::size_t index = 0;
  for_each_part<P>(parts, [&](std::uint32_t, Part<P>& part) {
    R& request = *part.request;
    const bool ran = index < staging.parts.size() && staging.parts[index].owner == &part;
    // acquire: pairs with set_failure: a row of the request may have failed by itself.
    const bool failed = request.failure.load(std::memory_order_acquire) != nullptr;
    if (ran && !failed && !request.is_done()) {
      if (lent) {
        request.outputs = &outputs;
        request.first_row = 0;
        --unused;
      } else {
        store_staged(request, part, staging, index, outputs);
      }
    }
    if (ran) ++index;
    end_part(request, tally, to_tell);
  });
  tell_all(to_tell, tally);
  if (lent && unused > 0) ledger_->output_pool.release(outputs, unused);
}

template <class P, class Queue>
void Runtime<P, Queue>::store_staged(R& request, const Part<P>& part, Staging& staging,
                                     std::size_t index, OutputBlock<P>& outputs) noexcept {
  Failure failure;
  try {
    if (!request.own_outputs) request.own_outputs = std::make_unique<OwnOutputs<P>>();
    failure = copy_staged_out(*stager_, staging, index, request, part, outputs);
  } catch (const std::bad_alloc&) {
    failure.code = ErrorCode::execution;
  }
  if (failure) ledger_->set_failure(request, failure);
}

/// Runs a part of a failed batch again, and completes it unless it fails.
template <class P, class Queue>
Failure Runtime<P, Queue>::rerun_staged(const Taken& taken, std::uint32_t first,
                                        std::span<Part<P>> parts,
                                        OutputBlock<P>& outputs) noexcept {
  Staging& staging = acquire_staging();
  list_parts(staging, taken.block, first, parts);
  Failure failure;
  if (staging.parts.empty()) {
    cancel(parts);  // given up meanwhile
  } else {
    RunRecord run{.rerun = true};
    failure = execute_staged(staging, Taken{}, outputs, run);  // not alone, and shrinks nothing
    note_run(run);
    if (!failure) complete_staged(parts, staging, outputs, false);
  }
  for (AdoptedOutput& output : outputs.adopted) output.clear();
  release_staging(staging);
  return failure;
}

/// There is one for each permit.
template <class P, class Queue>
Staging& Runtime<P, Queue>::acquire_staging() noexcept {
  const Lock lock(mutex_);
  Staging* const staging = free_stagings_.back();
  free_stagings_.pop_back();
  return *staging;
}

template <class P, class Queue>
void Runtime<P, Queue>::release_staging(Staging& staging) noexcept {
  const Lock lock(mutex_);
  free_stagings_.push_back(&staging);
}

/// The answer to a request of no rows: no elements, in the shape that its sizes give.
template <class P, class Queue>
void Runtime<P, Queue>::answer_no_rows(R& request) noexcept {
  try {
    if (!request.own_outputs) request.own_outputs = std::make_unique<OwnOutputs<P>>();
    request.own_outputs->tensors.resize(ledger_->spec.outputs.size());
    for (std::size_t i = 0; i < ledger_->spec.outputs.size(); ++i)
      make_own(request, i, stager_->empty_shape(i, request.staged.sizes));
  } catch (const std::bad_alloc&) {
    ledger_->set_failure(request, {.code = ErrorCode::execution, .message = {}, .cause = nullptr});
  }
}

}  // namespace dynbatch
