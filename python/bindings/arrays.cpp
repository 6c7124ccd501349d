#include "arrays.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "exceptions.hpp"

namespace dynbatch::python {
namespace {

std::optional<DataType> plain_type(char kind, py::ssize_t size_bytes) noexcept {
  switch (kind) {
    case 'b': return DataType::boolean;
    case 'f':
      if (size_bytes == 4) return DataType::float32;
      if (size_bytes == 8) return DataType::float64;
      break;
    case 'i':
      if (size_bytes == 1) return DataType::int8;
      if (size_bytes == 2) return DataType::int16;
      if (size_bytes == 4) return DataType::int32;
      if (size_bytes == 8) return DataType::int64;
      break;
    case 'u':
      if (size_bytes == 1) return DataType::uint8;
      if (size_bytes == 2) return DataType::uint16;
      if (size_bytes == 4) return DataType::uint32;
      if (size_bytes == 8) return DataType::uint64;
      break;
    default: break;
  }
  return std::nullopt;
}

py::object bfloat16_dtype() {
  try {
    return py::dtype::from_args(py::module_::import("ml_dtypes").attr("bfloat16"));
  } catch (py::error_already_set&) {
    raise(ErrorCode::model,
          "the model has tensors of type bfloat16, which NumPy lacks: "
          "pip install ml_dtypes");
  }
}

/// The dtypes by DataType, made once: making one costs more than the array that has it.
py::handle known_dtype(DataType type) {
  static std::vector<PyObject*> dtypes(64, nullptr);  // guarded by the GIL; kept for good
  PyObject*& slot = dtypes[static_cast<std::size_t>(type)];
  if (slot == nullptr) {
    py::object made =
        type == DataType::bfloat16
            ? bfloat16_dtype()
            : py::object(py::dtype(type == DataType::boolean ? "bool" : name_of(type)));
    if (slot == nullptr) slot = made.release().ptr();
  }
  return slot;
}

}  // namespace

std::optional<DataType> data_type_of(const py::dtype& dtype) {
  if (const auto type = plain_type(dtype.kind(), dtype.itemsize())) return type;
  if (dtype.itemsize() != 2) return std::nullopt;
  // By its character: the types that ml_dtypes registers have two bytes as well, and any kind.
  if (dtype.char_() == 'e') return DataType::float16;
  if (name_of(dtype) == "bfloat16") return DataType::bfloat16;
  return std::nullopt;
}

py::dtype dtype_of(DataType type) { return py::reinterpret_borrow<py::dtype>(known_dtype(type)); }

std::string name_of(const py::dtype& dtype) { return py::str(dtype.attr("name")); }

bool is_plain(const py::array& array) {
  constexpr int kNeeded =
      py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if ((array.flags() & kNeeded) != kNeeded) return false;
  const char order = array.dtype().byteorder();
  return order == '=' || order == '|';
}

py::array plain_copy(const py::array& array) {
  const py::object native = array.dtype().attr("newbyteorder")("=");
  return py::module_::import("numpy").attr("array")(array, native, py::arg("order") = "C",
                                                    py::arg("subok") = false);
}

Shape shape_of(const py::array& array) {
  Shape shape;
  for (py::ssize_t axis = 0; axis < array.ndim(); ++axis) shape.push_back(array.shape(axis));
  return shape;
}

Shape with_rows(std::size_t rows, const Shape& row_shape) {
  Shape shape{static_cast<std::int64_t>(rows)};
  for (const std::int64_t dim : row_shape.dims()) shape.push_back(dim);
  return shape;
}

py::tuple tuple_of(const Shape& shape) {
  py::tuple dims(shape.dims().size());
  for (std::size_t axis = 0; axis < dims.size(); ++axis) dims[axis] = py::int_(shape[axis]);
  return dims;
}

py::array empty_array(DataType type, const Shape& shape) {
  // By NumPy's own call: that of pybind11 makes lists of dimensions and strides.
  const auto& api = py::detail::npy_api::get();
  std::array<Py_intptr_t, Shape::kMaxRank> dims;
  std::copy(shape.dims().begin(), shape.dims().end(), dims.begin());
  PyObject* const array = api.PyArray_NewFromDescr_(
      api.PyArray_Type_, dtype_of(type).release().ptr(), static_cast<int>(shape.rank()),
      dims.data(), nullptr, nullptr, 0, nullptr);
  if (array == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::array>(array);
}

py::array view_of(const void* data, DataType type, const Shape& shape, const py::object& base,
                  bool writable) {
  const auto dims = shape.dims();
  py::array array(dtype_of(type), std::vector<py::ssize_t>(dims.begin(), dims.end()), data, base);
  if (!writable) {
    py::detail::array_proxy(array.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  }
  return array;
}

}  // namespace dynbatch::python
