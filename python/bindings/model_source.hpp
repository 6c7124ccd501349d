// A model as Python names it: a path, or bytes.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <string_view>

#include "gil.hpp"

namespace dynbatch::python {

namespace py = pybind11;

/// What `load` makes, without the GIL, of a path, or of the address and size of bytes.
template <class Load>
auto load_source(const py::object& model, Load load) {
  if (py::isinstance<py::bytes>(model)) {
    const auto content = std::string_view(py::reinterpret_borrow<py::bytes>(model));
    const GilRelease release;
    return load(static_cast<const void*>(content.data()), content.size());
  }
  // The bytes of the file system, which a path that is no UTF-8 has as well.
  PyObject* bytes = nullptr;
  if (PyUnicode_FSConverter(model.ptr(), &bytes) == 0) throw py::error_already_set();
  const std::string path = py::reinterpret_steal<py::bytes>(bytes);
  const GilRelease release;
  return load(path);
}

}  // namespace dynbatch::python
