// What can be set about batching. The same names and defaults as in Python's dynbatch.load().
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
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

/// Sizes by which a free dimension is padded.
struct Lengths {
  /// Rows are padded to the smallest of these that fits all of a batch; longer ones are refused.
  std::vector<std::int64_t> gears;
  /// Without gears: rows are padded to the longest of their batch, and longer ones than this are refused.
  std::int64_t largest = 0;
};

/// A gear of ATC's dynamic dims: a size for each free dimension, and a batch size.
struct DimsGear {
  std::size_t batch_size = 0;       // 0: any of BatchingOptions::gears
  std::vector<std::int64_t> sizes;  // in the order of ModelSpec::dimensions
};

struct BatchingOptions {
  /// Rows of the largest batch: 1 to 16383. Given together with `gears` it must be their largest.
  std::optional<std::size_t> max_batch_size;  // 32, or the largest gear
  /// The sizes that are prepared and timed; empty: powers of two up to max_batch_size.
  std::vector<std::size_t> gears;
  /// For models with free dimensions; at most one of the three. Without any, requests share batches whose
  /// free dimensions have equal sizes.
  std::map<std::string, Lengths> lengths;  // by the dimension's name; rows are padded up to them
  /// Height and width, of the last two axes of the one image input. Exact, unless `pads` is set.
  std::vector<std::pair<std::int64_t, std::int64_t>> image_sizes;
  std::vector<DimsGear> dims;  // exact, unless `pads` is set
  /// Rows smaller than an image size or dims gear are padded up to the smallest that fits.
  bool pads = false;
  Fill fill = Fill::automatic;
  Batching batching = Batching::automatic;
  /// How long the first row of a batch may wait for company. 0: it starts as soon as it can; above
  /// 10 s is refused.
  std::chrono::nanoseconds max_queue_delay{0};
  /// Batches that may run at once, and worker threads. Unset: the CPUs that this process may use.
  std::optional<std::size_t> workers;
  /// For models whose rows differ in shape: batches a worker prepares ahead, the one that runs included. 1 to 8.
  std::size_t set_size = 1;
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
