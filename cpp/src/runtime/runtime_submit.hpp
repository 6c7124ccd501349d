// Runtime, part 1 of 7: from a caller's inputs to published rows.
#pragma once

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "base/fork_guard.hpp"
#include "base/mutant.hpp"
#include "base/pages.hpp"
#include "batch/payload.hpp"
#include "runtime/runtime.hpp"

namespace dynbatch {

// Sources of this size and more are touched before a place is claimed, so that a page fault or a
// memory-mapped file delays nobody else.
inline constexpr std::size_t kTouchBytes = std::size_t{64} << 10;
// One request in so many per thread has its queue wait measured.
inline constexpr std::uint32_t kSamplePeriod = 64;

template <class P, class Queue>
Request<P>* Runtime<P, Queue>::submit(std::span<const InputView> inputs,
                                      const SubmitOptions& options, bool may_lead,
                                      Failure& refusal) noexcept {
  const auto refuse = [&](ErrorCode code, const char* message) -> R* {
    refusal = {.code = code, .message = message, .cause = nullptr};
    ledger_->refuse();
    return nullptr;
  };
  if (forked()) return refuse(ErrorCode::closed, "made before a fork: load after fork");
  StagedKey key;
  const std::optional<std::size_t> rows = check(inputs, key, refusal);
  if (!rows) {
    ledger_->refuse();
    return nullptr;
  }
  // acquire: pairs with close; a hint, claims decide.
  if (closing_.load(std::memory_order_acquire))
    return refuse(ErrorCode::closed, "closed: no more requests are taken");
  if (*rows > (setup_.whole_requests ? setup_.block_rows : UINT32_MAX)) {
    refusal = {.code = ErrorCode::invalid_input, .message = too_many_rows(*rows), .cause = nullptr};
    ledger_->refuse();
    return nullptr;
  }
  R* const request = ledger_->acquire(static_cast<std::uint32_t>(*rows));
  if (request == nullptr) return refuse(ErrorCode::execution, "out of memory for another request");
  if constexpr (Queue::kStages) request->staged = key;
  if (*rows == 0) {
    if constexpr (Queue::kStages) answer_no_rows(*request);
    end_at_once(*request);
    return request;
  }
  touch(inputs, *rows);
  auto& submitted = P::template local<std::uint32_t, Runtime>();
  if (++submitted % kSamplePeriod == 0) request->submitted_at = P::now();

  bool look = false;
  const Claim claim = Queue::kStages || has_shared_ || setup_.exclusive
                          ? Claim{}
                          : queue_.claim(static_cast<std::uint32_t>(*rows), options.hold);
  if (claim.rows > 0) {
    ledger_->accept();
    write(claim, inputs, 0);
    look = publish(claim, *request, 0);
  } else if (!submit_slowly(*request, inputs, options, look, refusal)) {
    if (!options.asks_again || refusal.code != ErrorCode::queue_full) ledger_->refuse();
    ledger_->release(*request);
    ledger_->release(*request);
    return nullptr;
  }
  if (look) dispatch(may_lead, request);
  return request;
}

template <class P, class Queue>
void Runtime<P, Queue>::touch(std::span<const InputView> inputs, std::size_t rows) const noexcept {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const TensorSpec& input = ledger_->spec.inputs[i];
    const std::size_t bytes = Queue::kStages ? elements_of(inputs[i].shape) * size_of(input.dtype)
                                             : input.row_bytes() * (input.shared ? 1 : rows);
    if (bytes >= kTouchBytes) touch_for_reading(inputs[i].data, bytes);
  }
}

template <class P, class Queue>
auto Runtime<P, Queue>::key_of(const R& request) const noexcept -> typename Queue::Key {
  if constexpr (Queue::kStages) {
    return &request.staged;
  } else {
    return request.shared;
  }
}

