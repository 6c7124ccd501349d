// From options to the sizes of free dimensions: which are padded, by which gears, up to where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <dynbatch/gear.hpp>
#include <dynbatch/options.hpp>
#include <dynbatch/tensor.hpp>

namespace dynbatch {

struct ShapePlan {
  GearKind kind = GearKind::batch;
  /// Per ModelSpec::dimensions: whether requests of other sizes may be padded to share a batch.
  std::vector<bool> padded;
  /// In the user's order, each with an entry for every dimension. 0: any size there, the longest of the
  /// batch where it is padded, the common one where it is not. Empty: any sizes in every dimension.
  std::vector<std::vector<std::int64_t>> size_gears;
  std::vector<std::size_t> gear_batches;  // parallel to size_gears: its only batch size; 0: any
  std::vector<std::int64_t> largest;      // per dimension; 0: no limit
};

/// Throws Error(invalid_argument), naming the option, what was expected and what came; and as
/// plan_batching does.
ShapePlan plan_shapes(const ModelSpec& spec, const BatchingOptions& options);

/// Sets `fitted` to the sizes at which rows of up to `sizes` run: those of the gear with the fewest elements
/// that holds them, or `sizes` themselves where there are no gears. False: no gear does, or a size is above
/// its limit. Where a dimension is not padded only an equal size holds it. All three spans have an entry per
/// dimension; `fitted` may be `sizes`.
bool fit_sizes(const ShapePlan& plan, std::span<const std::int64_t> sizes,
               std::span<std::int64_t> fitted) noexcept;

/// Why no gear holds a request of these sizes, with the gears; none if one does.
std::optional<std::string> refuse_sizes(const ShapePlan& plan, const ModelSpec& spec,
                                        std::span<const std::int64_t> sizes);

/// From now on sizes of this dimension are not padded: requests must have an equal one to share a batch,
/// and that of a gear where gears are image sizes or dims. Length gears of the dimension are dropped; its
/// limit stays.
void stop_padding(ShapePlan& plan, std::size_t dimension);

/// "'height'=224, 'width'=300".
std::string sizes_in_words(const ModelSpec& spec, std::span<const std::int64_t> sizes);

}  // namespace dynbatch
