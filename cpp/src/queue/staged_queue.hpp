// StagedQueue: requests whose rows cannot be written in place wait here, their inputs in a payload arena,
// in a list per batch key. Whoever holds a permit takes a batch out of the list whose first request has
// waited longest of those that are due; which of its requests, a Chooser says. So requests that may not run
// together never stand in each other's way, and keys come and go with the requests that have them.
//
// It has RequestQueue's interface as far as the runtime uses it. A claim is one entry (a request, or a part
// of one that is larger than a batch), and Claim::block names it; a taken batch is named by a number of its
// own.
//
// Threads: publish(), payload(), first_at and the hints may be called by any thread for what it has claimed;
// what is named unsafe_ is called under the runtime's one short lock, claims included: a request of such a
// model costs a gather and a scatter anyway.
// Bounded: rows, and the bytes of the arena. Nothing here allocates after construction.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/assertions.hpp"
#include "base/platform.hpp"
#include "memory/payload_arena.hpp"
#include "queue/request_queue.hpp"
#include "queue/staged_key.hpp"

namespace dynbatch {

/// What a Chooser sees of an entry.
struct StagedCandidate {
  std::uint32_t rows = 0;
  const StagedKey* key = nullptr;
};

/// `Chooser` has choose(span<const StagedCandidate>) -> span<const std::uint16_t>, noexcept: which of the
/// entries of one key, the oldest first, run next. Index 0 is always among them, rising.
template <class P, class Part, class Chooser>
class StagedQueue {
 public:
  static constexpr bool kStages = true;
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::size_t kLookAhead = 64;  // entries of one key that a Chooser is shown
  using Key = const StagedKey*;

  /// As RequestQueue's, of the rows of one key.
  struct BlockState {
    std::uint32_t rows = 0;
    bool complete = true;
    bool full = false;
    bool sealed = false;
    bool held = false;
    Nanoseconds first_at = 0;
  };

  /// `capacity` rows wait or run at most, in `arena_bytes`; a batch has at most `rows` rows. `exclusive`: each
  /// request is a batch of its own. `batches` may be taken at a time.
  StagedQueue(std::uint32_t capacity, std::uint32_t rows, bool exclusive, std::size_t arena_bytes,
              std::uint32_t batches, Chooser chooser);

  std::size_t rows_in_all() const noexcept { return entries_.size(); }
  std::uint32_t rows_per_block() const noexcept { return rows_; }
  const PayloadArena& arena() const noexcept { return arena_; }

  /// Claims are made under the lock.
  Claim claim(std::uint32_t, bool = false) noexcept { return {}; }
  /// Where the claimer writes the inputs of what it has claimed.
  std::byte* payload(const Claim& claim) const noexcept { return entries_[claim.block].payload; }
  void set_first_at(const Claim& claim, Nanoseconds now) noexcept {
    entries_[claim.block].first_at.store(now, std::memory_order_relaxed);
  }
  Nanoseconds first_at(const Claim& claim) const noexcept {
    return entries_[claim.block].first_at.load(std::memory_order_relaxed);
  }
  BlockState publish(const Claim& claim, const Part& part) noexcept;
  bool looks_ready() const noexcept { return ready_rows_.load(std::memory_order_relaxed) > 0; }
  bool looks_empty() const noexcept { return !looks_ready(); }
  std::uint32_t growing_rows() const noexcept { return 0; }
  std::uint32_t unsafe_growing_rows() const noexcept { return 0; }

  /// Without a key: for somebody whose bytes are not known. None while somebody has found too few bytes.
  std::size_t unsafe_room(std::size_t wanted, Key key) noexcept;
  Claim unsafe_claim(std::uint32_t rows, Key key, bool hold = false,
                     std::size_t least_of_open = 0) noexcept;
  /// Takes a claim back that was not published.
  void unsafe_unclaim(const Claim& claim) noexcept;
  void unsafe_release_held() noexcept {}
  void unsafe_open_next() noexcept {}
  void unsafe_stop_claims() noexcept {}

  template <class Decide>
  std::uint32_t unsafe_take(Decide&& decide) noexcept;
  template <class Decide>
  std::size_t unsafe_count_ready(Decide&& decide) const noexcept;
  void unsafe_recycle(std::uint32_t index) noexcept;
  /// The most bytes that were in use since the last call, and what gives those back that are not.
  std::size_t unsafe_take_peak_bytes() noexcept { return arena_.take_peak_bytes(); }
  std::size_t unsafe_give_back() noexcept { return arena_.give_back(); }

