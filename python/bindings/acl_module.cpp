// dynbatch._acl: libdynbatch_acl for dynbatch.acl. A module of its own, so that dynbatch._core never loads that
// library.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <string>

#include <dynbatch/acl.h>

#include "acl_register.hpp"

namespace dynbatch::python {
namespace {

void register_basics(py::module_& module) {
  module.def(
      "init",
      [](const std::optional<std::string>& config_path) {
        return aclInit(config_path ? config_path->c_str() : nullptr);
      },
      py::arg("config_path") = py::none());
  module.def("finalize", [] { return without_gil(aclFinalize); });
  module.def("get_recent_err_msg", [] {
    const char* const message = aclGetRecentErrMsg();  // it may quote bytes of a damaged file
    return py::reinterpret_steal<py::str>(
        PyUnicode_DecodeUTF8(message, static_cast<py::ssize_t>(std::strlen(message)), "replace"));
  });
}

void register_buffers(py::module_& module) {
  module.def(
      "create_data_buffer",
      [](Address ptr, std::size_t size) { return address_of(aclCreateDataBuffer(at(ptr), size)); },
      py::arg("ptr"), py::arg("size"));
  module.def(
      "destroy_data_buffer",
      [](Address buffer) { return aclDestroyDataBuffer(at<aclDataBuffer>(buffer)); },
      py::arg("buffer"));
  module.def(
      "update_data_buffer",
      [](Address buffer, Address ptr, std::size_t size) {
        return aclUpdateDataBuffer(at<aclDataBuffer>(buffer), at(ptr), size);
      },
      py::arg("buffer"), py::arg("ptr"), py::arg("size"));
  module.def(
      "get_data_buffer_addr",
      [](Address buffer) { return address_of(aclGetDataBufferAddr(at<aclDataBuffer>(buffer))); },
      py::arg("buffer"));
  module.def(
      "get_data_buffer_size",
      [](Address buffer) { return aclGetDataBufferSize(at<aclDataBuffer>(buffer)); },
      py::arg("buffer"));
  module.def(
      "get_data_buffer_size_v2",
      [](Address buffer) { return aclGetDataBufferSizeV2(at<aclDataBuffer>(buffer)); },
      py::arg("buffer"));
  module.def(
      "data_type_size",
      [](int data_type) {
        // Of numbers that no enumerator has the type may not be made.
        const bool is_known = data_type >= ACL_DT_UNDEFINED && data_type <= ACL_BF16;
        return is_known ? aclDataTypeSize(static_cast<aclDataType>(data_type)) : 0;
      },
      py::arg("data_type"));
}

}  // namespace
}  // namespace dynbatch::python

PYBIND11_MODULE(_acl, module, pybind11::multiple_interpreters::not_supported()) {
  using namespace dynbatch::python;
  module.doc() = "libdynbatch_acl for dynbatch.acl. Private: use the names of dynbatch.acl.";
  register_basics(module);
  register_buffers(module);
  pybind11::module_ rt = module.def_submodule("rt", "Devices, contexts, streams, memory.");
  register_acl_rt(rt);
  pybind11::module_ mdl = module.def_submodule("mdl", "Models, datasets, gears, execution.");
  register_acl_mdl(mdl);
  register_acl_desc(mdl);
  pybind11::module_ util = module.def_submodule("util", "Pointers of bytes and arrays.");
  register_acl_util(util);
  pybind11::module_ native = module.def_submodule("native", "What pyACL does not have.");
  register_acl_native(native);
}
