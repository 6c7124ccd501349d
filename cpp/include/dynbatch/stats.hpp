// What a batcher has done so far: a snapshot, by value. A run is counted before its requests are
// answered; given_back_bytes, runs_under_way and how requests ended may follow a moment after.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <dynbatch/gear.hpp>

namespace dynbatch {

/// Quantiles of a time in seconds, from a histogram whose buckets are within 7 % of each other.
struct Quantiles {
  std::uint64_t count = 0;  // samples: every run; about one request in 64 for the queue wait
  double p50 = 0.0;
  double p90 = 0.0;
  double p99 = 0.0;
  double max = 0.0;
};

struct Stats {
  // Requests. At rest: accepted == succeeded + failed + cancelled + timed_out, and in_flight == 0.
  std::uint64_t accepted = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t in_flight = 0;  // counted on its own, not derived from the others
  std::uint64_t refused = 0;    // invalid, queue full, closed: never accepted

  // Runs. Warm-up and probe are not counted.
  std::uint64_t rows = 0;         // rows of requests that were run
  std::uint64_t padded_rows = 0;  // rows added to fill a gear
  // Elements of batched inputs, of models whose rows differ in shape: of requests, and added by padding.
  std::uint64_t elements = 0;
  std::uint64_t padded_elements = 0;
  std::uint64_t batches = 0;  // runs of the executor, reruns included
  std::uint64_t failed_runs = 0;
  std::uint64_t reruns = 0;  // runs made to find the guilty request of a failed batch
  std::vector<std::uint64_t> batches_by_size;  // [n]: batches of n rows, filling not counted

  // Why batches were closed; each first run of a batch has one reason.
  std::uint64_t closed_full = 0;   // no room for another row
  std::uint64_t closed_idle = 0;   // no delay asked for, and a permit was free
  std::uint64_t closed_delay = 0;  // the first row had waited max_queue_delay
  std::uint64_t closed_space = 0;  // a caller waited for room
  std::uint64_t closed_drain = 0;  // close() was called

  std::uint64_t runs_on_callers = 0;
  std::uint64_t runs_on_workers = 0;
  std::uint64_t runs_alone = 0;  // with all CPUs, since nothing else ran or waited
  std::uint64_t worker_wakeups = 0;

  Quantiles queue_wait;
  Quantiles run_time;

  GearTable gear_table;
  std::uint64_t resident_bytes = 0;    // of the planned memory, as the system counts it
  std::uint64_t given_back_bytes = 0;  // of the planned memory so far, after leaving a high gear
  std::uint64_t shrinks = 0;           // runs that had the executor give its memory back as well
  std::uint64_t unread_bytes = 0;      // results copied out for readers that had not come yet
  std::size_t workers = 0;
  std::size_t runs_under_way = 0;
};

}  // namespace dynbatch
