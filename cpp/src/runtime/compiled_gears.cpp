#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <dynbatch/compiled_model.hpp>

#include "runtime/gear_names.hpp"

namespace dynbatch {
namespace {

constexpr std::int64_t kFree = -1;

[[noreturn]] void fail(const CompiledModel& model, std::size_t gear, const std::string& message) {
  throw Error(ErrorCode::model, "the compiled gear " + gear_name(model, gear) +
                                    " cannot be batched: " + message +
                                    ". GearModel runs it; or give gears of your own");
}

/// A gear as rows have it: a batch size, 0 if the gear does not say it, and the sizes of the free dimensions.
class RowGear {
 public:
  RowGear(const CompiledModel& model, const ModelSpec& spec, std::size_t gear)
      : model_(model), gear_(gear), sizes_(spec.dimensions.size()) {
    const auto shapes = model.input_shapes(gear);
    for (const TensorSpec& input : spec.inputs) {
      const auto compiled = std::ranges::find(model.inputs, input.name, &CompiledInput::name);
      if (compiled == model.inputs.end()) continue;  // made by the runtime
      read(input, *compiled, shapes[static_cast<std::size_t>(compiled - model.inputs.begin())]);
    }
    for (std::size_t i = 0; i < sizes_.size(); ++i) {
      if (!sizes_[i]) fail(model, gear, "it has no size for " + spec.dimensions[i].name);
    }
  }

  DimsGear take() const {
    DimsGear gear{batch_.value_or(0), {}};
    for (const auto& size : sizes_) gear.sizes.push_back(*size);
    return gear;
  }

 private:
  void read(const TensorSpec& input, const CompiledInput& compiled,
            const std::vector<std::int64_t>& shape) {
    std::size_t of_row = 0;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      const bool is_batch = !input.shared && axis == input.batch_axis;
      const int dimension = is_batch || of_row >= input.dimensions.size()
                                ? TensorSpec::kStatic
                                : input.dimensions[of_row];
      if (!is_batch) ++of_row;
      if (compiled.shape[axis] != kFree) continue;
      if (is_batch) {
        set(batch_, static_cast<std::size_t>(shape[axis]), "its inputs have different batches");
      } else if (dimension != TensorSpec::kStatic) {
        set(sizes_[static_cast<std::size_t>(dimension)], shape[axis],
            "its inputs have different sizes in dimensions of one name");
      }
    }
  }
  template <class Size>
  void set(std::optional<Size>& size, Size value, const char* otherwise) const {
    if (size && *size != value) fail(model_, gear_, otherwise);
    size = value;
  }

  const CompiledModel& model_;
  std::size_t gear_;
  std::optional<std::size_t> batch_;
  std::vector<std::optional<std::int64_t>> sizes_;
};

/// The batch that all gears have, if shapes fix it; 0 if gears say it, or the model.
std::size_t fixed_batch(const CompiledModel& model, const ModelSpec& spec) {
  if (spec.fixed_batch > 0) return 0;
  for (const TensorSpec& input : spec.inputs) {
    if (input.shared || input.ragged) continue;
    const auto compiled = std::ranges::find(model.inputs, input.name, &CompiledInput::name);
    if (compiled == model.inputs.end() || compiled->shape.size() <= input.batch_axis) continue;
    const std::int64_t size = compiled->shape[input.batch_axis];
    return size > 0 ? static_cast<std::size_t>(size) : 0;
  }
  return 0;
}

/// Whether the free dimensions are the last two axes of one input, which is what image_sizes tell.
bool is_image(const ModelSpec& spec) {
  const TensorSpec* image = nullptr;
  for (const TensorSpec& input : spec.inputs) {
    if (input.dimensions.empty()) continue;
    if (image != nullptr) return false;
    image = &input;
  }
  if (image == nullptr || spec.dimensions.size() != 2 || image->dimensions.size() < 2) return false;
  const auto last = image->dimensions.end();
  return *(last - 2) == 0 && *(last - 1) == 1;
}

void take_batches(BatchingOptions& options, const CompiledModel& model, const ModelSpec& spec) {
  const bool of_batches = model.kind == GearKind::batch && !model.gears.front().sizes.empty();
  if (of_batches) {
    for (const CompiledGear& gear : model.gears)
      options.gears.push_back(static_cast<std::size_t>(gear.sizes.front()));
  } else if (const std::size_t batch = fixed_batch(model, spec); batch > 0) {
    options.gears = {batch};
  }
}

void take_shapes(BatchingOptions& options, const CompiledModel& model, const ModelSpec& spec,
                 bool batches_given) {
  std::vector<DimsGear> gears;
  for (std::size_t gear = 0; gear < model.gears.size(); ++gear) {
    DimsGear one = RowGear(model, spec, gear).take();
    if (batches_given) one.batch_size = 0;
    const auto is_same = [&](const DimsGear& other) {
      return other.batch_size == one.batch_size && other.sizes == one.sizes;
    };
    if (std::ranges::none_of(gears, is_same)) gears.push_back(std::move(one));
  }
  if (spec.dimensions.empty()) {  // the batch alone
    for (const DimsGear& gear : gears) {
      if (gear.batch_size > 0) options.gears.push_back(gear.batch_size);
    }
  } else if (model.kind == GearKind::image_size && is_image(spec)) {
    for (const DimsGear& gear : gears)
      options.image_sizes.emplace_back(gear.sizes[0], gear.sizes[1]);
  } else {
    options.dims = std::move(gears);
  }
}

}  // namespace

BatchingOptions with_compiled_gears(BatchingOptions options, const OnnxModelMetadata& metadata,
                                    const ModelSpec& spec) {
  const std::optional<CompiledModel> model = compiled_model(metadata);
  if (!model) return options;
  const bool batches_given = !options.gears.empty() || options.max_batch_size.has_value();
  const bool shapes_given =
      !options.lengths.empty() || !options.image_sizes.empty() || !options.dims.empty();
  if (!batches_given) take_batches(options, *model, spec);
  const bool has_shapes = model->kind != GearKind::batch && !model->gears.front().sizes.empty();
  if (has_shapes && !shapes_given) take_shapes(options, *model, spec, batches_given);
  return options;
}

}  // namespace dynbatch
