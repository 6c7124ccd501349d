#include <dynbatch/tensor.hpp>

#include <pybind11/native_enum.h>
#include <pybind11/stl.h>

#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "exceptions.hpp"
#include "register.hpp"

namespace dynbatch::python {
namespace {

TensorSpec tensor_spec(std::string name, const py::dtype& dtype,
                       const std::vector<std::int64_t>& row_shape, bool shared) {
  const auto type = data_type_of(dtype);
  if (!type) {
    raise(ErrorCode::model,
          "'" + name + "': expected a number type, got " + python::name_of(dtype));
  }
  TensorSpec spec;
  spec.name = std::move(name);
  spec.dtype = *type;
  spec.row_shape = Shape(row_shape);
  spec.shared = shared;
  return spec;
}

void register_enums(py::module_& module) {
  py::native_enum<PadMode>(module, "PadMode", "enum.Enum",
                           "What stands behind a row that is shorter than its batch.")
      .value("constant", PadMode::constant)
      .value("edge", PadMode::edge)
      .value("first", PadMode::first)
      .finalize();
  py::native_enum<Made>(module, "Made", "enum.Enum", "How the runtime makes an input.")
      .value("no", Made::no)
      .value("mask", Made::mask)
      .value("length", Made::length)
      .value("element_count", Made::element_count)
      .value("accumulated_element_count", Made::accumulated_element_count)
      .value("accumulated_element_count_with_zero", Made::accumulated_element_count_with_zero)
      .value("max_element_count_as_shape", Made::max_element_count_as_shape)
      .value("item_shape", Made::item_shape)
      .value("item_shape_flatten", Made::item_shape_flatten)
      .finalize();
}

void register_tensor_spec(py::module_& module) {
  py::class_<TensorSpec>(module, "TensorSpec", "What a model says about one input or output.")
      .def(py::init(&tensor_spec), py::arg("name"), py::arg("dtype"), py::arg("row_shape"),
           py::arg("shared") = false)
      .def_readonly("name", &TensorSpec::name)
      .def_property_readonly("dtype", [](const TensorSpec& spec) { return dtype_of(spec.dtype); })
      .def_property_readonly(
          "row_shape",
          [](const TensorSpec& spec) {
            const auto dims = spec.row_shape.dims();
            return std::vector<std::int64_t>(dims.begin(), dims.end());
          },
          "One row, without the batch axis; the whole tensor if shared. -1: it differs between "
          "requests, or is known after a run.")
      .def_readonly("shared", &TensorSpec::shared, "Whether it has no batch axis.")
      .def_readonly("batch_axis", &TensorSpec::batch_axis)
      .def_readonly("dimensions", &TensorSpec::dimensions,
                    "For each axis of row_shape the index in ModelSpec.dimensions, or -1; empty: "
                    "none is free.")
      .def_readonly("pad", &TensorSpec::pad)
      .def_readonly("pad_mode", &TensorSpec::pad_mode)
      .def_readonly("ragged", &TensorSpec::ragged)
      .def_readonly("made", &TensorSpec::made)
      .def_readonly("source", &TensorSpec::source, "Index of the input that it is made of.")
      .def_readonly("rows_per_row", &TensorSpec::rows_per_row)
      .def_readonly("scattered_as", &TensorSpec::scattered_as,
                    "Index of the input whose shapes its parts have; None: it is not scattered.");
}

}  // namespace

void register_tensor(py::module_& module) {
  register_enums(module);
  register_tensor_spec(module);
  py::class_<ModelSpec>(module, "ModelSpec", "The inputs and outputs of a model.")
      .def(py::init([](std::vector<TensorSpec> inputs, std::vector<TensorSpec> outputs,
                       std::size_t fixed_batch) {
             ModelSpec spec;
             spec.inputs = std::move(inputs);
             spec.outputs = std::move(outputs);
             spec.fixed_batch = fixed_batch;
             return spec;
           }),
           py::arg("inputs"), py::arg("outputs"), py::arg("fixed_batch") = 0)
      .def_readonly("inputs", &ModelSpec::inputs)
      .def_readonly("outputs", &ModelSpec::outputs)
      .def_readonly("fixed_batch", &ModelSpec::fixed_batch,
                    "The only batch size that the model runs; 0: any.")
      .def_property_readonly(
          "dimensions",
          [](const ModelSpec& spec) {
            std::vector<std::string> names;
            for (const FreeDimension& dimension : spec.dimensions) names.push_back(dimension.name);
            return names;
          },
          "Names of the dimensions whose sizes may differ between requests.")
      .def_property_readonly("is_staged", &ModelSpec::is_staged,
                             "Whether batches are gathered, and answers taken apart.");
}

}  // namespace dynbatch::python
