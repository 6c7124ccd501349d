// What is counted once a batch. Not thread-safe: lives under the runtime's lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/platform.hpp"
#include "batch/policy.hpp"
#include "runtime/brief_runs.hpp"
#include "runtime/histogram.hpp"

namespace dynbatch {

/// One run of the executor.
struct RunRecord {
  std::uint32_t rows = 0;  // of requests
  std::uint32_t padded_rows = 0;
  Nanoseconds run_time = 0;
  bool failed = false;
  bool rerun = false;
  bool on_caller = false;
  bool alone = false;
  Nanoseconds lone_limit = 0;  // above 0 if it ran with all CPUs: as LoneRuns::note takes it
  bool shrinks = false;
  Nanoseconds ended_at = 0;
  std::uint64_t elements = 0;  // of models whose rows differ in shape
  std::uint64_t padded_elements = 0;
};

struct BatchStatistics {
  std::uint64_t rows = 0;
  std::uint64_t padded_rows = 0;
  std::uint64_t elements = 0;
  std::uint64_t padded_elements = 0;
  std::uint64_t batches = 0;
  std::uint64_t failed_runs = 0;
  std::uint64_t reruns = 0;
  std::uint64_t runs_on_callers = 0;
  std::uint64_t runs_alone = 0;
  std::uint64_t worker_wakeups = 0;
  std::uint64_t given_back_bytes = 0;
  std::uint64_t shrinks = 0;
  std::array<std::uint64_t, 5> closed{};  // by CloseReason
  std::vector<std::uint64_t> batches_by_size;
  Histogram queue_wait;
  Histogram run_time;
  Nanoseconds run_time_average = 0;  // moving, of the last eight runs or so
  BriefRuns brief_runs;

  void add(const RunRecord& run) noexcept {
    rows += run.rows;
    padded_rows += run.padded_rows;
    elements += run.elements;
    padded_elements += run.padded_elements;
    ++batches;
    failed_runs += run.failed ? 1 : 0;
    reruns += run.rerun ? 1 : 0;
    runs_on_callers += run.on_caller ? 1 : 0;
    runs_alone += run.alone ? 1 : 0;
    shrinks += run.shrinks ? 1 : 0;
    if (run.rows < batches_by_size.size()) ++batches_by_size[run.rows];
    run_time.add(run.run_time);
    brief_runs.add(run.run_time);
    run_time_average = run_time_average == 0
                           ? run.run_time
                           : run_time_average + (run.run_time - run_time_average) / 8;
  }
  void add(CloseReason reason) noexcept { ++closed[static_cast<std::size_t>(reason)]; }
};

}  // namespace dynbatch