  std::span<Part> parts(std::uint32_t batch) noexcept {
    return {batches_[batch].parts.data(), batches_[batch].rows};
  }
  std::uint32_t rows(std::uint32_t batch) const noexcept { return batches_[batch].rows; }
  /// Its shared inputs.
  BatchKey key(std::uint32_t batch) const noexcept {
    return entries_[batches_[batch].entries[0]].key->shared;
  }
  /// The inputs of the part that stands at row `row` of a taken batch.
  const std::byte* payload(std::uint32_t batch, std::uint32_t row) const noexcept {
    return entries_[batches_[batch].entries[row]].payload;
  }
  std::size_t unsafe_free_rows() const noexcept { return free_rows_; }
  /// Entries that wait, published or not, and batches that are taken.
  std::size_t unsafe_blocks_in_use() const noexcept {
    return waiting_ + (batches_.size() - free_batches_.size());
  }
  bool unsafe_idle() const noexcept { return free_entries_.size() == entries_.size(); }
  std::size_t unsafe_keys() const noexcept { return groups_.size() - free_groups_.size(); }
  bool unsafe_invariants_hold() const noexcept;

 private:
  struct Entry {
    typename P::template atomic<bool> ready{false};
    typename P::template atomic<Nanoseconds> first_at{0};
    Part part;
    Key key = nullptr;
    std::byte* payload = nullptr;
    std::uint64_t number = 0;  // rises with each claim: age
    std::uint32_t rows = 0;
    std::uint32_t group = kNone;  // kNone: free, or taken
    std::uint32_t next = kNone;   // of its group
    std::uint32_t previous = kNone;
    std::uint32_t next_of_all = kNone;  // of all that wait
    std::uint32_t previous_of_all = kNone;
  };
  /// The entries of one key, the oldest first.
  struct Group {
    StagedKey key;
    std::uint64_t hash = 0;
    std::uint32_t first = kNone;
    std::uint32_t last = kNone;
    std::uint32_t next_in_bucket = kNone;
    std::uint32_t position = 0;  // in active_
    std::uint64_t seen = 0;      // the last look that came by
  };
  struct Batch {
    std::vector<Part> parts;             // [row]; those at the first row of a part count
    std::vector<std::uint32_t> entries;  // likewise
    std::uint32_t rows = 0;
  };

  std::uint32_t rows_of_batch(const StagedKey& key) const noexcept {
    return key.most_rows == 0 ? rows_ : std::min(rows_, key.most_rows);
  }
  std::size_t rows_that_fit(const StagedKey& key) const noexcept {
    const std::size_t most = arena_.largest_piece();
    const std::size_t rows = rows_of_batch(key);
    if (key.row_bytes == 0) return rows;
    const std::size_t fit = most > key.head_bytes ? (most - key.head_bytes) / key.row_bytes : 0;
    return std::clamp<std::size_t>(fit, 1, rows);
  }
  std::uint32_t& bucket_of(std::uint64_t hash) noexcept {
    return buckets_[hash & (buckets_.size() - 1)];
  }
  std::uint32_t group_for(const StagedKey& key) noexcept;
  void drop_group(std::uint32_t index) noexcept;
  void append(std::uint32_t group_index, std::uint32_t index) noexcept;
  void remove(std::uint32_t index) noexcept;
  void free_entry(std::uint32_t index) noexcept;
  BlockState state_of(const Group& group) const noexcept;
  std::uint32_t form(const Group& group) noexcept;

  const std::uint32_t rows_;
  const bool exclusive_;
  Chooser chooser_;
  PayloadArena arena_;
  std::vector<Entry> entries_;               // one for each row, so that rows run short first
  std::vector<std::uint32_t> free_entries_;  // capacity for all, as the following
  std::vector<Group> groups_;
  std::vector<std::uint32_t> free_groups_;
  std::vector<std::uint32_t> active_;   // groups that have entries
  std::vector<std::uint32_t> buckets_;  // by hash; a power of two
  std::vector<Batch> batches_;
  std::vector<std::uint32_t> free_batches_;
  std::uint32_t first_of_all_ = kNone;
  std::uint32_t last_of_all_ = kNone;
  std::uint64_t claims_ = 0;
  std::uint64_t looks_ = 0;
  std::size_t waiting_ = 0;     // entries claimed and not taken
  std::size_t free_rows_;       // not claimed, nor taken
  bool short_of_room_ = false;  // a claim failed since an entry was given back last
  // A hint for those without the lock.
  alignas(kCacheLine) typename P::template atomic<std::uint32_t> ready_rows_{0};
};

}  // namespace dynbatch

#include "queue/staged_queue_claim.hpp"
#include "queue/staged_queue_take.hpp"
