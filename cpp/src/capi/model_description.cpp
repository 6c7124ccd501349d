#include "capi/model_description.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <dynbatch/tensor.hpp>

#include "capi/answer.hpp"

namespace dynbatch::capi {
namespace {

aclDataType type_of(DataType type) {
  switch (type) {
    case DataType::float32: return ACL_FLOAT;
    case DataType::uint8: return ACL_UINT8;
    case DataType::int8: return ACL_INT8;
    case DataType::uint16: return ACL_UINT16;
    case DataType::int16: return ACL_INT16;
    case DataType::int32: return ACL_INT32;
    case DataType::int64: return ACL_INT64;
    case DataType::boolean: return ACL_BOOL;
    case DataType::float16: return ACL_FLOAT16;
    case DataType::float64: return ACL_DOUBLE;
    case DataType::uint32: return ACL_UINT32;
    case DataType::uint64: return ACL_UINT64;
    case DataType::bfloat16: return ACL_BF16;
  }
  return ACL_DT_UNDEFINED;
}

const char* name_of(GearKind kind) {
  switch (kind) {
    case GearKind::batch: return "batch sizes";
    case GearKind::image_size: return "image sizes";
    default: return "dims";
  }
}

std::string to_text(const std::vector<std::int64_t>& sizes) {
  std::string text;
  for (const std::int64_t size : sizes) text += (text.empty() ? "" : ",") + std::to_string(size);
  return text;
}

std::string to_text(const std::vector<CompiledGear>& gears) {
  std::string text;
  for (const CompiledGear& gear : gears) text += (text.empty() ? "" : "; ") + to_text(gear.sizes);
  return text;
}

TensorDescription described(std::string name, const std::string& short_name, DataType type,
                            std::vector<std::int64_t> dims) {
  TensorDescription tensor;
  tensor.short_name = name.size() < ACL_MAX_TENSOR_NAME_LEN ? name : short_name;
  tensor.name = std::move(name);
  tensor.type = type_of(type);
  tensor.format = dims.size() == 4 ? ACL_FORMAT_NCHW : ACL_FORMAT_ND;
  tensor.dims = std::move(dims);
  return tensor;
}

}  // namespace

ModelDescription::ModelDescription(std::uint32_t id, const GearModel& model)
    : id_(id), compiled_(model.compiled()), largest_(compiled_.largest()), last_gear_(largest_) {
  describe_inputs(model);
  describe_outputs(model);
}

void ModelDescription::describe_inputs(const GearModel& model) {
  const std::string short_name = "acl_modelId_" + std::to_string(id_) + "_input_";
  for (const TensorSpec& spec : model.spec().inputs) {
    const std::size_t index = inputs_.size();
    const auto input = std::ranges::find(compiled_.inputs, spec.name, &CompiledInput::name);
    if (input == compiled_.inputs.end()) {
      refuse(ACL_ERROR_INTERNAL_ERROR, "the gears say nothing about input " + spec.name);
    }
    inputs_.push_back(
        described(spec.name, short_name + std::to_string(index), spec.dtype, input->shape));
    for (std::size_t gear = 0; gear < compiled_.gears.size(); ++gear) {
      inputs_.back().bytes = std::max(inputs_.back().bytes, model.input_bytes(gear, index));
    }
    work_bytes_ += model.input_bytes(largest_, index);
  }
  if (!has_gears()) return;
  inputs_.push_back(described(ACL_DYNAMIC_TENSOR_NAME, "", DataType::int32,
                              {static_cast<std::int64_t>(gear_values())}));
  inputs_.back().bytes = gear_values() * sizeof(std::int32_t);
}

void ModelDescription::describe_outputs(const GearModel& model) {
  const std::string short_name = "acl_modelId_" + std::to_string(id_) + "_output_";
  for (const CompiledOutput& output : compiled_.outputs) {
    const std::size_t index = outputs_.size();
    outputs_.push_back(described(output.name, short_name + std::to_string(index), output.dtype,
                                 compiled_.gears[largest_].output_shapes.at(index)));
    for (std::size_t gear = 0; gear < compiled_.gears.size(); ++gear) {
      outputs_.back().bytes = std::max(outputs_.back().bytes, model.output_bytes(gear, index));
    }
    work_bytes_ += model.output_bytes(largest_, index);
  }
}

std::size_t ModelDescription::gear_of(GearKind kind, const std::vector<std::int64_t>& sizes) const {
  if (!has_gears()) {
    refuse(ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
           "the model has no gears: compile it with --dynamic_batch_size, --dynamic_image_size or "
           "--dynamic_dims");
  }
  if (kind != compiled_.kind) {
    refuse(
        ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
        std::string("the model's gears are ") + name_of(compiled_.kind) + ", not " + name_of(kind));
  }
  const std::optional<std::size_t> gear = compiled_.find(sizes);
  if (gear) return *gear;
  refuse(
      ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID,
      "EZ9999: expected one of the gears " + to_text(compiled_.gears) + "; got " + to_text(sizes));
}

void ModelDescription::remember_gear(std::size_t gear) {
  const std::lock_guard lock(mutex_);
  last_gear_ = gear;
}

std::size_t ModelDescription::remembered_gear() const {
  const std::lock_guard lock(mutex_);
  if (unloaded_) {
    refuse(ACL_ERROR_GE_EXEC_MODEL_ID_INVALID,
           "model " + std::to_string(id_) + " has been unloaded");
  }
  return last_gear_;
}

void ModelDescription::note_unloaded() {
  const std::lock_guard lock(mutex_);
  unloaded_ = true;
}

}  // namespace dynbatch::capi
