// What compile() settles about a model, and writes into the model's own metadata: gears, and the shapes that
// they give. Whoever loads the model reads it from there. Values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <dynbatch/export.hpp>
#include <dynbatch/gear.hpp>
#include <dynbatch/onnxruntime_executor.hpp>
#include <dynbatch/options.hpp>
#include <dynbatch/tensor.hpp>

namespace dynbatch {

struct CompiledInput {
  std::string name;
  DataType dtype = DataType::float32;
  /// Of the whole tensor. -1 where the gear says the size.
  std::vector<std::int64_t> shape;
};

struct CompiledOutput {
  std::string name;
  DataType dtype = DataType::float32;
};

struct CompiledGear {
  /// Of kind batch {n}, which every -1 becomes; of image_size {height, width}, which the two -1 of an input
  /// become; of dims one for each -1 of all inputs, in their order. Empty for the only gear of a model without -1.
  std::vector<std::int64_t> sizes;
  std::vector<std::vector<std::int64_t>> output_shapes;  // of each output, whole
  double seconds = 0.0;                                  // median of one run; 0: not measured
};

struct CompiledModel {
  GearKind kind = GearKind::batch;
  std::vector<CompiledInput> inputs;    // in the order in which the shapes were given
  std::vector<CompiledOutput> outputs;  // in the model's own order
  std::vector<CompiledGear> gears;  // in the user's order; one, without sizes, if no input has a -1
  /// Of kind batch: whether each row's answer is the same in company and alone, as far as a probe could see.
  std::optional<bool> rows_independent;

  /// The whole shapes of all inputs in this gear.
  DYNBATCH_EXPORT std::vector<std::vector<std::int64_t>> input_shapes(std::size_t gear) const;
  /// The gear of exactly these sizes; none if there is none.
  DYNBATCH_EXPORT std::optional<std::size_t> find(
      const std::vector<std::int64_t>& sizes) const noexcept;
  /// The gear with the most elements over all inputs; the first of several.
  DYNBATCH_EXPORT std::size_t largest() const noexcept;
};

/// Of one model.
inline constexpr std::size_t kMostGears = 100;

/// The key of the model's own metadata.
inline constexpr const char* kCompiledModelKey = "dynbatch.gears";

/// What stands there; none if the model was not compiled. Throws Error(model), which shows the line, where the
/// text is damaged, or of a format that this version does not know.
DYNBATCH_EXPORT std::optional<CompiledModel> compiled_model(const OnnxModelMetadata& metadata);
/// The text. Throws Error(invalid_argument) for what it cannot tell: gears of lengths, a line break in a name.
DYNBATCH_EXPORT std::string to_metadata(const CompiledModel& model);

/// The options with what was compiled beside them: free dimensions of `inputs` (as the model declares them) that
/// gears leave alone are bound to the compiled sizes, apart from the batch and what the options bind. Throws
/// Error(model) if what stands in the metadata is damaged, or does not fit the inputs.
DYNBATCH_EXPORT OnnxRuntimeOptions
with_compiled_dimensions(OnnxRuntimeOptions options, const OnnxModelMetadata& metadata,
                         const std::vector<OnnxTensorDeclaration>& inputs);

/// The options with the gears that were compiled: batch sizes, unless the options have gears or a max_batch_size;
/// image sizes or dims, unless they have lengths, image_sizes or dims. `spec` as the options of
/// with_compiled_dimensions give it. A Batcher does this itself over an executor of make_onnxruntime_executor.
/// Throws Error(model) likewise, and where the gears give inputs different batches.
DYNBATCH_EXPORT BatchingOptions with_compiled_gears(BatchingOptions options,
                                                    const OnnxModelMetadata& metadata,
                                                    const ModelSpec& spec);

}  // namespace dynbatch