template <class P, class Queue>
std::string Runtime<P, Queue>::too_many_rows(std::size_t rows) const {
  const std::string got = "; got " + std::to_string(rows);
  if (!setup_.whole_requests)
    return "expected at most " + std::to_string(UINT32_MAX) + " rows a request" + got;
  if (!setup_.exclusive) {
    return "expected at most max_batch_size=" + std::to_string(setup_.block_rows) +
           " rows, since a request whose elements are counted is not cut" + got;
  }
  return "expected at most max_batch_size=" + std::to_string(setup_.block_rows) +
         " rows, since requests are neither merged nor cut (batching is off, or rows mix)" + got +
         "; raise max_batch_size";
}

template <class P, class Queue>
void Runtime<P, Queue>::end_at_once(R& request) noexcept {
  ledger_->accept();
  Tally tally;
  const std::uint32_t state = ledger_->end(request, ErrorCode::none, tally);
  ledger_->add(tally);
  ledger_->tell(request, state);
  ledger_->release(request);
}

/// Claims and publishes rows block by block. `look`: the caller is to look for a permit.
template <class P, class Queue>
bool Runtime<P, Queue>::submit_slowly(R& request, std::span<const InputView> inputs,
                                      const SubmitOptions& options, bool& look,
                                      Failure& refusal) noexcept {
  const bool accepted = claim_slowly(request, inputs, options, look, refusal);
  if (request.is_claiming) {
    const Lock lock(mutex_);
    request.is_claiming = false;
    --claiming_;
    unsafe_note_rest();
  }
  return accepted;
}

template <class P, class Queue>
bool Runtime<P, Queue>::claim_slowly(R& request, std::span<const InputView> inputs,
                                     const SubmitOptions& options, bool& look,
                                     Failure& refusal) noexcept try {
  if (has_shared_) request.shared = ledger_->shared_inputs.acquire(ledger_->spec.inputs, inputs);
  request.staged.shared = request.shared;
  // Before anything is claimed, since memory may be short; kept for the next time.
  if (request.rows > 1 && !request.own_outputs)
    request.own_outputs = std::make_unique<OwnOutputs<P>>();
  const Nanoseconds deadline = options.timeout ? after(P::now(), options.timeout->count()) : kNever;
  // Keeps its memory, so that this path allocates once a thread.
  auto& claims = P::template local<std::vector<Claim>, Runtime>();
  // No more than there are blocks, however many rows a caller says there are.
  const std::uint32_t parts =
      Queue::kStages ? request.rows : request.rows / queue_.rows_per_block();
  claims.reserve(std::min(parts, setup_.blocks) + 2);
  std::uint32_t done = 0;
  bool accepted = false;
  while (done < request.rows) {
    Failure failure;
    if (look && done > 0)
      dispatch(false, nullptr);  // what waits for room must not wait for its own rows
    if (!claim_or_wait(request, request.rows - done, !accepted, options, deadline, claims,
                       failure)) {
      if (!accepted) {
        refusal = std::move(failure);
        return false;
      }
      // What was accepted and cannot go on is given up like all else that a close finds waiting.
      if (failure.code == ErrorCode::closed) failure.code = ErrorCode::cancelled;
      ledger_->set_failure(request, failure);  // the parts that are on their way end it
      break;
    }
    if (!accepted) {
      accepted = true;
      ledger_->accept();
      request.is_cut = claims.front().rows < request.rows;
    }
    for (const Claim& claim : claims) {
      // relaxed: published with the part. The request's first count is the guard until the end.
      if (request.is_cut) request.open_parts.fetch_add(1, std::memory_order_relaxed);
      write(claim, inputs, done);
      const std::uint32_t first_row = done;
      done += claim.rows;
      look = publish(claim, request, first_row) || look;
    }
  }
  if (request.is_cut) {
    Tally tally;
    R* to_tell = nullptr;
    end_part(request, tally, to_tell);
    tell_all(to_tell, tally);
  }
  return true;
} catch (const std::bad_alloc&) {
  // Everything that allocates does so before the first claim.
  refusal.code = ErrorCode::execution;  // without a message: there is no memory for one
  return false;
}

