// Checks a caller's inputs against a model whose rows differ in shape, before anything is queued.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include <dynbatch/error.hpp>
#include <dynbatch/tensor.hpp>

#include "batch/shape_plan.hpp"
#include "queue/staged_key.hpp"

namespace dynbatch {

/// The number of rows, and `key` filled but for key.shared; or nothing and why in `failure`. Whether a gear
/// holds the sizes is asked elsewhere.
std::optional<std::size_t> check_staged_inputs(const ModelSpec& spec, const ShapePlan& plan,
                                               std::span<const InputView> inputs, StagedKey& key,
                                               Failure& failure);

}  // namespace dynbatch
