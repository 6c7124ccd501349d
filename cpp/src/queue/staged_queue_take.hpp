// StagedQueue, part 2 of 2: taking batches and giving them back.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/mutant.hpp"
#include "queue/staged_queue.hpp"

namespace dynbatch {

template <class P, class Part, class Chooser>
auto StagedQueue<P, Part, Chooser>::state_of(const Group& group) const noexcept -> BlockState {
  BlockState state;
  const std::uint32_t most = rows_of_batch(group.key);
  for (std::uint32_t at = group.first; at != kNone && state.rows < most; at = entries_[at].next) {
    const Entry& entry = entries_[at];
    // seq_cst: pairs with publish: sees its part and inputs. Follows the runtime's store of its free
    // permits: the other half of the pair that loses no wake-up.
    if (!entry.ready.load(std::memory_order_seq_cst)) continue;
    // relaxed: published with the entry.
    if (state.rows == 0) state.first_at = entry.first_at.load(std::memory_order_relaxed);
    state.rows += entry.rows;
    if (exclusive_) break;
  }
  state.full = state.rows >= most;
  state.sealed = exclusive_;
  return state;
}

template <class P, class Part, class Chooser>
template <class Decide>
std::uint32_t StagedQueue<P, Part, Chooser>::unsafe_take(Decide&& decide) noexcept {
  if (free_batches_.empty()) return kNone;
  ++looks_;
  for (std::uint32_t at = first_of_all_; at != kNone; at = entries_[at].next_of_all) {
    // seq_cst: pairs with publish, as in state_of.
    if (!entries_[at].ready.load(std::memory_order_seq_cst)) continue;
    Group& group = groups_[entries_[at].group];
    if (std::exchange(group.seen, looks_) == looks_) continue;
    const BlockState state = state_of(group);
    if (state.rows > 0 && decide(state)) return form(group);
  }
  return kNone;
}

template <class P, class Part, class Chooser>
std::uint32_t StagedQueue<P, Part, Chooser>::form(const Group& group) noexcept {
  std::array<StagedCandidate, kLookAhead> candidates;
  std::array<std::uint32_t, kLookAhead> places;
  std::size_t count = 0;
  for (std::uint32_t at = group.first; at != kNone && count < kLookAhead; at = entries_[at].next) {
    // acquire: pairs with publish, as in state_of.
    if (!entries_[at].ready.load(std::memory_order_acquire) && !DYNBATCH_MUTANT(takes_unready))
      continue;
    candidates[count] = {.rows = entries_[at].rows, .key = entries_[at].key};
    places[count++] = at;
    if (exclusive_) break;
  }
  const std::uint32_t index = free_batches_.back();
  free_batches_.pop_back();
  Batch& batch = batches_[index];
  batch.rows = 0;
  const auto add = [&](std::uint32_t at) {
    Entry& entry = entries_[at];
    batch.parts[batch.rows] = entry.part;
    batch.entries[batch.rows] = at;
    batch.rows += entry.rows;
    remove(at);
    --waiting_;
  };
  if (count == 1) {
    add(places[0]);
  } else {
    for (const std::uint16_t chosen : chooser_.choose({candidates.data(), count}))
      add(places[chosen]);
  }
  // relaxed: a hint.
  ready_rows_.fetch_sub(batch.rows, std::memory_order_relaxed);
  return index;
}

template <class P, class Part, class Chooser>
template <class Decide>
std::size_t StagedQueue<P, Part, Chooser>::unsafe_count_ready(Decide&& decide) const noexcept {
  std::size_t ready = 0;
  for (const std::uint32_t index : active_) {
    const BlockState state = state_of(groups_[index]);
    if (state.rows > 0 && decide(state)) ++ready;
  }
  // What one key has beyond a batch is found by whoever takes the first: it looks again.
  return std::min(ready, free_batches_.size());
}

template <class P, class Part, class Chooser>
void StagedQueue<P, Part, Chooser>::unsafe_recycle(std::uint32_t index) noexcept {
  Batch& batch = batches_[index];
  for (std::uint32_t row = 0; row < batch.rows; row += entries_[batch.entries[row]].rows)
    free_entry(batch.entries[row]);
  batch.rows = 0;
  free_batches_.push_back(index);
}

template <class P, class Part, class Chooser>
bool StagedQueue<P, Part, Chooser>::unsafe_invariants_hold() const noexcept {
  std::size_t waiting = 0;
  std::size_t rows = 0;
  for (const std::uint32_t index : active_) {
    const Group& group = groups_[index];
    if (group.first == kNone) return false;
    std::uint32_t previous = kNone;
    for (std::uint32_t at = group.first; at != kNone; at = entries_[at].next) {
      const Entry& entry = entries_[at];
      if (entry.group != index || entry.previous != previous) return false;
      if (!group.key.may_join(*entry.key) || entry.payload == nullptr) return false;
      if (previous != kNone && entries_[previous].number >= entry.number) return false;
      previous = at;
      rows += entry.rows;
      ++waiting;
    }
    if (group.last != previous) return false;
  }
  std::size_t taken = 0;
  for (const Batch& batch : batches_) {
    for (std::uint32_t row = 0; row < batch.rows; row += entries_[batch.entries[row]].rows) ++taken;
    rows += batch.rows;
  }
  if (rows + free_rows_ != entries_.size()) return false;
  return waiting == waiting_ && active_.size() + free_groups_.size() == groups_.size() &&
         waiting + taken + free_entries_.size() == entries_.size() && arena_.invariants_hold();
}

}  // namespace dynbatch
