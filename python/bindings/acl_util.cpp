// Pointers of bytes and arrays, and what pyACL does not have.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <dynbatch/acl.h>

#include "acl_register.hpp"

namespace dynbatch::python {
namespace {

void check_address(Address ptr) {
  if (ptr == 0) throw py::value_error("ptr: expected an address, got 0");
}

Address numpy_to_ptr(const py::array& array) {
  if ((array.flags() & py::array::c_style) == 0) {
    throw py::value_error("array: expected one that is contiguous, in C's order");
  }
  return address_of(array.data());
}

/// A view: whoever has the memory keeps it.
py::array ptr_to_numpy(Address ptr, const std::vector<py::ssize_t>& shape, int numpy_type) {
  check_address(ptr);
  const py::capsule nobody(at(ptr), [](void*) {});
  return {py::dtype(numpy_type), shape, at(ptr), nobody};
}

}  // namespace

void register_acl_util(py::module_& module) {
  module.def(
      "bytes_to_ptr",
      [](const py::bytes& bytes) { return address_of(PyBytes_AS_STRING(bytes.ptr())); },
      py::arg("bytes"), "The address of the bytes themselves. The caller keeps them.");
  module.def(
      "ptr_to_bytes",
      [](Address ptr, std::size_t size) {
        check_address(ptr);
        return py::bytes(at<const char>(ptr), size);
      },
      py::arg("ptr"), py::arg("size"), "A copy.");
  module.def("numpy_to_ptr", &numpy_to_ptr, py::arg("array"),
             "The address of the array's memory. The caller keeps it.");
  module.def("ptr_to_numpy", &ptr_to_numpy, py::arg("ptr"), py::arg("shape"), py::arg("numpy_type"),
             "A view of the memory, which the caller keeps.");
}

void register_acl_native(py::module_& module) {
  module.def(
      "gear_for_rows",
      [](std::uint32_t id, std::uint64_t rows, int choice) {
        std::uint64_t batch_size = 0;
        // 3 is none of them either, and may be made.
        const int checked = choice < DYNBATCH_ACL_UPPER || choice > DYNBATCH_ACL_LOWER ? 3 : choice;
        const aclError code = dynbatchAclGearForRows(
            id, rows, static_cast<dynbatchAclGearChoice>(checked), &batch_size);
        return py::make_tuple(batch_size, code);
      },
      py::arg("model_id"), py::arg("rows"), py::arg("choice") = 0,
      "(batch size, code). choice: 0 the smallest that holds the rows, 1 the nearest, 2 the "
      "largest that they fill.");
  module.def(
      "get_dataset_output_dims",
      [](std::uint32_t id, Address dataset, std::size_t index) {
        aclmdlIODims dims = {};
        const aclError code =
            dynbatchAclGetDatasetOutputDims(id, at<aclmdlDataset>(dataset), index, &dims);
        return py::make_tuple(code == ACL_SUCCESS ? to_dict(dims) : py::dict(), code);
      },
      py::arg("model_id"), py::arg("dataset"), py::arg("index"),
      "(dims, code) of the gear that is set on the dataset.");
  module.def(
      "set_runtime_library",
      [](const std::string& path) { return dynbatchAclSetRuntimeLibrary(path.c_str()); },
      py::arg("path"), "ONNX Runtime's shared library, for models that are loaded later.");
  module.def(
      "set_threads", [](std::size_t threads) { return dynbatchAclSetThreads(threads); },
      py::arg("threads"), "Threads of a run, for models that are loaded later.");
  module.def("live_handles", [] { return dynbatchAclLiveHandles(); });
}

}  // namespace dynbatch::python
