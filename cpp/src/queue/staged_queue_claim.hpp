// StagedQueue, part 1 of 2: claiming and publishing.
#pragma once

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/mutant.hpp"
#include "queue/staged_queue.hpp"

namespace dynbatch {

template <class P, class Part, class Chooser>
StagedQueue<P, Part, Chooser>::StagedQueue(std::uint32_t capacity, std::uint32_t rows,
                                           bool exclusive, std::size_t arena_bytes,
                                           std::uint32_t batches, Chooser chooser)
    : rows_(rows),
      exclusive_(exclusive),
      chooser_(std::move(chooser)),
      arena_(arena_bytes),
      entries_(capacity),
      free_entries_(capacity),
      groups_(capacity),
      free_groups_(capacity),
      buckets_(std::bit_ceil(std::size_t{capacity} * 2), kNone),
      batches_(batches),
      free_batches_(batches),
      free_rows_(capacity) {
  DYNBATCH_ASSERT(capacity > 0 && rows > 0 && batches > 0);
  // The lowest first, so that few of them are in use and warm.
  std::iota(free_entries_.rbegin(), free_entries_.rend(), 0);
  std::iota(free_groups_.rbegin(), free_groups_.rend(), 0);
  std::iota(free_batches_.rbegin(), free_batches_.rend(), 0);
  active_.reserve(capacity);
  for (Batch& batch : batches_) {
    batch.parts.resize(rows);
    batch.entries.resize(rows);
  }
}

template <class P, class Part, class Chooser>
auto StagedQueue<P, Part, Chooser>::publish(const Claim& claim, const Part& part) noexcept
    -> BlockState {
  Entry& entry = entries_[claim.block];
  entry.part = part;
  // relaxed: a hint; counted before the entry can be taken.
  const std::uint32_t rows =
      ready_rows_.fetch_add(claim.rows, std::memory_order_relaxed) + claim.rows;
  // seq_cst: pairs with state_of: publishes the part and its inputs. With the runtime's load of its free
  // permits that follows, it is one half of the store-load pair that loses no wake-up.
  entry.ready.store(true, DYNBATCH_MUTANT(weak_staged_publish) ? std::memory_order_release
                                                               : std::memory_order_seq_cst);
  BlockState state{.rows = rows};
  state.full = rows >= rows_;  // of some keys together: whoever looks under the lock sees which
  state.sealed = exclusive_;
  return state;
}

template <class P, class Part, class Chooser>
std::size_t StagedQueue<P, Part, Chooser>::unsafe_room(std::size_t wanted, Key key) noexcept {
  if (exclusive_ && wanted > rows_) return 0;
  // Nobody knows what is to come: not while the arena was found to be too full for somebody.
  if (key == nullptr) return short_of_room_ ? 0 : std::min(wanted, free_rows_);
  if (wanted > free_rows_) {
    short_of_room_ = true;
    return free_rows_;
  }
  const std::size_t rows = exclusive_ ? wanted : rows_that_fit(*key);
  const std::size_t whole = wanted / rows;
  const std::size_t rest = wanted % rows;
  std::size_t bytes = whole * PayloadArena::piece_bytes(key->payload_bytes(rows));
  if (rest > 0) bytes += PayloadArena::piece_bytes(key->payload_bytes(rest));
  if (arena_.used_bytes() + bytes <= arena_.total_bytes()) return wanted;
  short_of_room_ = true;
  return 0;
}

template <class P, class Part, class Chooser>
Claim StagedQueue<P, Part, Chooser>::unsafe_claim(std::uint32_t rows, Key key, bool,
                                                  std::size_t) noexcept {
  // Not what there is room for: a request that is not cut stays whole, and others in large parts.
  const auto part =
      exclusive_ ? rows
                 : static_cast<std::uint32_t>(std::min<std::size_t>(rows, rows_that_fit(*key)));
  if (part > free_rows_) return {};
  std::byte* const payload = arena_.acquire(key->payload_bytes(part));
  if (payload == nullptr) {
    short_of_room_ = true;
    return {};
  }
  const std::uint32_t index = free_entries_.back();
  free_entries_.pop_back();
  Entry& entry = entries_[index];
  // relaxed, both: published with the part; until then takers see that it is not ready.
  entry.ready.store(false, std::memory_order_relaxed);
  entry.first_at.store(0, std::memory_order_relaxed);
  entry.key = key;
  entry.payload = payload;
  entry.rows = part;
  entry.number = claims_++;
  ++waiting_;
  free_rows_ -= part;
  append(group_for(*key), index);
  return {.block = index, .row = 0, .rows = part};
}

template <class P, class Part, class Chooser>
void StagedQueue<P, Part, Chooser>::unsafe_unclaim(const Claim& claim) noexcept {
  remove(claim.block);
  --waiting_;
  // What its request found too few bytes for does not fit now either.
  const bool short_of_room = short_of_room_;
  free_entry(claim.block);
  short_of_room_ = short_of_room;
}

template <class P, class Part, class Chooser>
std::uint32_t StagedQueue<P, Part, Chooser>::group_for(const StagedKey& key) noexcept {
  const std::uint64_t hash = key.hash();
  std::uint32_t& bucket = bucket_of(hash);
  for (std::uint32_t at = bucket; at != kNone; at = groups_[at].next_in_bucket) {
    if (groups_[at].hash == hash && groups_[at].key.may_join(key)) return at;
  }
  const std::uint32_t index = free_groups_.back();  // there are as many as entries
  free_groups_.pop_back();
  Group& group = groups_[index];
  group.key = key;
  group.hash = hash;
  group.next_in_bucket = bucket;
  group.position = static_cast<std::uint32_t>(active_.size());
  active_.push_back(index);
  bucket = index;
  return index;
}

template <class P, class Part, class Chooser>
void StagedQueue<P, Part, Chooser>::drop_group(std::uint32_t index) noexcept {
  Group& group = groups_[index];
  std::uint32_t* at = &bucket_of(group.hash);
  while (*at != index) at = &groups_[*at].next_in_bucket;
  *at = group.next_in_bucket;
  active_[group.position] = active_.back();
  groups_[active_.back()].position = group.position;
  active_.pop_back();
  free_groups_.push_back(index);
}

template <class P, class Part, class Chooser>
void StagedQueue<P, Part, Chooser>::append(std::uint32_t group_index,
                                           std::uint32_t index) noexcept {
  Group& group = groups_[group_index];
  Entry& entry = entries_[index];
  entry.group = group_index;
  entry.next = kNone;
  entry.previous = group.last;
  (group.last == kNone ? group.first : entries_[group.last].next) = index;
  group.last = index;
  entry.next_of_all = kNone;
  entry.previous_of_all = last_of_all_;
  (last_of_all_ == kNone ? first_of_all_ : entries_[last_of_all_].next_of_all) = index;
  last_of_all_ = index;
}

template <class P, class Part, class Chooser>
void StagedQueue<P, Part, Chooser>::remove(std::uint32_t index) noexcept {
  Entry& entry = entries_[index];
  const std::uint32_t group_index = std::exchange(entry.group, kNone);
  Group& group = groups_[group_index];
  (entry.previous == kNone ? group.first : entries_[entry.previous].next) = entry.next;
  (entry.next == kNone ? group.last : entries_[entry.next].previous) = entry.previous;
  if (group.first == kNone) drop_group(group_index);
  (entry.previous_of_all == kNone ? first_of_all_ : entries_[entry.previous_of_all].next_of_all) =
      entry.next_of_all;
  (entry.next_of_all == kNone ? last_of_all_ : entries_[entry.next_of_all].previous_of_all) =
      entry.previous_of_all;
}

template <class P, class Part, class Chooser>
void StagedQueue<P, Part, Chooser>::free_entry(std::uint32_t index) noexcept {
  arena_.release(std::exchange(entries_[index].payload, nullptr));
  short_of_room_ = false;
  free_rows_ += entries_[index].rows;
  free_entries_.push_back(index);
}

}  // namespace dynbatch
