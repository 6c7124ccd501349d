// Loading, datasets, setting gears, executing.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include <dynbatch/acl.h>

#include "acl_register.hpp"

namespace dynbatch::python {
namespace {

/// (work, weight, code)
template <class Query>
py::tuple sizes_of(Query query) {
  std::size_t work = 0;
  std::size_t weight = 0;
  const aclError code = without_gil([&] { return query(&work, &weight); });
  return py::make_tuple(work, weight, code);
}

/// (model id, code); the id is 0 after a failure.
template <class Load>
py::tuple loaded(Load load) {
  std::uint32_t id = 0;
  const aclError code = without_gil([&] { return load(&id); });
  return py::make_tuple(id, code);
}

void register_loading(py::module_& module) {
  module.def(
      "query_size",
      [](const std::string& path) {
        return sizes_of(
            [&](auto* work, auto* weight) { return aclmdlQuerySize(path.c_str(), work, weight); });
      },
      py::arg("path"));
  module.def(
      "query_size_from_mem",
      [](Address ptr, std::size_t size) {
        return sizes_of([&](auto* work, auto* weight) {
          return aclmdlQuerySizeFromMem(at(ptr), size, work, weight);
        });
      },
      py::arg("ptr"), py::arg("size"));
  module.def(
      "load_from_file",
      [](const std::string& path) {
        return loaded([&](auto* id) { return aclmdlLoadFromFile(path.c_str(), id); });
      },
      py::arg("path"));
  module.def(
      "load_from_mem",
      [](Address ptr, std::size_t size) {
        return loaded([&](auto* id) { return aclmdlLoadFromMem(at(ptr), size, id); });
      },
      py::arg("ptr"), py::arg("size"));
  module.def(
      "load_from_file_with_mem",
      [](const std::string& path, Address work_ptr, std::size_t work_size, Address weight_ptr,
         std::size_t weight_size) {
        return loaded([&](auto* id) {
          return aclmdlLoadFromFileWithMem(path.c_str(), id, at(work_ptr), work_size,
                                           at(weight_ptr), weight_size);
        });
      },
      py::arg("path"), py::arg("work_ptr"), py::arg("work_size"), py::arg("weight_ptr"),
      py::arg("weight_size"));
  module.def(
      "load_from_mem_with_mem",
      [](Address ptr, std::size_t size, Address work_ptr, std::size_t work_size, Address weight_ptr,
         std::size_t weight_size) {
        return loaded([&](auto* id) {
          return aclmdlLoadFromMemWithMem(at(ptr), size, id, at(work_ptr), work_size,
                                          at(weight_ptr), weight_size);
        });
      },
      py::arg("ptr"), py::arg("size"), py::arg("work_ptr"), py::arg("work_size"),
      py::arg("weight_ptr"), py::arg("weight_size"));
  module.def(
      "unload", [](std::uint32_t id) { return without_gil([&] { return aclmdlUnload(id); }); },
      py::arg("model_id"));
}

void register_datasets(py::module_& module) {
  module.def("create_dataset", [] { return address_of(aclmdlCreateDataset()); });
  module.def(
      "destroy_dataset",
      [](Address dataset) { return aclmdlDestroyDataset(at<aclmdlDataset>(dataset)); },
      py::arg("dataset"));
  module.def(
      "add_dataset_buffer",
      [](Address dataset, Address buffer) {
        const aclError code =
            aclmdlAddDatasetBuffer(at<aclmdlDataset>(dataset), at<aclDataBuffer>(buffer));
        return py::make_tuple(dataset, code);
      },
      py::arg("dataset"), py::arg("buffer"));
  module.def(
      "get_dataset_num_buffers",
      [](Address dataset) { return aclmdlGetDatasetNumBuffers(at<aclmdlDataset>(dataset)); },
      py::arg("dataset"));
  module.def(
      "get_dataset_buffer",
      [](Address dataset, std::size_t index) {
        return address_of(aclmdlGetDatasetBuffer(at<aclmdlDataset>(dataset), index));
      },
      py::arg("dataset"), py::arg("index"));
  module.def(
      "set_dataset_tensor_desc",
      [](Address dataset, Address tensor_desc, std::size_t index) {
        return aclmdlSetDatasetTensorDesc(at<aclmdlDataset>(dataset),
                                          at<aclTensorDesc>(tensor_desc), index);
      },
      py::arg("dataset"), py::arg("tensor_desc"), py::arg("index"));
  module.def(
      "get_dataset_tensor_desc",
      [](Address dataset, std::size_t index) {
        return address_of(aclmdlGetDatasetTensorDesc(at<aclmdlDataset>(dataset), index));
      },
      py::arg("dataset"), py::arg("index"));
}

/// The dims of pyACL's dict. What is not of its form becomes none, which fits no model with dims; of more than
/// there is room for the count is told, which is refused.
aclmdlIODims to_dims(const py::dict& dict) try {
  aclmdlIODims dims = {};
  if (!dict.contains("dims") || !py::isinstance<py::sequence>(dict["dims"])) return dims;
  const auto sizes = dict["dims"].cast<py::sequence>();
  if (dict.contains("dimCount") && dict["dimCount"].cast<std::size_t>() != sizes.size())
    return dims;
  for (std::size_t i = 0; i < std::min<std::size_t>(sizes.size(), ACL_MAX_DIM_CNT); ++i) {
    dims.dims[i] = sizes[i].cast<std::int64_t>();
  }
  dims.dimCount = sizes.size();
  return dims;
} catch (const py::cast_error&) {
  return {};
}

void register_gears(py::module_& module) {
  module.def(
      "set_dynamic_batch_size",
      [](std::uint32_t id, Address dataset, std::size_t index, std::uint64_t batch_size) {
        return aclmdlSetDynamicBatchSize(id, at<aclmdlDataset>(dataset), index, batch_size);
      },
      py::arg("model_id"), py::arg("dataset"), py::arg("index"), py::arg("batch_size"));
  module.def(
      "set_dynamic_hw_size",
      [](std::uint32_t id, Address dataset, std::size_t index, std::uint64_t height,
         std::uint64_t width) {
        return aclmdlSetDynamicHWSize(id, at<aclmdlDataset>(dataset), index, height, width);
      },
      py::arg("model_id"), py::arg("dataset"), py::arg("index"), py::arg("height"),
      py::arg("width"));
  module.def(
      "set_input_dynamic_dims",
      [](std::uint32_t id, Address dataset, std::size_t index, const py::dict& dims) {
        const aclmdlIODims all = to_dims(dims);
        return aclmdlSetInputDynamicDims(id, at<aclmdlDataset>(dataset), index, &all);
      },
      py::arg("model_id"), py::arg("dataset"), py::arg("index"), py::arg("dims"));
}

void register_execution(py::module_& module) {
  module.def(
      "execute",
      [](std::uint32_t id, Address input, Address output) {
        return without_gil(
            [&] { return aclmdlExecute(id, at<aclmdlDataset>(input), at<aclmdlDataset>(output)); });
      },
      py::arg("model_id"), py::arg("input"), py::arg("output"));
  module.def(
      "execute_async",
      [](std::uint32_t id, Address input, Address output, Address stream) {
        return aclmdlExecuteAsync(id, at<aclmdlDataset>(input), at<aclmdlDataset>(output),
                                  at(stream));
      },
      py::arg("model_id"), py::arg("input"), py::arg("output"), py::arg("stream"));
  module.def(
      "create_aipp", [](std::uint64_t batch) { return address_of(aclmdlCreateAIPP(batch)); },
      py::arg("batch_size"));
  module.def(
      "destroy_aipp", [](Address aipp) { return aclmdlDestroyAIPP(at<aclmdlAIPP>(aipp)); },
      py::arg("aipp"));
  module.def(
      "set_input_aipp",
      [](std::uint32_t id, Address dataset, std::size_t index, Address aipp) {
        return aclmdlSetInputAIPP(id, at<aclmdlDataset>(dataset), index, at<aclmdlAIPP>(aipp));
      },
      py::arg("model_id"), py::arg("dataset"), py::arg("index"), py::arg("aipp"));
}

}  // namespace

void register_acl_mdl(py::module_& module) {
  register_loading(module);
  register_datasets(module);
  register_gears(module);
  register_execution(module);
}

}  // namespace dynbatch::python
