// Describing models and their gears.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <dynbatch/acl.h>

#include "acl_register.hpp"

namespace dynbatch::python {

py::dict to_dict(const aclmdlIODims& dims) {
  py::list sizes;
  for (std::size_t i = 0; i < dims.dimCount; ++i) sizes.append(dims.dims[i]);
  py::dict dict;
  dict["name"] = py::str(static_cast<const char*>(dims.name));
  dict["dimCount"] = dims.dimCount;
  dict["dims"] = sizes;
  return dict;
}

namespace {

aclmdlDesc* description(Address address) { return at<aclmdlDesc>(address); }
/// pyACL's -1 is C's.
std::size_t any_index(std::int64_t index) { return static_cast<std::size_t>(index); }

/// A getter of a plain value.
template <auto kGetter>
auto by_index(Address desc, std::size_t index) {
  return kGetter(description(desc), index);
}
template <auto kGetter>
int enum_by_index(Address desc, std::size_t index) {
  return static_cast<int>(kGetter(description(desc), index));
}

/// (dims, code); {} after a failure.
template <auto kGetter>
py::tuple dims_by_index(Address desc, std::size_t index) {
  aclmdlIODims dims = {};
  const aclError code = kGetter(description(desc), index, &dims);
  return py::make_tuple(code == ACL_SUCCESS ? to_dict(dims) : py::dict(), code);
}

/// (index, code)
template <auto kGetter>
py::tuple index_by_name(Address desc, const std::string& name) {
  std::size_t index = 0;
  const aclError code = kGetter(description(desc), name.c_str(), &index);
  return py::make_tuple(index, code);
}

py::tuple dynamic_batch(Address desc) {
  aclmdlBatch batch = {};
  const aclError code = aclmdlGetDynamicBatch(description(desc), &batch);
  py::list sizes;
  for (std::size_t i = 0; i < batch.batchCount; ++i) sizes.append(batch.batch[i]);
  py::dict dict;
  dict["batchCount"] = batch.batchCount;
  dict["batch"] = sizes;
  return py::make_tuple(dict, code);
}

py::tuple dynamic_hw(Address desc, std::int64_t index) {
  aclmdlHW hw = {};
  const aclError code = aclmdlGetDynamicHW(description(desc), any_index(index), &hw);
  py::list pairs;
  for (std::size_t i = 0; i < hw.hwCount; ++i) {
    py::list pair;
    pair.append(hw.hw[i][0]);
    pair.append(hw.hw[i][1]);
    pairs.append(pair);
  }
  py::dict dict;
  dict["hwCount"] = hw.hwCount;
  dict["hw"] = pairs;
  return py::make_tuple(dict, code);
}

py::tuple gear_count(Address desc, std::int64_t index) {
  std::size_t count = 0;
  const aclError code = aclmdlGetInputDynamicGearCount(description(desc), any_index(index), &count);
  return py::make_tuple(count, code);
}

py::tuple dynamic_dims(Address desc, std::int64_t index, std::size_t count) {
  // No model has more gears than the other kinds have room for.
  const std::size_t room = count < ACL_MAX_BATCH_NUM ? count : ACL_MAX_BATCH_NUM;
  std::vector<aclmdlIODims> dims(room + 1);
  const aclError code =
      aclmdlGetInputDynamicDims(description(desc), any_index(index), dims.data(), room);
  std::size_t gears = 0;
  if (code == ACL_SUCCESS) aclmdlGetInputDynamicGearCount(description(desc), any_index(-1), &gears);
  py::list list;
  for (std::size_t gear = 0; gear < gears; ++gear) list.append(to_dict(dims[gear]));
  return py::make_tuple(list, code);
}

void register_tensors(py::module_& module) {
  const auto desc = py::arg("desc");
  const auto index = py::arg("index");
  const auto name = py::arg("name");
  module.def("get_input_size_by_index", &by_index<aclmdlGetInputSizeByIndex>, desc, index);
  module.def("get_output_size_by_index", &by_index<aclmdlGetOutputSizeByIndex>, desc, index);
  module.def("get_input_name_by_index", &by_index<aclmdlGetInputNameByIndex>, desc, index);
  module.def("get_output_name_by_index", &by_index<aclmdlGetOutputNameByIndex>, desc, index);
  module.def("get_input_format", &enum_by_index<aclmdlGetInputFormat>, desc, index);
  module.def("get_output_format", &enum_by_index<aclmdlGetOutputFormat>, desc, index);
  module.def("get_input_data_type", &enum_by_index<aclmdlGetInputDataType>, desc, index);
  module.def("get_output_data_type", &enum_by_index<aclmdlGetOutputDataType>, desc, index);
  module.def("get_input_dims", &dims_by_index<aclmdlGetInputDims>, desc, index);
  module.def("get_input_dims_v2", &dims_by_index<aclmdlGetInputDimsV2>, desc, index);
  module.def("get_output_dims", &dims_by_index<aclmdlGetOutputDims>, desc, index);
  module.def("get_cur_output_dims", &dims_by_index<aclmdlGetCurOutputDims>, desc, index);
  module.def("get_input_index_by_name", &index_by_name<aclmdlGetInputIndexByName>, desc, name);
  module.def("get_output_index_by_name", &index_by_name<aclmdlGetOutputIndexByName>, desc, name);
  module.def(
      "get_tensor_real_name",
      [](Address address, const std::string& alias) {
        return py::str(aclmdlGetTensorRealName(description(address), alias.c_str()));
      },
      desc, name);
}

}  // namespace

void register_acl_desc(py::module_& module) {
  const auto desc = py::arg("desc");
  module.def("create_desc", [] { return address_of(aclmdlCreateDesc()); });
  module.def(
      "destroy_desc", [](Address address) { return aclmdlDestroyDesc(description(address)); },
      desc);
  module.def(
      "get_desc",
      [](Address address, std::uint32_t id) { return aclmdlGetDesc(description(address), id); },
      desc, py::arg("model_id"));
  module.def(
      "get_num_inputs", [](Address address) { return aclmdlGetNumInputs(description(address)); },
      desc);
  module.def(
      "get_num_outputs", [](Address address) { return aclmdlGetNumOutputs(description(address)); },
      desc);
  register_tensors(module);
  module.def("get_dynamic_batch", &dynamic_batch, desc);
  module.def("get_dynamic_hw", &dynamic_hw, desc, py::arg("index"));
  module.def("get_input_dynamic_gear_count", &gear_count, desc, py::arg("index"));
  module.def("get_input_dynamic_dims", &dynamic_dims, desc, py::arg("index"),
             py::arg("gear_count"));
}

}  // namespace dynbatch::python
