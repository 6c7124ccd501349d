// Runs of every gear at load, on made-up inputs: they find the shapes of its outputs, or check them, and warm ONNX
// Runtime up. The largest gear is run first, so that its memory is there for the others.
#pragma once

#include <functional>
#include <vector>

#include <dynbatch/compiled_model.hpp>

#include "executor/ort_whole_session.hpp"

namespace dynbatch {

/// Completes output_shapes and seconds of `model.gears`: one run of a gear, another if its shapes are not known, and
/// 3 to 15 if its time is not. `tensors` of each gear, of which the inputs are read. Throws Error(model) if the
/// shapes are others than were told, depend on the values of the inputs, or cannot be found since the model refuses
/// made-up values, zeros among them. `before`, if it is set, is called with the index of each gear before its runs.
void try_gears(const OrtWholeSession& session, CompiledModel& model,
               const std::vector<GearTensors>& tensors,
               const std::function<void(std::size_t gear)>& before = {});

}  // namespace dynbatch
