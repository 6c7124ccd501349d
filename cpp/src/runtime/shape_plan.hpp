// From options to the sizes of free dimensions: which are padded, by which gears, up to where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <dynbatch/options.hpp>
#include <dynbatch/tensor.hpp>

#include "batch/shape_plan.hpp"

namespace dynbatch {

/// Throws Error(invalid_argument), naming the option, what was expected and what came; and as
/// plan_batching does.
ShapePlan plan_shapes(const ModelSpec& spec, const BatchingOptions& options);

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
