// What can be set about batching. The same names and defaults as in Python's dynbatch.load().
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <dynbatch/tensor.hpp>

namespace dynbatch {

enum class Batching : std::uint8_t {
  automatic,  // merges requests if rows are independent, up to the size that measured times justify
  always,     // merges up to the largest size; Error(model) if rows mix
  off,        // never merges
};

/// Whether a batch must have exactly the size of a gear.
enum class Fill : std::uint8_t { automatic, yes, no };

/// What a full queue means to a caller.
enum class OnFull : std::uint8_t { wait, raise };

struct BatchingOptions {
  /// Rows of the largest batch: 1 to 16383. Given together with `gears` it must be their largest.
  std::optional<std::size_t> max_batch_size;  // 32, or the largest gear
  /// The sizes that are prepared and timed; empty: powers of two up to max_batch_size.
  std::vector<std::size_t> gears;
  Fill fill = Fill::automatic;
  Batching batching = Batching::automatic;
  /// How long the first row of a batch may wait for company. 0: it starts as soon as it can; above
  /// 10 s is refused.
  std::chrono::nanoseconds max_queue_delay{0};
  /// Batches that may run at once, and worker threads. Unset: the CPUs that this process may use.
  std::optional<std::size_t> workers;
  /// False: the batcher makes no threads; `workers` threads of yours call Batcher::work(). While none
  /// does, a request larger than the queue waits for room until another caller leads, or close().
  bool own_workers = true;
  /// Rows that may wait, rounded up to whole batches, within queue_bytes; unset: what queue_bytes
  /// allows, at most 1024 rows and at least one batch.
  std::optional<std::size_t> queue_capacity;
  /// Bytes of the memory in which rows wait and run. Unset: 64 MiB, or more if the batches that may
  /// run at once, and one that waits, need it.
  std::optional<std::size_t> queue_bytes;
  /// False keeps blocking callers from running batches on their own threads.
  bool caller_runs = true;
  /// Whether row independence is checked at load by a short probe.
  bool verify = true;
  /// One array per input, each with the same number of rows (at least 1), for warm-up and probe
  /// instead of made-up values. Read only while the batcher is being made.
  std::vector<InputView> examples;
  /// Largest |together - alone| / max|alone| that the probe accepts; unset: 1e-3.
  std::optional<double> row_tolerance;
};

struct SubmitOptions {
  OnFull on_full = OnFull::raise;
  /// When the request gives up, from the call on; none: never.
  std::optional<std::chrono::nanoseconds> timeout;
  /// Whether the caller asks again where it finds the queue full: such a refusal is not counted.
  bool asks_again = false;
  /// More requests are about to follow from this thread: unless this one completes a batch, or has
  /// company from elsewhere, nobody is woken for it before Batcher::start_held(), which the caller owes. submit() only; it
  /// has no effect where requests are not merged.
  bool hold = false;
};

}  // namespace dynbatch
