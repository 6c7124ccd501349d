#include "runtime/executor_gears.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "batch/input_check.hpp"
#include "runtime/batching_plan.hpp"
#include "runtime/gear_names.hpp"
#include "runtime/sample_rows.hpp"
#include "runtime/warm_up.hpp"

namespace dynbatch {
namespace {

std::unique_ptr<Executor> checked(std::unique_ptr<Executor> executor,
                                  const std::vector<std::size_t>& gears) {
  if (executor == nullptr)
    throw Error(ErrorCode::invalid_argument, "executor: expected one, got null");
  if (executor->spec().is_staged()) {
    throw Error(ErrorCode::model,
                "rows differ in shape, and gears of batch sizes have one shape for all rows: bind "
                "free dimensions (dimensions=), give image_sizes= or dims=, or use load()");
  }
  check_gears(gears);
  check_shapes(executor->spec());
  const std::size_t fixed = executor->spec().fixed_batch;
  if (fixed > 0 && (gears.size() != 1 || gears.front() != fixed)) {
    throw Error(ErrorCode::invalid_argument,
                "gears: the batch is fixed to " + std::to_string(fixed) +
                    " (by the model, or by dimensions that bind it), the only gear");
  }
  return executor;
}

std::vector<std::int64_t> whole_shape(const TensorSpec& spec, std::int64_t rows) {
  std::vector<std::int64_t> shape;
  if (!spec.shared) shape.push_back(rows);
  for (const std::int64_t dim : spec.row_shape.dims()) shape.push_back(dim);
  return shape;
}

/// Puts outputs that the executor brings to the caller's memory.
class PlacedOutputs final : public RunOutputs {
 public:
  PlacedOutputs(const CompiledModel& model, const std::vector<WholeTensor>& tensors,
                std::span<void* const> places) noexcept
      : model_(model), tensors_(tensors), places_(places) {}

  void adopt(std::size_t index, const void* data, const Shape& shape, void (*release)(void*),
             void* context) noexcept override {
    if (std::ranges::equal(shape.dims(), tensors_[index].shape)) {
      if (tensors_[index].size_bytes > 0)
        std::memcpy(places_[index], data, tensors_[index].size_bytes);
      ++placed_;
    } else if (!failure_) {
      failure_ = {ErrorCode::execution,
                  "output '" + model_.outputs[index].name + "': expected the shape " +
                      dims_text(tensors_[index].shape) + " of this gear, got " + to_string(shape),
                  nullptr};
    }
    if (release != nullptr) release(context);
  }
  void fail_row(std::size_t, Failure failure) noexcept override {
    if (!failure_) failure_ = std::move(failure);
  }

  std::size_t placed() const noexcept { return placed_; }
  Failure take_failure() noexcept { return std::move(failure_); }