/// Claims all of `rows` that there is room for, at least one; waits for that if it may.
template <class P, class Queue>
bool Runtime<P, Queue>::claim_or_wait(R& request, std::uint32_t rows, bool first,
                                      const SubmitOptions& options, Nanoseconds deadline,
                                      std::vector<Claim>& claims, Failure& refusal) {
  const auto refuse = [&](ErrorCode code, const char* message) {
    refusal = {.code = code, .message = message, .cause = nullptr};
    return false;
  };
  const typename Queue::Key key = key_of(request);
  claims.clear();
  SpaceWaiter waiter;
  WakeList list;
  {
    const Lock lock(mutex_);
    // relaxed: written under the lock.
    // A draining close lets what it has accepted in part go on.
    if (closing_.load(std::memory_order_relaxed) &&
        (first || cancelling_.load(std::memory_order_relaxed))) {
      return refuse(ErrorCode::closed, "closed: no more requests are taken");
    }
    if (first && request.rows > 1) {
      request.is_claiming = true;
      ++claiming_;
    }
    if (options.on_full == OnFull::raise) {
      DYNBATCH_ASSERT(first);  // all rows were claimed at once, or none
      // Pieces of the arena that come free would go to small requests, and never be large enough for who
      // waits in front.
      const bool passes_nobody =
          !Queue::kStages || space_first_ == nullptr || space_first_->port != nullptr;
      if (passes_nobody && unsafe_claim_all(rows, key, options.hold, claims)) return true;
      refusal = {.code = ErrorCode::queue_full, .message = no_room(rows), .cause = nullptr};
      return false;
    }
    if (space_first_ == nullptr)  // else others come first
      unsafe_claim_some(rows, key, options.hold, claims);
    if (!claims.empty()) return true;
    waiter.rows = std::min(rows, queue_.rows_per_block());
    waiter.key = key;
    (space_first_ == nullptr ? space_first_ : space_last_->next) = &waiter;
    space_last_ = &waiter;
    waiter.accepted = !first;
    // seq_cst: pairs with publish: rows that wait for company are due now that a caller wants room.
    hurry_.store(true, std::memory_order_seq_cst);
    if (!DYNBATCH_MUTANT(waits_without_scan)) unsafe_hand_out(list);
  }
  list.wake();
  if (!wait_for_room(waiter, deadline))
    return refuse(ErrorCode::timeout, "timed out while waiting for room");
  if (waiter.closed) return refuse(ErrorCode::closed, "closed while the request waited for room");
  claims.push_back(waiter.claim);
  return true;
}

/// As many of the rows as there is room for now.
template <class P, class Queue>
void Runtime<P, Queue>::unsafe_claim_some(std::uint32_t rows, typename Queue::Key key, bool hold,
                                          std::vector<Claim>& claims) {
  while (rows > 0) {
    const Claim claim = queue_.unsafe_claim(rows, key, hold);
    if (claim.rows == 0) return;
    claims.push_back(claim);
    rows -= claim.rows;
  }
}

/// All of the rows, or none of them. Those who wait for room are not in the way, since whoever was
/// told of room comes for it here.
template <class P, class Queue>
bool Runtime<P, Queue>::unsafe_claim_all(std::uint32_t rows, typename Queue::Key key, bool hold,
                                         std::vector<Claim>& claims) {
  if (queue_.unsafe_room(rows, key) < rows) return false;
  if constexpr (Queue::kStages) {
    unsafe_claim_some(rows, key, hold, claims);
    std::uint32_t claimed = 0;
    for (const Claim& claim : claims) claimed += claim.rows;
    if (claimed == rows) return true;
    for (const Claim& claim : claims) queue_.unsafe_unclaim(claim);  // the room was in pieces
    claims.clear();
    return false;
  }
  // Free blocks are ours alone, but others claim from the open block without the lock: the first
  // claim gets of it what does not fit free blocks, or there is no room any more.
  const std::size_t free_rows = queue_.unsafe_free_rows();
  const Claim claim = queue_.unsafe_claim(
      rows, key, hold, key == nullptr && rows > free_rows ? rows - free_rows : 0);
  if (claim.rows == 0) return false;
  claims.push_back(claim);
  unsafe_claim_some(rows - claim.rows, key, hold, claims);
  return true;
}

