// Gears that are told, or that a model brings, held against what the model declares.
#pragma once

#include <cstdint>

#include <dynbatch/compiled_model.hpp>

#include "executor/ort_whole_session.hpp"

namespace dynbatch {

/// Who says which gears there are, and so what is at fault where they do not fit.
enum class GearSource : std::uint8_t { model, caller };

/// The gears with what was left out: without inputs, those that the model declares; dtypes are the model's; the
/// session's outputs in its order, with their shapes if they were told. Throws Error(model) or, if the caller is at
/// fault, Error(invalid_argument).
CompiledModel fitted(CompiledModel told, const OrtWholeSession& session, GearSource source);

/// Compiled gears with the sizes to which the session's options bind dimensions, instead of those that were compiled:
/// what was found with the latter, shapes of outputs, times and whether rows mix, is left out then. Throws Error(invalid_argument) if a
/// dimension is bound that the gears settle.
CompiledModel with_bound_sizes(CompiledModel compiled, const OrtWholeSession& session);

/// The gears of a model that was not compiled: the only one. Throws Error(model), which says what to do, if it
/// has free dimensions.
CompiledModel only_gear(const OrtWholeSession& session);

}  // namespace dynbatch
