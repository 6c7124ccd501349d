// Describing models.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <dynbatch/acl.h>

#include "capi/answer.hpp"
#include "capi/dataset.hpp"
#include "capi/description.hpp"
#include "capi/dims.hpp"
#include "capi/handles.hpp"
#include "capi/model_run.hpp"
#include "capi/models.hpp"

namespace dynbatch::capi {
namespace {

using Tensors = std::vector<TensorDescription>;

/// Of a description that nothing has filled there are none.
const Tensors& tensors_of(const ModelDescription* model, bool inputs) {
  static const Tensors* const none = new Tensors;
  if (model == nullptr) return *none;
  return inputs ? model->inputs() : model->outputs();
}

/// A tensor by its index. It lives as long as the model's description.
const TensorDescription& tensor_at(const ModelDescription* model, bool inputs, std::size_t index) {
  const Tensors& tensors = tensors_of(model, inputs);
  if (index < tensors.size()) return tensors[index];
  refuse(ACL_ERROR_INVALID_PARAM, "index: expected less than " + std::to_string(tensors.size()) +
                                      ", got " + std::to_string(index));
}

std::shared_ptr<const ModelDescription> model_of(const aclmdlDesc* description) {
  return checked<Description>(description, "modelDesc")->model;
}

std::size_t count_of(const aclmdlDesc* description, bool inputs, const char* function) {
  return value_or<std::size_t>(
      function, 0, [&] { return tensors_of(model_of(description).get(), inputs).size(); });
}

std::size_t bytes_of(const aclmdlDesc* description, bool inputs, std::size_t index,
                     const char* function) {
  return value_or<std::size_t>(
      function, 0, [&] { return tensor_at(model_of(description).get(), inputs, index).bytes; });
}

/// Lives until the handle is filled anew or destroyed: it keeps the model's description.
const char* name_of(const aclmdlDesc* description, bool inputs, std::size_t index,
                    const char* function) {
  return value_or<const char*>(function, "", [&] {
    return tensor_at(model_of(description).get(), inputs, index).name.c_str();
  });
}

aclError find_name(const aclmdlDesc* description, bool inputs, const char* name, std::size_t* index,
                   const char* function) {
  return answer(function, [&] {
    require(name != nullptr && index != nullptr, "name, index: expected addresses, got null");
    const auto model = model_of(description);
    const Tensors& tensors = tensors_of(model.get(), inputs);
    const auto found = std::ranges::find_if(
        tensors, [&](const auto& each) { return each.name == name || each.short_name == name; });
    if (found == tensors.end()) {
      refuse(ACL_ERROR_INVALID_PARAM,
             std::string("name: the model has no ") + (inputs ? "input " : "output ") + name);
    }
    *index = static_cast<std::size_t>(found - tensors.begin());
  });
}

aclError tell_dims(const aclmdlDesc* description, bool inputs, std::size_t index,
                   aclmdlIODims* dims, const char* function) {
  return answer(function, [&] {
    const auto model = model_of(description);
    const TensorDescription& tensor = tensor_at(model.get(), inputs, index);
    put_dims(dims, tensor.short_name, tensor.dims);
  });
}

void tell_output_dims(const ModelDescription& model, std::size_t gear, std::size_t index,
                      aclmdlIODims* dims) {
  const TensorDescription& tensor = tensor_at(&model, false, index);
  put_dims(dims, tensor.short_name, model.compiled().gears.at(gear).output_shapes.at(index));
}

}  // namespace

void put_dims(aclmdlIODims* dims, const std::string& name, const std::vector<std::int64_t>& sizes) {
  require(dims != nullptr, "dims: expected where to put them, got null");
  if (sizes.size() > ACL_MAX_DIM_CNT) {
    refuse(ACL_ERROR_STORAGE_OVER_LIMIT,
           "dims: there is room for 128, and the model has " + std::to_string(sizes.size()));
  }
  *dims = {};
  name.copy(dims->name, ACL_MAX_TENSOR_NAME_LEN - 1);
  dims->dimCount = sizes.size();
  std::ranges::copy(sizes, dims->dims);
}

}  // namespace dynbatch::capi

using namespace dynbatch::capi;  // NOLINT(google-build-using-namespace): C functions stand outside

aclmdlDesc* aclmdlCreateDesc() {
  return value_or<aclmdlDesc*>(__func__, nullptr, [] {
    return reinterpret_cast<aclmdlDesc*>(
        Handles<Description>::all().add(std::make_shared<Description>()));
  });
}

aclError aclmdlDestroyDesc(aclmdlDesc* modelDesc) {
  return answer(__func__, [&] { taken<Description>(modelDesc, "modelDesc"); });
}

