// Gears: the batch profiles that a model is prepared for, and the memory they need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <dynbatch/export.hpp>

namespace dynbatch {

/// What a gear settles, in the words of the Ascend tools.
enum class GearKind : std::uint8_t { batch, image_size, dims, lengths };

/// A batch size, and where shapes differ the sizes of the free dimensions, that are prepared, with what was
/// measured at load.
struct Gear {
  std::size_t batch_size = 0;
  std::vector<std::int64_t> sizes;  // in the order of ModelSpec::dimensions; empty: batch alone
  double seconds = 0.0;             // median time of one run, without company; 0: not measured
  // The same with all CPUs for the run; only if that is on offer, for gears up to the cap.
  std::optional<double> seconds_alone;
  std::size_t input_bytes = 0;   // of all batched inputs at this size
  std::size_t output_bytes = 0;  // of all outputs of known shape at this size
};

/// The gears of a model, in the user's order.
struct GearTable {
  GearKind kind = GearKind::batch;
  std::vector<Gear> gears;
  /// The largest batch that is formed: the smallest gear whose time per row is within 3 % of the
  /// best one (Batching::automatic), the largest gear (always), 1 request (off).
  std::size_t cap = 0;
  bool filled = false;  // every batch has exactly the size of a gear

  /// The smallest gear of at least `rows` rows; null if there is none.
  DYNBATCH_EXPORT const Gear* smallest_that_fits(std::size_t rows) const noexcept;
  /// The gear of exactly this size; null if there is none.
  DYNBATCH_EXPORT const Gear* exact(std::size_t batch_size) const noexcept;
  /// The same with sizes of the free dimensions. Smallest: of the fewest elements, then of the fewest rows.
  DYNBATCH_EXPORT const Gear* smallest_that_fits(
      std::size_t rows, std::span<const std::int64_t> sizes) const noexcept;
  DYNBATCH_EXPORT const Gear* exact(std::size_t batch_size,
                                    std::span<const std::int64_t> sizes) const noexcept;
  DYNBATCH_EXPORT std::size_t largest() const noexcept;
};

/// The memory that dynbatch itself plans, in bytes of address space; pages become resident when a
/// batch first touches them. The executor's own memory (weights, activations) is not in it.
struct MemoryPlan {
  struct GearBytes {
    std::size_t batch_size = 0;
    std::size_t input_bytes = 0;   // what one batch of this gear touches of a batch block
    std::size_t output_bytes = 0;  // ... and of an output block
  };
  std::vector<GearBytes> gears;
  std::size_t batch_blocks = 0;
  std::size_t batch_block_bytes = 0;  // each, alignment included
  std::size_t output_blocks = 0;
  std::size_t output_block_bytes = 0;
  // The blocks; where batches are filled, also one batch block a worker in which failed ones rerun.
  std::size_t total_bytes = 0;
  std::size_t queue_capacity = 0;  // rows that may wait
};

}  // namespace dynbatch
