// GearModel: the gear calls themselves, without batching: choose a gear, then execute it.
//
// For programs that form their own batches. Choosing and execute() serve one thread at a time; run() names its
// gear and its memory, and any number of threads may be inside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <dynbatch/compiled_model.hpp>
#include <dynbatch/executor.hpp>
#include <dynbatch/export.hpp>
#include <dynbatch/gear.hpp>
#include <dynbatch/onnxruntime_executor.hpp>
#include <dynbatch/tensor.hpp>

namespace dynbatch {

/// How to choose a batch gear for a number of rows.
enum class GearChoice : std::uint8_t {
  upper,    // the smallest that holds them
  nearest,  // the least difference, of two the larger
  lower,    // the largest that they fill
};

class DYNBATCH_EXPORT GearModel {
 public:
  /// Any executor whose rows are alike. Prepares and runs every gear once. `gears` in the user's order: 1 to
  /// 100 positive sizes, no duplicates. Throws Error(model) or Error(invalid_argument).
  GearModel(std::unique_ptr<Executor> executor, const std::vector<std::size_t>& gears);
  /// An ONNX model on ONNX Runtime with the gears that were compiled into it, of any kind; a model that was not
  /// compiled and has no free dimension has one gear. Of `options` what a session needs is used (threads,
  /// session entries, bound dimensions, wanted outputs): inputs and outputs are whole tensors here, and nothing
  /// is declared about rows. Each gear is run at load, with made-up inputs. Throws Error(model), also where the
  /// shape of an output is not constant in a gear; Error(invalid_argument) where options do not fit the model.
  explicit GearModel(const std::string& model_path, const OnnxRuntimeOptions& options = {});
  GearModel(const void* model_data, std::size_t model_size, const OnnxRuntimeOptions& options = {});
  /// The same with gears that are told here: kind, sizes, and the shapes of all inputs with -1, or no inputs:
  /// then those that the model declares. dtypes are the model's; outputs are found by runs, or if they are told
  /// checked by them. Throws Error(invalid_argument) where they do not fit the model.
  GearModel(const std::string& model_path, CompiledModel gears,
            const OnnxRuntimeOptions& options = {});
  GearModel(const void* model_data, std::size_t model_size, CompiledModel gears,
            const OnnxRuntimeOptions& options = {});
  GearModel(const GearModel&) = delete;
  GearModel& operator=(const GearModel&) = delete;
  ~GearModel();

  /// Chooses the gear of the next execute(). The largest is chosen at first. Throws Error(invalid_argument),
  /// naming the gears, if it is none of them, or if they are of another kind.
  void set_dynamic_batch_size(std::size_t batch_size);
  void set_dynamic_image_size(std::int64_t height, std::int64_t width);
  /// All dimensions of all inputs, one input after the other, in the order of compiled().inputs.
  void set_input_dynamic_dims(std::span<const std::int64_t> dims);
  std::size_t dynamic_batch_size() const noexcept;  // 0 if the gears are of another kind
  std::size_t chosen_gear() const noexcept;         // an index of compiled().gears

  /// The batch gear for so many rows. Throws Error(invalid_argument) if the gears are of another kind, or, of
  /// upper and lower, if there is none.
  std::size_t gear_for(std::size_t rows, GearChoice choice = GearChoice::upper) const;

  /// Runs inputs with exactly the chosen gear's shapes. The views are valid until the next call. Throws
  /// Error(invalid_input) or Error(execution).
  std::vector<OutputView> execute(std::span<const InputView> inputs);

  /// Runs this gear (an index of compiled().gears) on the caller's memory: inputs in the order of
  /// spec().inputs, outputs in that of compiled().outputs, each with room for the gear's bytes
  /// (input_bytes(), output_bytes()), of which exactly those are written. Memory should be aligned for its
  /// elements, and outputs must not overlap inputs. Any thread, where an executor was given if it lets several
  /// run at once; allocates nothing of its own after a thread's first run. A failure tells why.
  Failure run(std::size_t gear, std::span<const void* const> inputs,
              std::span<void* const> outputs) const noexcept;
  std::size_t input_bytes(std::size_t gear, std::size_t input) const noexcept;
  std::size_t output_bytes(std::size_t gear, std::size_t output) const noexcept;

  /// Inputs and outputs in the model's own order. Of an ONNX model they are whole tensors (shared, without a
  /// batch axis), with -1 where gears differ; of an executor as it says.
  const ModelSpec& spec() const noexcept;
  /// Gears with the shapes of everything.
  const CompiledModel& compiled() const noexcept;
  /// What the model tells of itself; null if what runs is not ONNX Runtime in this library.
  const OnnxModelDescription* description() const noexcept;
  /// batch_size is 1 for gears of other kinds than batch.
  const GearTable& gears() const noexcept;
  /// Memory for inputs and outputs of execute(); of an ONNX model inputs are read where they lie.
  MemoryPlan memory_plan() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace dynbatch
