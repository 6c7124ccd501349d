#include <dynbatch/compile.hpp>

#include <pybind11/stl.h>

#include <exception>
#include <string>
#include <utility>

#include "gil_release.hpp"
#include "register.hpp"

namespace dynbatch::python {
namespace {

/// `progress`: a callable, or None.
CompileResult run(const py::object& model, CompileOptions options, const py::object& progress) {
  if (!progress.is_none()) {
    options.progress = [&progress](const CompileProgress& next) {
      const py::gil_scoped_acquire acquire;
      progress(next.gear, next.gears, next.name);
    };
  }
  PyObject* bytes = nullptr;
  if (PyUnicode_FSConverter(model.ptr(), &bytes) == 0) throw py::error_already_set();
  const std::string path = py::reinterpret_steal<py::bytes>(bytes);
  const GilRelease release;
  return compile(path, options);
}

py::str text_of(const std::string& text) {
  return py::reinterpret_steal<py::str>(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace"));
}

void raise_compile_error(std::exception_ptr pointer) {
  try {
    if (pointer) std::rethrow_exception(std::move(pointer));
  } catch (const CompileError& error) {
    try {
      const py::object type = py::module_::import("dynbatch._errors").attr("CompileError");
      const py::object exception =
          type(text_of(error.what()), text_of(error.atc_code()), text_of(error.option()),
               text_of(error.given()), text_of(error.allowed()));
      PyErr_SetObject(type.ptr(), exception.ptr());
    } catch (py::error_already_set& raised) {
      raised.restore();
    }
  }
}

}  // namespace

void register_compile(py::module_& module) {
  py::register_local_exception_translator(&raise_compile_error);
  py::class_<CompileOptions>(module, "CompileOptions")
      .def(py::init<>())
      .def_readwrite("output", &CompileOptions::output)
      .def_readwrite("input_shape", &CompileOptions::input_shape)
      .def_readwrite("dynamic_batch_size", &CompileOptions::dynamic_batch_size)
      .def_readwrite("dynamic_image_size", &CompileOptions::dynamic_image_size)
      .def_readwrite("dynamic_dims", &CompileOptions::dynamic_dims)
      .def_readwrite("input_shape_range", &CompileOptions::input_shape_range)
      .def_readwrite("input_format", &CompileOptions::input_format)
      .def_readwrite("insert_op_conf", &CompileOptions::insert_op_conf)
      .def_readwrite("dimensions", &CompileOptions::dimensions)
      .def_readwrite("fixed", &CompileOptions::fixed)
      .def_readwrite("session", &CompileOptions::session)
      .def_readwrite("memory_bytes", &CompileOptions::memory_bytes);
  py::class_<CompileResult>(module, "CompileResult")
      .def_property_readonly(
          "output",
          [](const CompileResult& result) {
            return py::reinterpret_steal<py::str>(PyUnicode_DecodeFSDefaultAndSize(
                result.output.data(), static_cast<Py_ssize_t>(result.output.size())));
          })
      .def_readonly("model", &CompileResult::model)
      .def_readonly("input_bytes", &CompileResult::input_bytes)
      .def_readonly("output_bytes", &CompileResult::output_bytes)
      .def_property_readonly("warnings", [](const CompileResult& result) {
        py::list warnings;
        for (const std::string& warning : result.warnings) warnings.append(text_of(warning));
        return warnings;
      });
  module.def(
      "compile", &run, py::arg("model"), py::arg("options"), py::arg("progress"),
      "Compiles gears into a model at a path; progress(gear, gears, name) before each gear.");
}

}  // namespace dynbatch::python