template <class P, class Queue>
std::string Runtime<P, Queue>::no_room(std::uint32_t rows) const {
  const std::size_t most = queue_.rows_in_all();
  if (rows > most) {
    return "expected at most " + std::to_string(most) + " rows, all that the queue holds, got " +
           std::to_string(rows) +
           "; raise queue_capacity, or wait for room (on_full) to have them run in pieces";
  }
  return "no room for " + std::to_string(rows) + " more rows; raise queue_capacity" +
         (Queue::kStages ? " or queue_bytes," : "") + " or wait for room (on_full)";
}

template <class P, class Queue>
bool Runtime<P, Queue>::wait_for_room(SpaceWaiter& waiter, Nanoseconds deadline) noexcept {
  // acquire: pairs with unsafe_grant: publishes the claim.
  while (waiter.word.load(std::memory_order_acquire) == 0) {
    if (deadline == kNever || P::now() < deadline) {
      P::park(waiter.word, 0, deadline);
      continue;
    }
    const Lock lock(mutex_);
    // relaxed: written under the lock.
    if (waiter.word.load(std::memory_order_relaxed) != 0) return true;
    SpaceWaiter* before = nullptr;
    for (SpaceWaiter* at = space_first_; at != &waiter; at = at->next) before = at;
    if (DYNBATCH_MUTANT(stays_in_line)) return false;
    (before == nullptr ? space_first_ : before->next) = waiter.next;
    if (space_last_ == &waiter) space_last_ = before;
    unsafe_serve_space();
    return false;
  }
  return true;
}

template <class P, class Queue>
void Runtime<P, Queue>::write(const Claim& claim, std::span<const InputView> inputs,
                              std::uint32_t request_row) noexcept {
  if constexpr (Queue::kStages) {
    write_payload(ledger_->spec, queue_.payload(claim), inputs, request_row, claim.rows);
    return;
  }
  const BlockLayout& layout = input_memory_.layout();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::size_t row_bytes = layout.row_bytes[i];
    if (row_bytes == 0) continue;  // shared, or without elements
    std::memcpy(input_memory_.row(claim.block, i, claim.row),
                static_cast<const std::byte*>(inputs[i].data) + request_row * row_bytes,
                claim.rows * row_bytes);
  }
}

/// Whether this thread is to look for a permit and a batch.
template <class P, class Queue>
bool Runtime<P, Queue>::publish(const Claim& claim, R& request,
                                std::uint32_t request_row) noexcept {
  // relaxed: a change of the delay looks at all blocks itself.
  const Nanoseconds delay = delay_.load(std::memory_order_relaxed);
  if (claim.row == 0 && delay > 0) queue_.set_first_at(claim, P::now());
  const auto state =
      queue_.publish(claim, {.request = &request, .request_row = request_row, .rows = claim.rows});
  if (!state.complete) return false;  // the last publisher of the block looks
  // Rows that are held are not due before start_held().
  // seq_cst: pairs with claim_or_wait and close, which scan after they have set it.
  if (state.held && !state.full && !state.sealed && !hurry_.load(std::memory_order_seq_cst))
    return false;
  // seq_cst: pairs with unsafe_add_permits: if no permit is free, whoever gives one back scans later.
  if (permits_.load(std::memory_order_seq_cst) == 0) return false;
  // seq_cst: pairs with claim_or_wait and close, which scan after they have set it.
  if (delay == 0 || state.full || state.sealed || hurry_.load(std::memory_order_seq_cst))
    return true;
  // seq_cst: pairs with unsafe_set_timer: a worker that wakes in time will scan.
  return timer_due_.load(std::memory_order_seq_cst) > queue_.first_at(claim) + delay;
}

}  // namespace dynbatch
