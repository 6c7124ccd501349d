// Checks a request's inputs against the model before anything is queued.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include <dynbatch/error.hpp>
#include <dynbatch/tensor.hpp>

namespace dynbatch {

/// The rows that the inputs hold, or why they do not fit the model: the failure names the input, what
/// was expected and what came. Allocates only for a failure.
std::optional<std::size_t> check_inputs(const ModelSpec& spec, std::span<const InputView> inputs,
                                        Failure& failure);

}  // namespace dynbatch
