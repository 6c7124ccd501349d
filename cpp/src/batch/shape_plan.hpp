// ShapePlan: what is settled at load about the free dimensions of a model: which of them are padded, and to
// which sizes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <dynbatch/gear.hpp>

namespace dynbatch {

struct ShapePlan {
  GearKind kind = GearKind::batch;
  /// Per ModelSpec::dimensions: whether requests of other sizes may be padded to share a batch.
  std::vector<bool> padded;
  /// In the user's order, each with an entry for every dimension. 0: the dimension has no gears and is not
  /// padded; a batch has the size of its requests there. Empty: any sizes in every dimension.
  std::vector<std::vector<std::int64_t>> size_gears;
  std::vector<std::size_t> gear_batches;  // parallel to size_gears: a batch of their own; 0: any
  std::vector<std::int64_t> largest;      // per dimension; 0: no limit

  /// The dimensions by whose sizes costs are told: those that are padded, or all where none is.
  std::vector<std::size_t> weighed() const;
};

/// Sets `fitted` to the sizes at which rows of up to `sizes` run: those of the gear with the fewest elements
/// that holds them, or `sizes` themselves where there are no gears. False: no gear does, or a size is above
/// its limit. Where a dimension is not padded only an equal size holds it. Both spans have an entry per
/// dimension; `fitted` may be `sizes`.
bool fit_sizes(const ShapePlan& plan, std::span<const std::int64_t> sizes,
               std::span<std::int64_t> fitted) noexcept;

}  // namespace dynbatch
