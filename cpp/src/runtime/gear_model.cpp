#include <dynbatch/gear_model.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "runtime/executor_gears.hpp"
#include "runtime/gear_names.hpp"
#include "runtime/session_gears.hpp"

namespace dynbatch {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

const char* setter_of(GearKind kind) noexcept {
  switch (kind) {
    case GearKind::batch: return "batch sizes, which set_dynamic_batch_size chooses";
    case GearKind::image_size: return "image sizes, which set_dynamic_image_size chooses";
    default: return "dims, which set_input_dynamic_dims chooses";
  }
}

/// "expected a batch gear, and ...": for calls that are of another kind than the gears.
void check_kind(const CompiledModel& model, GearKind kind, const char* call) {
  if (model.gears.front().sizes.empty()) {
    refuse(std::string(call) +
           ": the model has one gear, whose shapes are fixed, and there is none to choose");
  }
  if (model.kind != kind) {
    refuse(std::string(call) + ": the gears " + gear_names(model) + " are " +
           setter_of(model.kind));
  }
}

OnnxModelSource in_memory(const void* data, std::size_t size) {
  if (data == nullptr || size == 0) {
    refuse("model_data: expected the bytes of a model, got " +
           std::string(data == nullptr ? "a null pointer" : "none"));
  }
  return {.path = {}, .data = data, .size = size};
}

OnnxModelSource in_file(const std::string& path) {
  return {.path = path, .data = nullptr, .size = 0};
}

std::int64_t distance(std::int64_t gear, std::int64_t rows) noexcept {
  return gear < rows ? rows - gear : gear - rows;
}

/// Whether gear `left` is the better choice of two that may be chosen.
bool is_better(std::int64_t left, std::int64_t right, std::int64_t rows,
               GearChoice choice) noexcept {
  switch (choice) {
    case GearChoice::upper: return left < right;
    case GearChoice::lower: return left > right;
    case GearChoice::nearest: break;
  }
  const std::int64_t difference = distance(left, rows) - distance(right, rows);
  return difference < 0 || (difference == 0 && left > right);
}

}  // namespace

class GearModel::Implementation {
 public:
  explicit Implementation(std::unique_ptr<GearRunner> gear_runner)
      : runner(std::move(gear_runner)), chosen(runner->compiled().largest()) {}

  const CompiledModel& compiled() const noexcept { return runner->compiled(); }
  void choose(const std::vector<std::int64_t>& sizes, const char* argument,
              const std::string& got) {
    const std::optional<std::size_t> gear = compiled().find(sizes);
    if (!gear) {
      refuse(std::string(argument) + ": expected one of the gears " + gear_names(compiled()) +
             "; got " + got);
    }
    chosen = *gear;
  }

  const std::unique_ptr<GearRunner> runner;
  std::size_t chosen;
};

GearModel::GearModel(std::unique_ptr<Executor> executor, const std::vector<std::size_t>& gears)
    : implementation_(std::make_unique<Implementation>(
          std::make_unique<ExecutorGears>(std::move(executor), gears))) {}
GearModel::GearModel(const std::string& model_path, const OnnxRuntimeOptions& options)
    : implementation_(std::make_unique<Implementation>(
          std::make_unique<SessionGears>(in_file(model_path), std::nullopt, options))) {}
GearModel::GearModel(const void* model_data, std::size_t model_size,
                     const OnnxRuntimeOptions& options)
    : implementation_(std::make_unique<Implementation>(std::make_unique<SessionGears>(
          in_memory(model_data, model_size), std::nullopt, options))) {}
GearModel::GearModel(const std::string& model_path, CompiledModel gears,
                     const OnnxRuntimeOptions& options)
    : implementation_(std::make_unique<Implementation>(
          std::make_unique<SessionGears>(in_file(model_path), std::move(gears), options))) {}
GearModel::GearModel(const void* model_data, std::size_t model_size, CompiledModel gears,
                     const OnnxRuntimeOptions& options)
    : implementation_(std::make_unique<Implementation>(std::make_unique<SessionGears>(
          in_memory(model_data, model_size), std::move(gears), options))) {}
GearModel::~GearModel() = default;

// Choosing.

void GearModel::set_dynamic_batch_size(std::size_t batch_size) {
  check_kind(compiled(), GearKind::batch, "set_dynamic_batch_size");
  implementation_->choose({static_cast<std::int64_t>(batch_size)}, "batch_size",
                          std::to_string(batch_size));
}