 private:
  const CompiledModel& model_;
  const std::vector<WholeTensor>& tensors_;
  std::span<void* const> places_;
  std::size_t placed_ = 0;
  Failure failure_;
};

}  // namespace

ExecutorGears::ExecutorGears(std::unique_ptr<Executor> executor,
                             const std::vector<std::size_t>& gears)
    : executor_(checked(std::move(executor), gears)),
      trial_(*executor_, *std::max_element(gears.begin(), gears.end())) {
  const ModelSpec& spec = executor_->spec();
  if (executor_->offers_lone_runs()) executor_->keep_lone_runs(false);  // all runs are alike
  for (const std::size_t gear : gears) {
    table_.gears.push_back({.batch_size = gear,
                            .input_bytes = bytes_of(spec.inputs, gear),
                            .output_bytes = bytes_of(spec.outputs, gear)});
  }
  table_.cap = table_.largest();
  table_.filled = true;
  warm_up(gears);
}

void ExecutorGears::warm_up(const std::vector<std::size_t>& gears) {
  std::vector<std::size_t> sizes = gears;
  std::sort(sizes.begin(), sizes.end());
  const std::size_t largest = sizes.back();
  executor_->prepare(trial_.prepared(std::move(sizes)));
  const SampleRows samples(spec(), {});
  samples.write_shared(trial_);
  for (std::size_t row = 0; row < largest; ++row) samples.write_row(trial_, row, row);
  // A model that refuses made-up values is still good for real ones; its gears are then not timed.
  const Failure failure = time_gears(trial_, table_);
  describe(!failure);
}

void ExecutorGears::describe(bool has_run) {
  for (const TensorSpec& input : spec().inputs)
    compiled_.inputs.push_back({input.name, input.dtype, whole_shape(input, -1)});
  for (const TensorSpec& output : spec().outputs)
    compiled_.outputs.push_back({output.name, output.dtype});
  for (const Gear& gear : table_.gears) {
    CompiledGear& described = compiled_.gears.emplace_back();
    described.sizes = {static_cast<std::int64_t>(gear.batch_size)};
    described.seconds = gear.seconds;
    for (std::size_t i = 0; i < spec().outputs.size(); ++i)
      described.output_shapes.push_back(output_shape(i, gear.batch_size, has_run));
    describe_tensors(described);
  }
}

void ExecutorGears::describe_tensors(const CompiledGear& gear) {
  GearTensors& tensors = tensors_.emplace_back();
  for (const TensorSpec& input : spec().inputs) {
    tensors.inputs.push_back(
        whole_tensor(input.name, input.dtype, whole_shape(input, gear.sizes.front())));
  }
  for (std::size_t i = 0; i < spec().outputs.size(); ++i) {
    const TensorSpec& output = spec().outputs[i];
    const std::vector<std::int64_t>& shape = gear.output_shapes[i];
    const bool known = std::ranges::count(shape, -1) == 0;
    tensors.outputs.push_back(known ? whole_tensor(output.name, output.dtype, shape)
                                    : WholeTensor{output.dtype, shape, 0});
  }
}

/// With -1 where only a run can tell, and none has succeeded.
std::vector<std::int64_t> ExecutorGears::output_shape(std::size_t index, std::size_t rows,
                                                      bool has_run) const {
  if (!has_run) return whole_shape(spec().outputs[index], static_cast<std::int64_t>(rows));
  const Shape shape = trial_.output(index, rows).shape;
  return {shape.dims().begin(), shape.dims().end()};
}

const OnnxModelDescription* ExecutorGears::description() const noexcept {
  return onnx_description(*executor_);
}

std::vector<OutputView> ExecutorGears::execute(std::size_t gear,
                                               std::span<const InputView> inputs) {
  const std::size_t batch_size = table_.gears[gear].batch_size;
  Failure failure;
  const std::optional<std::size_t> rows = check_inputs(spec(), inputs, failure);
  if (!rows) throw Error(failure.code, failure.message);
  if (*rows != batch_size) {
    throw Error(ErrorCode::invalid_input, "expected " + std::to_string(batch_size) +
                                              " rows, the chosen gear; got " +
                                              std::to_string(*rows));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::size_t bytes = tensors_[gear].inputs[i].size_bytes;
    if (bytes > 0) std::memcpy(trial_.input_row(i, 0), inputs[i].data, bytes);
  }
  failure = trial_.run(batch_size);
  if (failure) throw Error(ErrorCode::execution, failure.message);
  std::vector<OutputView> outputs;
  for (std::size_t i = 0; i < spec().outputs.size(); ++i)
    outputs.push_back(trial_.output(i, batch_size));
  return outputs;
}

Failure ExecutorGears::run_checked(std::size_t gear, std::span<const void* const> inputs,
                                   std::span<void* const> outputs) const noexcept {
  thread_local Addresses addresses;
  try {
    if (Failure failure = set_addresses(addresses, gear, inputs, outputs)) return failure;
  } catch (const std::exception& error) {
    return {ErrorCode::execution, error.what(), nullptr};
  }
  PlacedOutputs placed(compiled_, tensors_[gear].outputs, outputs);
  const Batch batch{.rows = table_.gears[gear].batch_size,
                    .inputs = addresses.inputs,
                    .outputs = addresses.outputs};
  Failure failure = executor_->run(batch, placed);
  if (!failure) failure = placed.take_failure();
  const auto brought = std::ranges::count(addresses.outputs, nullptr);
  if (!failure && placed.placed() < static_cast<std::size_t>(brought))
    return {ErrorCode::execution, "the executor has not delivered every output", nullptr};
  return failure;
}

/// Outputs of unknown shape get no address: the executor brings them.
Failure ExecutorGears::set_addresses(Addresses& addresses, std::size_t gear,
                                     std::span<const void* const> inputs,
                                     std::span<void* const> outputs) const {
  addresses.inputs.clear();
  addresses.outputs.clear();
  for (const void* input : inputs) addresses.inputs.push_back(static_cast<const std::byte*>(input));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const TensorSpec& output = spec().outputs[i];
    const bool is_known = output.has_known_shape();
    addresses.outputs.push_back(is_known ? static_cast<std::byte*>(outputs[i]) : nullptr);
    if (is_known || std::ranges::count(tensors_[gear].outputs[i].shape, -1) == 0) continue;
    return {ErrorCode::execution,
            "output '" + output.name +
                "': its shape is not known, since the model refused made-up inputs at load: use "
                "execute()",
            nullptr};
  }
  return {};
}

MemoryPlan ExecutorGears::memory_plan() const {
  MemoryPlan plan = plan_of_gears();
  plan.batch_blocks = 1;
  plan.batch_block_bytes = trial_.inputs().total_bytes();
  plan.output_blocks = 1;
  plan.output_block_bytes = trial_.outputs().total_bytes();
  plan.total_bytes = plan.batch_block_bytes + plan.output_block_bytes;
  return plan;
}

}  // namespace dynbatch
