// Executor: what runs a batch. The only interface of dynbatch with several implementations
// (ONNX Runtime, Python, synthetic, yours).
//
// A batcher owns its executor. prepare() is called once, before any run that names a slot; warm-up
// runs without slots come before it. run() is called by up to `workers` threads at once (workers of
// the batcher, and blocking callers if runs_on_callers()), never for the same input or output slot
// twice at a time. terminate() may come at any moment.
//
// An executor may run a batch that is alone in a faster way, with all CPUs: if offers_lone_runs(), warm-up
// measures both ways, keep_lone_runs() tells which was found better, and Batch::alone says when it counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <dynbatch/error.hpp>
#include <dynbatch/export.hpp>
#include <dynbatch/tensor.hpp>

namespace dynbatch {

/// Memory from which, or into which, batches will run: for each slot the address of row 0 of every
/// tensor. It stays where it is until the executor is destroyed, so an executor may build what it
/// needs over it once. A shared input and an output of unknown shape have a null address.
struct PreparedMemory {
  std::vector<std::vector<std::byte*>> input_slots;   // [slot][input]
  std::vector<std::vector<std::byte*>> output_slots;  // [slot][output]
  std::vector<std::size_t> batch_sizes;               // the sizes that will be run most, rising
};

/// One batch to run. Inputs are contiguous and start at row 0 of the batch.
struct Batch {
  /// Marks memory that is not in PreparedMemory.
  static constexpr std::uint32_t kNoSlot = 0xffffffff;

  std::size_t rows = 0;  // what the model must be run with, filled rows included
  std::span<const std::byte* const> inputs;  // in the order of ModelSpec::inputs
  std::span<std::byte* const> outputs;       // null where the executor must bring the memory
  /// Of a model whose rows differ in shape (ModelSpec::is_staged()): the whole shape of each input. All
  /// outputs are brought then, with whatever shapes the model gives them. Empty for other models.
  std::span<const Shape> input_shapes;
  std::uint32_t input_slot = kNoSlot;
  std::uint32_t output_slot = kNoSlot;
  /// No other batch runs or waits, and lone runs were kept: the run may use all CPUs.
  bool alone = false;
  /// Batches have become smaller for a while: memory that only larger ones need may be given back.
  bool shrinks = false;
};

/// Where an executor puts what it could not write into Batch::outputs. Used on the running thread.
class DYNBATCH_EXPORT RunOutputs {
 public:
  virtual ~RunOutputs();
  /// Hands over memory for output `index`: `shape` with its batch axis; `release(context)` is called
  /// once, on any thread, when the last reader is gone.
  virtual void adopt(std::size_t index, const void* data, const Shape& shape,
                     void (*release)(void* context), void* context) noexcept = 0;
  /// Fails the request that owns this row, and no other. The run itself counts as a success.
  virtual void fail_row(std::size_t row, Failure failure) noexcept = 0;
};

class DYNBATCH_EXPORT Executor {
 public:
  Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  virtual ~Executor();

  /// Constant for the executor's life.
  virtual const ModelSpec& spec() const noexcept = 0;
  /// May throw Error(model).
  virtual void prepare(const PreparedMemory& memory);
  /// Runs one batch; a default-made Failure means success. Must not throw.
  virtual Failure run(const Batch& batch, RunOutputs& outputs) noexcept = 0;
  /// Asks the runs that are under way to end early, with an error; later runs too.
  virtual void terminate() noexcept;

  /// Whether a blocking caller's own thread may run batches; false keeps runs on workers.
  virtual bool runs_on_callers() const noexcept;
  /// Whether the rows of a failed run may be run again, to find the guilty request.
  virtual bool reruns() const noexcept;
  /// Whether a batch that is alone is run in another way than one of several; false by default.
  virtual bool offers_lone_runs() const noexcept;
  /// Called once, before prepare(), if lone runs are offered. False: no batch will be alone, and what
  /// only lone runs need may be released.
  virtual void keep_lone_runs(bool keep) noexcept;
};

}  // namespace dynbatch
