// Runtime, part 6 of 7: finding the requests that make a batch fail.
#pragma once

#include <bit>
#include <cstring>
#include <vector>

#include "runtime/runtime.hpp"
#include "runtime/runtime_lead.hpp"

namespace dynbatch {

/// Runs the halves of a failed batch, and their halves, until the guilty requests are alone. If
/// nothing at all succeeds, the executor is at fault, and all that remain fail.
template <class P, class Queue>
void Runtime<P, Queue>::isolate(const Taken& taken, OutputBlock<P>& outputs) noexcept {
  struct Range {
    std::size_t first = 0;
    std::size_t last = 0;  // not included
  };
  const std::span<Part<P>> parts = queue_.parts(taken.block);
  std::vector<std::uint32_t> starts;  // rows at which parts begin, and the end
  for_each_part<P>(parts, [&](std::uint32_t row, Part<P>&) { starts.push_back(row); });
  const std::size_t count = starts.size();
  starts.push_back(static_cast<std::uint32_t>(parts.size()));
  const std::size_t hopeless = 2 * static_cast<std::size_t>(std::bit_width(count - 1));
  std::vector<Range> ranges{{count / 2, count}, {0, count / 2}};
  std::size_t failures = 0;
  bool any_success = false;
  while (!ranges.empty()) {
    const Range range = ranges.back();
    ranges.pop_back();
    const std::uint32_t first = starts[range.first];
    const std::span<Part<P>> some = parts.subspan(first, starts[range.last] - first);
    bool live = false;
    for_each_part<P>(
        some, [&](std::uint32_t, Part<P>& part) { live = live || !part.request->is_done(); });
    // acquire: pairs with close.
    if (!live || cancelling_.load(std::memory_order_acquire)) {
      cancel(some);
      continue;
    }
    if (!any_success && failures >= hopeless) {
      fail(some, taken.failure);
      continue;
    }
    const Failure failure = Queue::kStages ? rerun_staged(taken, first, some, outputs)
                                           : rerun(taken.block, first, some, outputs);
    if (!failure) {
      any_success = true;
      continue;
    }
    ++failures;
    if (range.last - range.first == 1) {
      fail(some, failure);
    } else {
      const std::size_t half = range.first + (range.last - range.first) / 2;
      // Halves of the first half come after the other half: one success there shows that the
      // executor is well, however many are guilty here.
      const bool first_half = range.first == 0 && range.last == count / 2;
      ranges.insert(first_half ? ranges.begin() : ranges.end(),
                    {{half, range.last}, {range.first, half}});
    }
  }
}

/// Runs a part of a failed batch again, from row `first` of its block on, and completes it unless it
/// fails.
template <class P, class Queue>
Failure Runtime<P, Queue>::rerun(std::uint32_t block, std::uint32_t first, std::span<Part<P>> parts,
                                 OutputBlock<P>& outputs) noexcept {
  RowRange rows{.memory = &input_memory_,
                .block = block,
                .first = first,
                .key = queue_.key(block),
                .parts = parts};
  if (fills()) {
    // Filling writes behind the rows of a run, where the next ones stand: they run from memory apart.
    rows.memory = &rerun_memory_;
    rows.block = acquire_rerun_block();
    rows.first = 0;
    copy_rows(block, first, parts.size(), rows.block);
  }
  RunRecord run{.rerun = true};
  Failure failure = execute(rows, outputs, run);
  note_run(run);
  if (fills()) release_rerun_block(rows.block);
  if (failure) return failure;
  complete(parts, 0, outputs, false);
  for (AdoptedOutput& output : outputs.adopted) output.clear();
  return {};
}

/// There is one for each worker.
template <class P, class Queue>
std::uint32_t Runtime<P, Queue>::acquire_rerun_block() noexcept {
  const Lock lock(mutex_);
  const std::uint32_t block = free_rerun_blocks_.back();
  free_rerun_blocks_.pop_back();
  return block;
}

template <class P, class Queue>
void Runtime<P, Queue>::release_rerun_block(std::uint32_t block) noexcept {
  const Lock lock(mutex_);
  free_rerun_blocks_.push_back(block);
}

template <class P, class Queue>
void Runtime<P, Queue>::copy_rows(std::uint32_t block, std::uint32_t first, std::size_t rows,
                                  std::uint32_t rerun_block) const noexcept {
  const std::vector<std::size_t>& row_bytes = input_memory_.layout().row_bytes;
  for (std::size_t i = 0; i < row_bytes.size(); ++i) {
    if (row_bytes[i] == 0) continue;
    std::memcpy(rerun_memory_.row(rerun_block, i, 0), input_memory_.row(block, i, first),
                rows * row_bytes[i]);
  }
}

}  // namespace dynbatch