void GearModel::set_dynamic_image_size(std::int64_t height, std::int64_t width) {
  check_kind(compiled(), GearKind::image_size, "set_dynamic_image_size");
  const std::vector<std::int64_t> sizes{height, width};
  implementation_->choose(sizes, "height, width", dims_text(sizes));
}

void GearModel::set_input_dynamic_dims(std::span<const std::int64_t> dims) {
  check_kind(compiled(), GearKind::dims, "set_input_dynamic_dims");
  std::size_t rank = 0;
  std::string shapes;
  for (const CompiledInput& input : compiled().inputs) {
    rank += input.shape.size();
    shapes += (shapes.empty() ? "'" : ", '") + input.name + "' " + dims_text(input.shape);
  }
  if (dims.size() != rank) {
    refuse("dims: expected the " + std::to_string(rank) + " dimensions of all inputs, " + shapes +
           "; got " + dims_text(dims));
  }
  std::vector<std::int64_t> sizes;
  std::size_t at = 0;
  for (const CompiledInput& input : compiled().inputs) {
    for (const std::int64_t fixed : input.shape) {
      const std::int64_t dim = dims[at++];
      if (fixed < 0) {
        sizes.push_back(dim);
      } else if (dim != fixed) {
        refuse("dims: expected dimensions that fit " + shapes + ", where only -1 may change; got " +
               dims_text(dims));
      }
    }
  }
  implementation_->choose(sizes, "dims", dims_text(sizes));
}

std::size_t GearModel::dynamic_batch_size() const noexcept {
  const std::vector<std::int64_t>& sizes = compiled().gears[implementation_->chosen].sizes;
  const bool is_batch = compiled().kind == GearKind::batch && !sizes.empty();
  return is_batch ? static_cast<std::size_t>(sizes.front()) : 0;
}

std::size_t GearModel::chosen_gear() const noexcept { return implementation_->chosen; }

std::size_t GearModel::gear_for(std::size_t rows, GearChoice choice) const {
  check_kind(compiled(), GearKind::batch, "gear_for");
  const auto wanted = static_cast<std::int64_t>(std::min<std::size_t>(rows, INT64_MAX));
  std::optional<std::int64_t> best;
  for (const CompiledGear& gear : compiled().gears) {
    const std::int64_t size = gear.sizes.front();
    if (choice == GearChoice::upper && size < wanted) continue;
    if (choice == GearChoice::lower && size > wanted) continue;
    if (!best || is_better(size, *best, wanted, choice)) best = size;
  }
  if (!best) {
    refuse("rows: none of the gears " + gear_names(compiled()) +
           (choice == GearChoice::upper ? " holds " : " is filled by ") + std::to_string(rows) +
           " rows");
  }
  return static_cast<std::size_t>(*best);
}

// Running.

std::vector<OutputView> GearModel::execute(std::span<const InputView> inputs) {
  return implementation_->runner->execute(implementation_->chosen, inputs);
}

Failure GearModel::run(std::size_t gear, std::span<const void* const> inputs,
                       std::span<void* const> outputs) const noexcept {
  return implementation_->runner->run(gear, inputs, outputs);
}

std::size_t GearModel::input_bytes(std::size_t gear, std::size_t input) const noexcept {
  const std::vector<GearTensors>& tensors = implementation_->runner->tensors();
  const bool is_there = gear < tensors.size() && input < tensors[gear].inputs.size();
  return is_there ? tensors[gear].inputs[input].size_bytes : 0;
}

std::size_t GearModel::output_bytes(std::size_t gear, std::size_t output) const noexcept {
  const std::vector<GearTensors>& tensors = implementation_->runner->tensors();
  const bool is_there = gear < tensors.size() && output < tensors[gear].outputs.size();
  return is_there ? tensors[gear].outputs[output].size_bytes : 0;
}

const ModelSpec& GearModel::spec() const noexcept { return implementation_->runner->spec(); }
const CompiledModel& GearModel::compiled() const noexcept {
  return implementation_->runner->compiled();
}
const OnnxModelDescription* GearModel::description() const noexcept {
  return implementation_->runner->description();
}
const GearTable& GearModel::gears() const noexcept { return implementation_->runner->table(); }
MemoryPlan GearModel::memory_plan() const { return implementation_->runner->memory_plan(); }

}  // namespace dynbatch
