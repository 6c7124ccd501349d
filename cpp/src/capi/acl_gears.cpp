// Gears: which there are, and which one is next.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <dynbatch/acl.h>
#include <dynbatch/error.hpp>
#include <dynbatch/gear.hpp>
#include <dynbatch/gear_model.hpp>

#include "capi/answer.hpp"
#include "capi/dataset.hpp"
#include "capi/description.hpp"
#include "capi/dims.hpp"
#include "capi/handles.hpp"
#include "capi/models.hpp"

namespace dynbatch::capi {
namespace {

using Sizes = std::vector<std::int64_t>;

const std::vector<CompiledGear>& gears_of(const ModelDescription* model, GearKind kind) {
  static const auto* const none = new std::vector<CompiledGear>;
  if (model == nullptr || !model->has_gears() || model->compiled().kind != kind) return *none;
  return model->compiled().gears;
}

std::shared_ptr<const ModelDescription> filled(const aclmdlDesc* description) {
  auto model = checked<Description>(description, "modelDesc")->model;
  require(model != nullptr, "modelDesc: expected one that aclmdlGetDesc() has filled");
  return model;
}

void check_room_for(const std::vector<CompiledGear>& gears, std::size_t room) {
  if (gears.size() <= room) return;
  refuse(ACL_ERROR_STORAGE_OVER_LIMIT, "there is room for " + std::to_string(room) +
                                           " gears, and the model has " +
                                           std::to_string(gears.size()));
}

void require_all_inputs(std::size_t index) {
  require(index == static_cast<std::size_t>(-1), "index: expected -1, which means all inputs");
}

/// All dims of all inputs in the order of the compile option.
Sizes whole_dims(const ModelDescription& model, std::size_t gear) {
  Sizes all;
  for (const Sizes& shape : model.compiled().input_shapes(gear)) {
    all.insert(all.end(), shape.begin(), shape.end());
  }
  return all;
}

/// The buffer of a dataset that takes a gear's values.
DataBuffer& shape_buffer(const Dataset& dataset, std::size_t index) {
  require(index < dataset.buffers.size(), "index: expected one of the dataset's buffers");
  DataBuffer& buffer = *dataset.buffers[index];
  require(!buffer.destroyed && buffer.data != nullptr,
          "index: expected a buffer with memory, got one that is destroyed, or null");
  return buffer;
}

void check_length(const DataBuffer& buffer, std::size_t values) {
  if (buffer.size >= values * sizeof(std::int32_t)) return;
  refuse(ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
         "the shape input's buffer: expected at least " +
             std::to_string(values * sizeof(std::int32_t)) + " bytes, got " +
             std::to_string(buffer.size));
}

template <class Number>
void write_as(std::byte* to, const Sizes& sizes) {
  for (const std::int64_t size : sizes) {
    const auto number = static_cast<Number>(size);
    std::memcpy(to, &number, sizeof number);
    to += sizeof number;
  }
}

/// As 64-bit numbers where they fit.
void write(const DataBuffer& buffer, const Sizes& sizes) {
  auto* const to = static_cast<std::byte*>(buffer.data);
  if (buffer.size >= sizes.size() * sizeof(std::uint64_t)) {
    write_as<std::uint64_t>(to, sizes);
  } else {
    write_as<std::uint32_t>(to, sizes);
  }
}

/// What is left once the arguments are known to be in order.
void set_gear(const Model& model, Dataset& dataset, std::size_t index, GearKind kind, Sizes sizes) {
  ModelDescription& description = *model.description;
  const std::size_t gear = description.gear_of(kind, sizes);
  require(index == description.inputs().size() - 1,
          "index: expected that of the input " ACL_DYNAMIC_TENSOR_NAME);
  write(shape_buffer(dataset, index), sizes);
  description.remember_gear(gear);
  dataset.gear = ChosenGear{kind, std::move(sizes)};
}

/// No gear is as large as what does not fit.
std::int64_t to_size(std::uint64_t size) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(size, INT64_MAX));
}

void set_sizes(std::uint32_t id, const aclmdlDataset* handle, std::size_t index, GearKind kind,
               const std::vector<std::uint64_t>& sizes) {
  const auto dataset = checked<Dataset>(handle, "dataset");
  for (const std::uint64_t size : sizes) require(size > 0, "a size: expected at least 1, got 0");
  check_length(shape_buffer(*dataset, index), sizes.size());
  Sizes gear;
  for (const std::uint64_t size : sizes) gear.push_back(to_size(size));
  set_gear(*find_model(id), *dataset, index, kind, std::move(gear));
}

/// The sizes that `dims` gives for the -1 of the model's inputs. What is not free must be as it is.
Sizes free_sizes(const ModelDescription& model, const aclmdlIODims& dims) {
  Sizes declared;
  for (const CompiledInput& input : model.compiled().inputs) {
    declared.insert(declared.end(), input.shape.begin(), input.shape.end());
  }
  if (declared.size() > ACL_MAX_DIM_CNT) {
    refuse(ACL_ERROR_STORAGE_OVER_LIMIT,
           "dims: there is room for 128, and the model has " + std::to_string(declared.size()));
  }
  if (dims.dimCount != declared.size()) {
    refuse(ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
           "dims: expected the " + std::to_string(declared.size()) + " dims of all inputs, got " +
               std::to_string(dims.dimCount));
  }
  Sizes sizes;
  for (std::size_t i = 0; i < declared.size(); ++i) {
    if (declared[i] == -1) {
      sizes.push_back(dims.dims[i]);
    } else if (declared[i] != dims.dims[i]) {
      refuse(ACL_ERROR_GE_DYNAMIC_INPUT_LENGTH_INVALID,
             "dims: expected " + std::to_string(declared[i]) + " as number " + std::to_string(i) +
                 ", which is no free one, got " + std::to_string(dims.dims[i]));
    }
  }
  return sizes;
}

