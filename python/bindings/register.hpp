// One register_x(module) for each public header of libdynbatch; the binding of x.hpp stands in x.cpp.
#pragma once

#include <pybind11/pybind11.h>

namespace dynbatch::python {

namespace py = pybind11;

void register_error(py::module_& module);
void register_tensor(py::module_& module);
void register_options(py::module_& module);
void register_gear(py::module_& module);
void register_stats(py::module_& module);
void register_executor(py::module_& module);
void register_onnxruntime_executor(py::module_& module);
void register_synthetic_executor(py::module_& module);
void register_ticket(py::module_& module);
void register_completion_port(py::module_& module);
void register_batcher(py::module_& module);
void register_gear_model(py::module_& module);
void register_compiled_model(py::module_& module);
void register_compile(py::module_& module);

}  // namespace dynbatch::python