aclError aclmdlGetDesc(aclmdlDesc* modelDesc, uint32_t modelId) {
  return answer(__func__, [&] {
    const auto description = checked<Description>(modelDesc, "modelDesc");
    description->model.reset();
    description->model = find_model(modelId)->description;
  });
}

size_t aclmdlGetNumInputs(aclmdlDesc* modelDesc) { return count_of(modelDesc, true, __func__); }
size_t aclmdlGetNumOutputs(aclmdlDesc* modelDesc) { return count_of(modelDesc, false, __func__); }

size_t aclmdlGetInputSizeByIndex(aclmdlDesc* modelDesc, size_t index) {
  return bytes_of(modelDesc, true, index, __func__);
}
size_t aclmdlGetOutputSizeByIndex(aclmdlDesc* modelDesc, size_t index) {
  return bytes_of(modelDesc, false, index, __func__);
}

aclError aclmdlGetInputDims(const aclmdlDesc* modelDesc, size_t index, aclmdlIODims* dims) {
  return tell_dims(modelDesc, true, index, dims, __func__);
}
aclError aclmdlGetInputDimsV2(const aclmdlDesc* modelDesc, size_t index, aclmdlIODims* dims) {
  return tell_dims(modelDesc, true, index, dims, __func__);
}
aclError aclmdlGetOutputDims(const aclmdlDesc* modelDesc, size_t index, aclmdlIODims* dims) {
  return tell_dims(modelDesc, false, index, dims, __func__);
}

aclError aclmdlGetCurOutputDims(const aclmdlDesc* modelDesc, size_t index, aclmdlIODims* dims) {
  return answer(__func__, [&] {
    const auto model = model_of(modelDesc);
    require(model != nullptr, "modelDesc: expected one that aclmdlGetDesc() has filled");
    tell_output_dims(*model, model->remembered_gear(), index, dims);
  });
}

aclError dynbatchAclGetDatasetOutputDims(uint32_t modelId, const aclmdlDataset* dataset,
                                         size_t index, aclmdlIODims* dims) {
  return answer(__func__, [&] {
    const auto set = checked<Dataset>(dataset, "dataset");
    const auto model = find_model(modelId);
    tell_output_dims(*model->description, gear_for(*set, *model->description), index, dims);
  });
}

const char* aclmdlGetInputNameByIndex(const aclmdlDesc* modelDesc, size_t index) {
  return name_of(modelDesc, true, index, __func__);
}
const char* aclmdlGetOutputNameByIndex(const aclmdlDesc* modelDesc, size_t index) {
  return name_of(modelDesc, false, index, __func__);
}

const char* aclmdlGetTensorRealName(const aclmdlDesc* modelDesc, const char* name) {
  return value_or<const char*>(__func__, "", [&] {
    require(name != nullptr, "name: expected one, got null");
    const auto model = model_of(modelDesc);
    for (const bool inputs : {true, false}) {
      for (const TensorDescription& tensor : tensors_of(model.get(), inputs)) {
        if (tensor.name == name || tensor.short_name == name) return tensor.name.c_str();
      }
    }
    refuse(ACL_ERROR_INVALID_PARAM, std::string("name: the model has no tensor ") + name);
  });
}

aclError aclmdlGetInputIndexByName(const aclmdlDesc* modelDesc, const char* name, size_t* index) {
  return find_name(modelDesc, true, name, index, __func__);
}
aclError aclmdlGetOutputIndexByName(const aclmdlDesc* modelDesc, const char* name, size_t* index) {
  return find_name(modelDesc, false, name, index, __func__);
}

aclFormat aclmdlGetInputFormat(const aclmdlDesc* modelDesc, size_t index) {
  return value_or(__func__, ACL_FORMAT_UNDEFINED,
                  [&] { return tensor_at(model_of(modelDesc).get(), true, index).format; });
}
aclFormat aclmdlGetOutputFormat(const aclmdlDesc* modelDesc, size_t index) {
  return value_or(__func__, ACL_FORMAT_UNDEFINED,
                  [&] { return tensor_at(model_of(modelDesc).get(), false, index).format; });
}
aclDataType aclmdlGetInputDataType(const aclmdlDesc* modelDesc, size_t index) {
  return value_or(__func__, ACL_DT_UNDEFINED,
                  [&] { return tensor_at(model_of(modelDesc).get(), true, index).type; });
}
aclDataType aclmdlGetOutputDataType(const aclmdlDesc* modelDesc, size_t index) {
  return value_or(__func__, ACL_DT_UNDEFINED,
                  [&] { return tensor_at(model_of(modelDesc).get(), false, index).type; });
}
