// The default policy: run what waits now, or wait until when. A pure function: no clock, no lock, no
// allocation. How many rows a batch may have is settled earlier, by the size of its block.
#pragma once

#include <cstdint>

#include "base/platform.hpp"

namespace dynbatch {

/// Why a batch was closed.
enum class CloseReason : std::uint8_t { full, idle, delay, space, drain };

/// What waits in one block, and what the runtime knows. A free permit is taken for granted.
struct Waiting {
  bool full = false;         // no room for another row
  bool sealed = false;       // was due before, but a row was missing
  bool held = false;         // all its callers have said that more is about to follow
  bool complete = true;      // all rows are there; if not, its last publisher looks again
  Nanoseconds first_at = 0;  // when its first row came; 0: no clock was read, so it waits no longer
  Nanoseconds max_delay = 0;  // how long a first row may wait for company
  bool space_wanted = false;  // a caller waits for room
  bool draining = false;      // the batcher is being closed
};

struct Decision {
  bool run = false;
  CloseReason reason = CloseReason::idle;  // of a batch that is to run
  Nanoseconds due = kNever;                // when to look again if not
};

constexpr Decision decide(const Waiting& waiting, Nanoseconds now) noexcept {
  if (waiting.full) return {.run = true, .reason = CloseReason::full};
  if (waiting.draining) return {.run = true, .reason = CloseReason::drain};
  if (waiting.held && !waiting.sealed && !waiting.space_wanted) return {};
  if (waiting.max_delay == 0) return {.run = true, .reason = CloseReason::idle};
  if (waiting.space_wanted) return {.run = true, .reason = CloseReason::space};
  if (!waiting.complete && !waiting.sealed) return {};
  const Nanoseconds due = waiting.first_at + waiting.max_delay;
  if (waiting.first_at == 0 || now >= due) return {.run = true, .reason = CloseReason::delay};
  if (waiting.sealed) return {.run = true, .reason = CloseReason::idle};
  return {.due = due};
}

}  // namespace dynbatch
