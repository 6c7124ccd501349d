#include <dynbatch/tensor.hpp>

#include <pybind11/stl.h>

#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "exceptions.hpp"
#include "register.hpp"

namespace dynbatch::python {

void register_tensor(py::module_& module) {
  py::class_<TensorSpec>(module, "TensorSpec", "What a model says about one input or output.")
      .def(py::init([](std::string name, const py::dtype& dtype,
                       const std::vector<std::int64_t>& row_shape, bool shared) {
             const auto type = data_type_of(dtype);
             if (!type) {
               raise(ErrorCode::model,
                     "'" + name + "': expected a number type, got " + python::name_of(dtype));
             }
             return TensorSpec{std::move(name), *type, Shape(row_shape), shared};
           }),
           py::arg("name"), py::arg("dtype"), py::arg("row_shape"), py::arg("shared") = false)
      .def_readonly("name", &TensorSpec::name)
      .def_property_readonly("dtype", [](const TensorSpec& spec) { return dtype_of(spec.dtype); })
      .def_property_readonly(
          "row_shape",
          [](const TensorSpec& spec) {
            const auto dims = spec.row_shape.dims();
            return std::vector<std::int64_t>(dims.begin(), dims.end());
          },
          "One row, without the batch axis; the whole tensor if shared. -1: known after a run.")
      .def_readonly("shared", &TensorSpec::shared, "Whether the input has no batch axis.");

  py::class_<ModelSpec>(module, "ModelSpec", "The inputs and outputs of a model.")
      .def(py::init([](std::vector<TensorSpec> inputs, std::vector<TensorSpec> outputs,
                       std::size_t fixed_batch) {
             return ModelSpec{std::move(inputs), std::move(outputs), fixed_batch};
           }),
           py::arg("inputs"), py::arg("outputs"), py::arg("fixed_batch") = 0)
      .def_readonly("inputs", &ModelSpec::inputs)
      .def_readonly("outputs", &ModelSpec::outputs)
      .def_readonly("fixed_batch", &ModelSpec::fixed_batch,
                    "The only batch size that the model runs; 0: any.");
}

}  // namespace dynbatch::python
