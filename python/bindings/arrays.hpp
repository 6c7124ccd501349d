// NumPy arrays and libdynbatch's element types and shapes.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <optional>

#include <dynbatch/tensor.hpp>

namespace dynbatch::python {

namespace py = pybind11;

/// The element type of a NumPy dtype in the machine's byte order; none for those that no tensor has.
/// bfloat16 is the dtype of that name of the package ml_dtypes.
std::optional<DataType> data_type_of(const py::dtype& dtype);
/// The other way. Raises ModelError for bfloat16 where ml_dtypes is not installed.
py::dtype dtype_of(DataType type);
/// "float32", or NumPy's own name for what is no element type.
std::string name_of(const py::dtype& dtype);

/// Whether the elements lie in C order, aligned, in the machine's byte order.
bool is_plain(const py::array& array);
/// The same elements, plain.
py::array plain_copy(const py::array& array);

Shape shape_of(const py::array& array);
/// [rows, ...row_shape].
Shape with_rows(std::size_t rows, const Shape& row_shape);
py::tuple tuple_of(const Shape& shape);

/// An array of its own memory, not yet written.
py::array empty_array(DataType type, const Shape& shape);
/// A view of memory that `base` keeps alive.
py::array view_of(const void* data, DataType type, const Shape& shape, const py::object& base,
                  bool writable);

}  // namespace dynbatch::python