void set_dims(std::uint32_t id, const aclmdlDataset* handle, std::size_t index,
              const aclmdlIODims* dims) {
  const auto dataset = checked<Dataset>(handle, "dataset");
  require(dims != nullptr, "dims: expected all dims of all inputs, got null");
  const DataBuffer& buffer = shape_buffer(*dataset, index);
  const auto model = find_model(id);
  const ModelDescription& description = *model->description;
  if (gears_of(&description, GearKind::dims).empty()) description.gear_of(GearKind::dims, {});
  Sizes sizes = free_sizes(description, *dims);
  check_length(buffer, sizes.size());
  set_gear(*model, *dataset, index, GearKind::dims, std::move(sizes));
}

GearChoice choice_of(dynbatchAclGearChoice choice) {
  switch (choice) {
    case DYNBATCH_ACL_UPPER: return GearChoice::upper;
    case DYNBATCH_ACL_NEAREST: return GearChoice::nearest;
    case DYNBATCH_ACL_LOWER: return GearChoice::lower;
  }
  refuse(ACL_ERROR_INVALID_PARAM, "choice: expected upper, nearest or lower");
}

std::uint64_t gear_for_rows(const Model& model, std::uint64_t rows, GearChoice choice) {
  try {
    return model.gears->gear_for(static_cast<std::size_t>(rows), choice);
  } catch (const Error& error) {
    refuse(ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID, error.what());
  }
}

}  // namespace
}  // namespace dynbatch::capi

using namespace dynbatch::capi;  // NOLINT(google-build-using-namespace): C functions stand outside
using dynbatch::GearKind;

aclError aclmdlGetDynamicBatch(const aclmdlDesc* modelDesc, aclmdlBatch* batch) {
  return answer(__func__, [&] {
    require(batch != nullptr, "batch: expected where to put it, got null");
    const auto model = filled(modelDesc);
    const auto& gears = gears_of(model.get(), GearKind::batch);
    check_room_for(gears, ACL_MAX_BATCH_NUM);
    *batch = {};
    for (const auto& gear : gears) {
      batch->batch[batch->batchCount++] = static_cast<uint64_t>(gear.sizes[0]);
    }
  });
}

aclError aclmdlGetDynamicHW(const aclmdlDesc* modelDesc, size_t /*index*/, aclmdlHW* hw) {
  return answer(__func__, [&] {
    require(hw != nullptr, "hw: expected where to put it, got null");
    const auto model = filled(modelDesc);
    const auto& gears = gears_of(model.get(), GearKind::image_size);
    check_room_for(gears, ACL_MAX_HW_NUM);
    *hw = {};
    for (const auto& gear : gears) {
      hw->hw[hw->hwCount][0] = static_cast<uint64_t>(gear.sizes[0]);
      hw->hw[hw->hwCount++][1] = static_cast<uint64_t>(gear.sizes[1]);
    }
  });
}

aclError aclmdlGetInputDynamicGearCount(const aclmdlDesc* modelDesc, size_t index,
                                        size_t* gearCount) {
  return answer(__func__, [&] {
    require(gearCount != nullptr, "gearCount: expected where to put it, got null");
    require_all_inputs(index);
    *gearCount = gears_of(filled(modelDesc).get(), GearKind::dims).size();
  });
}

aclError aclmdlGetInputDynamicDims(const aclmdlDesc* modelDesc, size_t index, aclmdlIODims* dims,
                                   size_t gearCount) {
  return answer(__func__, [&] {
    require(dims != nullptr, "dims: expected where to put them, got null");
    require_all_inputs(index);
    const auto model = filled(modelDesc);
    const auto& gears = gears_of(model.get(), GearKind::dims);
    require(gearCount >= gears.size(), "gearCount: expected room for all gears");
    for (size_t gear = 0; gear < gears.size(); ++gear) {
      put_dims(&dims[gear], "", whole_dims(*model, gear));
    }
  });
}

aclError aclmdlSetDynamicBatchSize(uint32_t modelId, aclmdlDataset* dataset, size_t index,
                                   uint64_t batchSize) {
  return answer(__func__,
                [&] { set_sizes(modelId, dataset, index, GearKind::batch, {batchSize}); });
}

aclError aclmdlSetDynamicHWSize(uint32_t modelId, aclmdlDataset* dataset, size_t index,
                                uint64_t height, uint64_t width) {
  return answer(__func__,
                [&] { set_sizes(modelId, dataset, index, GearKind::image_size, {height, width}); });
}

aclError aclmdlSetInputDynamicDims(uint32_t modelId, aclmdlDataset* dataset, size_t index,
                                   const aclmdlIODims* dims) {
  return answer(__func__, [&] { set_dims(modelId, dataset, index, dims); });
}

aclError dynbatchAclGearForRows(uint32_t modelId, uint64_t rows, dynbatchAclGearChoice choice,
                                uint64_t* batchSize) {
  return answer(__func__, [&] {
    require(batchSize != nullptr, "batchSize: expected where to put it, got null");
    require(rows > 0, "rows: expected at least 1, got 0");
    const auto wanted = choice_of(choice);
    *batchSize = gear_for_rows(*find_model(modelId), rows, wanted);
  });
}
