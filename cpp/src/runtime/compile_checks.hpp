// What gears ask of a model, held against what it declares. Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <dynbatch/compile.hpp>
#include <dynbatch/compiled_model.hpp>
#include <dynbatch/onnxruntime_executor.hpp>

#include "runtime/compile_grammar.hpp"

namespace dynbatch {

/// The gears with the shapes of all inputs: as given, with the dimensions that are bound by name, or, where no gears
/// were asked for, as the model declares them. Without outputs and times. Throws CompileError.
CompiledModel fit_request(GearRequest request, const CompileOptions& options,
                          const std::vector<OnnxTensorDeclaration>& inputs);

/// Throws CompileError if gears are batch sizes, and the batch of an input is not its first dimension, as its names
/// or what the model's metadata declares tell.
void check_batch_axes(const CompiledModel& model, const CompileOptions& options,
                      const OnnxModelDescription& description);

/// Warns of batch sizes that chips do not recommend.
void warn_of_sizes(const GearRequest& request, std::vector<std::string>& warnings);

/// Bytes of the inputs of each gear. Throws CompileError, which says "fewer or smaller", if one cannot be held by
/// `memory_bytes`.
std::vector<std::size_t> checked_input_bytes(const CompiledModel& model, const std::string& option,
                                             std::size_t memory_bytes);

/// The file to write. Throws CompileError: none is given, it is the model itself, a folder, or in none.
std::string output_path(const std::string& model_path, const CompileOptions& options);

}  // namespace dynbatch
