#include <dynbatch/onnxruntime_executor.hpp>

#include <algorithm>
#include <cstring>
#include <exception>
#include <numeric>

#include "executor/ort_executor.hpp"

namespace dynbatch {
namespace {

// Values that prepare() makes at most, at about 0.15 us and 300 bytes each; a run makes what it
// lacks.
constexpr std::size_t kMostPreparedValues = 65536;

/// Whether ONNX Runtime is to bring, or has brought, the memory of an output.
bool is_brought(const Batch& batch, const RunValues& outputs, std::size_t tensor) {
  return !outputs.is_prepared(tensor) && batch.outputs[tensor] == nullptr;
}

/// Releases a value that a reader of outputs has held, maybe longer than the executor has lived.
void release_value(void* value) {
  static const ort::Api& api = use_ort_library({}).api;
  api.ReleaseValue(static_cast<ort::Value*>(value));
}

void release_copy(void* copy) { delete[] static_cast<std::byte*>(copy); }

/// For a run of which only the shapes of the outputs matter.
class DroppedOutputs final : public RunOutputs {
 public:
  void adopt(std::size_t, const void*, const Shape&, void (*release)(void* context),
             void* context) noexcept override {
    release(context);
  }
  void fail_row(std::size_t, Failure) noexcept override {}
};

}  // namespace

OnnxRuntimeExecutor::OnnxRuntimeExecutor(const OnnxModelSource& model,
                                         const OnnxRuntimeOptions& options)
    : library_(use_ort_library({options.library_path, options.api_base})) {
  take(load_onnx_model(library_, model, options));
  find_passed_through();
  for (const TensorSpec& input : spec_.inputs) input_names_.push_back(input.name.c_str());
  for (const TensorSpec& output : spec_.outputs) output_names_.push_back(output.name.c_str());
  run_options_ = make_run_options();
  shrinking_run_options_ = make_run_options();
  ort::check(library_.api,
             library_.api.AddRunConfigEntry(shrinking_run_options_.get(),
                                            "memory.enable_memory_arena_shrinkage", "cpu:0"),
             "cannot set run options");
  prepared_inputs_.emplace(library_, spec_.inputs);
  prepared_outputs_.emplace(library_, spec_.outputs);
}

ort::Handle<ort::RunOptions> OnnxRuntimeExecutor::make_run_options() const {
  return ort::make_handle<ort::RunOptions>(
      library_.api, library_.api.ReleaseRunOptions, "cannot make run options",
      [this](auto made) { return library_.api.CreateRunOptions(made); });
}

void OnnxRuntimeExecutor::take(LoadedOnnxModel model) {
  description_ = std::move(model.description);
  spec_ = std::move(model.spec);
  session_.handle = std::move(model.session);
  lone_session_.handle = std::move(model.lone_session);
}

void OnnxRuntimeExecutor::find_passed_through() {
  for (const TensorSpec& output : spec_.outputs) {
    const auto input = std::ranges::find(spec_.inputs, output.name, &TensorSpec::name);
    const bool computed = input == spec_.inputs.end();
    passed_through_.push_back(computed ? kComputed
                                       : static_cast<std::size_t>(input - spec_.inputs.begin()));
  }
}

// Preparing.

void OnnxRuntimeExecutor::prepare(const PreparedMemory& memory) {
  if (spec_.is_staged()) return;  // shapes differ from batch to batch
  const std::vector<std::size_t> sizes = sizes_to_prepare(memory);
  prepared_inputs_->build(memory.input_slots, sizes);
  prepared_outputs_->build(memory.output_slots, sizes);
}

/// Every size up to the largest while that is affordable, else the given ones, else none.
std::vector<std::size_t> OnnxRuntimeExecutor::sizes_to_prepare(const PreparedMemory& memory) const {
  if (memory.batch_sizes.empty()) return {};
  const std::size_t values_of_a_size = memory.input_slots.size() * spec_.inputs.size() +
                                       memory.output_slots.size() * spec_.outputs.size();
  const auto affordable = [&](std::size_t sizes) {
    return values_of_a_size * sizes <= kMostPreparedValues;
  };
  if (spec_.fixed_batch == 0 && affordable(memory.batch_sizes.back())) {
    std::vector<std::size_t> all(memory.batch_sizes.back());
    std::iota(all.begin(), all.end(), std::size_t{1});
    return all;
  }
  return affordable(memory.batch_sizes.size()) ? memory.batch_sizes : std::vector<std::size_t>();
}

// Running.

Failure OnnxRuntimeExecutor::run(const Batch& batch, RunOutputs& outputs) noexcept {
  try {
    if (!batch.input_shapes.empty()) return run_shaped(batch, outputs);
    Failure failure = run_batch(batch, outputs);
    return failure ? explained(std::move(failure), batch) : failure;
  } catch (const std::exception& error) {
    return {ErrorCode::execution, error.what(), nullptr};
  }
}

Failure OnnxRuntimeExecutor::run_batch(const Batch& batch, RunOutputs& outputs) {
  thread_local RunScratch scratch;
  scratch.values.resize(spec_.inputs.size() + spec_.outputs.size());
  const std::span<ort::Value*> places(scratch.values);
  RunValues in(library_, spec_.inputs, places.first(spec_.inputs.size()),
               prepared_inputs_->find(batch.input_slot, batch.rows));
  RunValues out(library_, spec_.outputs, places.subspan(spec_.inputs.size()),
                prepared_outputs_->find(batch.output_slot, batch.rows));
  if (Failure failure = make_missing(batch, in, out)) return failure;
  if (ort::Status* status = run_session(batch, in, out)) return failure_of(status);
  copy_passed_through(batch);
  scratch.shapes.resize(spec_.outputs.size());
  if (Failure failure = read_shapes(batch, out, scratch.shapes)) return failure;
  return hand_over(batch, out, scratch.shapes, outputs);
}

ort::Status* OnnxRuntimeExecutor::run_session(const Batch& batch, const RunValues& inputs,
                                              RunValues& outputs) noexcept {
  // relaxed, all: which of the next runs shrinks an arena does not matter.
  if (batch.shrinks) {
    session_.shrinks.store(true, std::memory_order_relaxed);
    lone_session_.shrinks.store(true, std::memory_order_relaxed);
  }
  Session& session = batch.alone && lone_session_.handle ? lone_session_ : session_;
  const auto run = [&](const ort::Handle<ort::RunOptions>& options) {
    return library_.api.Run(session.handle.get(), options.get(), input_names_.data(),
                            inputs.values(), input_names_.size(), output_names_.data(),
                            output_names_.size(), outputs.values());
  };
  if (!session.shrinks.load(std::memory_order_relaxed) ||
      !session.shrinks.exchange(false, std::memory_order_relaxed)) {
    return run(run_options_);
  }
  ort::Status* const status = run(shrinking_run_options_);
  // relaxed, both: set for good by the first run that shrinks.
  if (status == nullptr) has_shrunk_.store(true, std::memory_order_relaxed);
  if (status == nullptr || has_shrunk_.load(std::memory_order_relaxed)) return status;
  // A library that was built without arenas refuses to shrink them, before it runs anything.
  library_.api.ReleaseStatus(status);
  return run(run_options_);
}

/// Before any memory is prepared, an output that has not a row for each of the batch fails for not
/// fitting its place. Without a place the run shows the output's own shape, which says what is wrong.
Failure OnnxRuntimeExecutor::explained(Failure failure, const Batch& batch) {
  const bool has_places =
      std::ranges::any_of(batch.outputs, [](const std::byte* place) { return place != nullptr; });
  if (batch.output_slot != Batch::kNoSlot || !has_places) return failure;
  const std::vector<std::byte*> nowhere(batch.outputs.size(), nullptr);
  Batch without_places = batch;
  without_places.outputs = nowhere;
  DroppedOutputs dropped;
  Failure own_shape = run_batch(without_places, dropped);
  return own_shape.code == ErrorCode::model ? own_shape : failure;
}

Failure OnnxRuntimeExecutor::make_missing(const Batch& batch, RunValues& inputs,
                                          RunValues& outputs) const {
  for (std::size_t tensor = 0; tensor < spec_.inputs.size(); ++tensor) {
    if (inputs.is_prepared(tensor)) continue;
    ort::Status* status = inputs.make(tensor, batch.rows, batch.inputs[tensor]);
    if (status != nullptr) return failure_of(status);
  }
  for (std::size_t tensor = 0; tensor < spec_.outputs.size(); ++tensor) {
    if (outputs.is_prepared(tensor) || is_brought(batch, outputs, tensor)) continue;
    ort::Status* status = outputs.make(tensor, batch.rows, batch.outputs[tensor]);
    if (status != nullptr) return failure_of(status);
  }
  return {};
}

/// Does for passed through outputs what ONNX Runtime does not: writes them to their memory.
void OnnxRuntimeExecutor::copy_passed_through(const Batch& batch) const noexcept {
  for (std::size_t output = 0; output < passed_through_.size(); ++output) {
    const std::size_t input = passed_through_[output];
    if (input == kComputed || batch.outputs[output] == nullptr) continue;
    copy_rows(batch, input, batch.outputs[output]);
  }
}

void OnnxRuntimeExecutor::copy_rows(const Batch& batch, std::size_t input,
                                    std::byte* target) const noexcept {
  const std::size_t size = input_bytes(batch, input);
  if (size != 0) std::memcpy(target, batch.inputs[input], size);
}

/// Reads the shapes of the outputs that ONNX Runtime has brought, and checks that they have the
/// batch's rows; those of the others it has checked itself.
Failure OnnxRuntimeExecutor::read_shapes(const Batch& batch, const RunValues& values,
                                         std::span<Shape> shapes) const {
  for (std::size_t tensor = 0; tensor < shapes.size(); ++tensor) {
    if (!is_brought(batch, values, tensor)) continue;
    Shape& shape = shapes[tensor];
    ort::Status* status = read_shape(library_, values.values()[tensor], shape);
    if (status != nullptr) return failure_of(status);
    const auto rows = static_cast<std::int64_t>(batch.rows);
    if (shape.valid() && shape.rank() > 0 && shape[0] == rows) continue;
    // Before any memory is prepared, it is the model that cannot be batched, not a run that fails.
    return {batch.output_slot == Batch::kNoSlot ? ErrorCode::model : ErrorCode::execution,
            "output '" + spec_.outputs[tensor].name + "' has the shape " + to_string(shape) +
                " for a batch of " + std::to_string(batch.rows) +
                " rows: its leading dimension must be the batch, and it may have at most " +
                std::to_string(Shape::kMaxRank) + " dimensions",
            nullptr};
  }
  return {};
}

/// Hands what ONNX Runtime has brought to the batch; call after every shape has been read.
Failure OnnxRuntimeExecutor::hand_over(const Batch& batch, RunValues& values,
                                       std::span<const Shape> shapes, RunOutputs& outputs) const {
  for (std::size_t tensor = 0; tensor < shapes.size(); ++tensor) {
    if (!is_brought(batch, values, tensor)) continue;
    if (Failure failure = hand_over_one(batch, values, tensor, shapes[tensor], outputs)) {
      return failure;
    }
  }
  return {};
}

Failure OnnxRuntimeExecutor::hand_over_one(const Batch& batch, RunValues& values,
                                           std::size_t output, const Shape& shape,
                                           RunOutputs& outputs) const {
  if (const std::size_t input = passed_through_[output]; input != kComputed) {
    auto copy = std::make_unique<std::byte[]>(input_bytes(batch, input));
    copy_rows(batch, input, copy.get());
    std::byte* data = copy.release();
    outputs.adopt(output, data, shape, release_copy, data);
    return {};
  }
  void* data = nullptr;
  ort::Status* status = library_.api.GetTensorMutableData(values.values()[output], &data);
  if (status != nullptr) return failure_of(status);
  outputs.adopt(output, data, shape, release_value, values.take(output));
  return {};
}

/// Bytes of an input in this batch.
std::size_t OnnxRuntimeExecutor::input_bytes(const Batch& batch, std::size_t input) const noexcept {
  const TensorSpec& spec = spec_.inputs[input];
  return batch.input_shapes.empty() ? batch.rows * spec.row_bytes()
                                    : tensor_bytes(spec.dtype, batch.input_shapes[input]);
}

Failure OnnxRuntimeExecutor::failure_of(ort::Status* status) const {
  return {ErrorCode::execution, ort::take_message(library_.api, status), nullptr};
}

void OnnxRuntimeExecutor::terminate() noexcept {
  for (const auto* options : {&run_options_, &shrinking_run_options_}) {
    library_.api.ReleaseStatus(library_.api.RunOptionsSetTerminate(options->get()));
  }
}

std::unique_ptr<Executor> make_onnxruntime_executor(const std::string& model_path,
                                                    const OnnxRuntimeOptions& options) {
  return std::make_unique<OnnxRuntimeExecutor>(
      OnnxModelSource{.path = model_path, .data = nullptr, .size = 0}, options);
}

std::unique_ptr<Executor> make_onnxruntime_executor(const void* model_data, std::size_t model_size,
                                                    const OnnxRuntimeOptions& options) {
  return std::make_unique<OnnxRuntimeExecutor>(
      OnnxModelSource{.path = {}, .data = model_data, .size = model_size}, options);
}

const OnnxModelDescription* onnx_description(const Executor& executor) noexcept {
  const auto* own = dynamic_cast<const OnnxRuntimeExecutor*>(&executor);
  return own == nullptr ? nullptr : &own->description();
}

}  // namespace dynbatch
