#include <dynbatch/onnxruntime_executor.hpp>

#include <pybind11/stl.h>

#include <string_view>
#include <utility>

#include "arrays.hpp"
#include "exceptions.hpp"
#include "gil.hpp"
#include "register.hpp"

namespace dynbatch::python {
namespace {

using Dimensions = std::map<std::string, std::int64_t>;
using InputDimensions = std::map<std::pair<std::string, std::size_t>, std::int64_t>;

OnnxRuntimeOptions options_of(Dimensions dimensions, const InputDimensions& input_dimensions,
                              std::map<std::string, bool> shared_inputs,
                              std::vector<std::string> outputs) {
  OnnxRuntimeOptions options;
  options.dimensions = std::move(dimensions);
  for (const auto& [where, value] : input_dimensions) {
    options.input_dimensions[{where.first, where.second}] = value;
  }
  options.shared_inputs = std::move(shared_inputs);
  options.outputs = std::move(outputs);
  return options;
}

std::unique_ptr<Executor> make(const py::object& model, const OnnxRuntimeOptions& options) {
  if (py::isinstance<py::bytes>(model)) {
    const auto content = std::string_view(py::reinterpret_borrow<py::bytes>(model));
    const GilRelease release;
    return make_onnxruntime_executor(content.data(), content.size(), options);
  }
  // The bytes of the file system, which a path that is no UTF-8 has as well.
  PyObject* bytes = nullptr;
  if (PyUnicode_FSConverter(model.ptr(), &bytes) == 0) throw py::error_already_set();
  const std::string path = py::reinterpret_steal<py::bytes>(bytes);
  const GilRelease release;
  return make_onnxruntime_executor(path, options);
}

OnnxTensorDeclaration declaration_of(std::string name, const py::dtype& dtype,
                                     std::vector<std::int64_t> shape,
                                     std::vector<std::string> dimension_names) {
  const auto type = data_type_of(dtype);
  if (!type) raise(ErrorCode::model, "'" + name + "': no tensor type is like " + name_of(dtype));
  if (shape.size() != dimension_names.size()) {
    raise(ErrorCode::invalid_argument, "'" + name + "': expected a dimension name for each of " +
                                           std::to_string(shape.size()) + " dimensions, got " +
                                           std::to_string(dimension_names.size()));
  }
  return {std::move(name), *type, std::move(shape), std::move(dimension_names)};
}

void register_description(py::module_& module) {
  py::class_<OnnxTensorDeclaration>(module, "OnnxTensorDeclaration")
      .def(py::init(&declaration_of), py::arg("name"), py::arg("dtype"), py::arg("shape"),
           py::arg("dimension_names"), "shape: -1 where a dimension is free.")
      .def_readonly("name", &OnnxTensorDeclaration::name)
      .def_property_readonly(
          "dtype", [](const OnnxTensorDeclaration& tensor) { return name_of(tensor.dtype); })
      .def_readonly("shape", &OnnxTensorDeclaration::shape)
      .def_readonly("dimension_names", &OnnxTensorDeclaration::dimension_names);
  py::class_<OnnxModelMetadata>(module, "OnnxModelMetadata")
      .def_readonly("producer_name", &OnnxModelMetadata::producer_name)
      .def_readonly("graph_name", &OnnxModelMetadata::graph_name)
      .def_readonly("domain", &OnnxModelMetadata::domain)
      .def_readonly("description", &OnnxModelMetadata::description)
      .def_readonly("graph_description", &OnnxModelMetadata::graph_description)
      .def_readonly("version", &OnnxModelMetadata::version)
      .def_readonly("custom", &OnnxModelMetadata::custom);
  py::class_<OnnxModelDescription>(module, "OnnxModelDescription")
      .def_readonly("library_path", &OnnxModelDescription::library_path)
      .def_readonly("library_version", &OnnxModelDescription::library_version)
      .def_readonly("metadata", &OnnxModelDescription::metadata)
      .def_readonly("inputs", &OnnxModelDescription::inputs)
      .def_readonly("outputs", &OnnxModelDescription::outputs);
}

}  // namespace

void register_onnxruntime_executor(py::module_& module) {
  register_description(module);
  module.def(
      "make_onnxruntime_executor",
      [](const py::object& model, std::string library_path, std::size_t intra_op_threads,
         std::size_t lone_threads, Dimensions dimensions, const InputDimensions& input_dimensions,
         std::map<std::string, bool> shared_inputs, std::vector<std::string> outputs,
         std::vector<std::pair<std::string, std::string>> session_config) {
        OnnxRuntimeOptions options = options_of(std::move(dimensions), input_dimensions,
                                                std::move(shared_inputs), std::move(outputs));
        options.library_path = std::move(library_path);
        options.intra_op_threads = intra_op_threads;
        options.lone_threads = lone_threads;
        options.session_config = std::move(session_config);
        return make(model, options);
      },
      py::arg("model"), py::kw_only(), py::arg("library_path"), py::arg("intra_op_threads"),
      py::arg("lone_threads"), py::arg("dimensions"), py::arg("input_dimensions"),
      py::arg("shared_inputs"), py::arg("wanted_outputs"), py::arg("session_config"),
      "Loads a model from a path (str) or from bytes.");
  module.def(
      "onnx_description",
      [](const Executor& executor) -> std::optional<OnnxModelDescription> {
        const OnnxModelDescription* const description = onnx_description(executor);
        if (description == nullptr) return std::nullopt;
        return *description;
      },
      py::arg("executor"), "What make_onnxruntime_executor found out; None for other executors.");
  module.def(
      "onnx_batching",
      [](const std::vector<OnnxTensorDeclaration>& inputs,
         const std::vector<OnnxTensorDeclaration>& outputs, Dimensions dimensions,
         const InputDimensions& input_dimensions, std::map<std::string, bool> shared_inputs,
         std::vector<std::string> wanted_outputs) {
        OnnxBatching batching =
            onnx_batching(inputs, outputs,
                          options_of(std::move(dimensions), input_dimensions,
                                     std::move(shared_inputs), std::move(wanted_outputs)));
        return std::pair(std::move(batching.spec), std::move(batching.overrides));
      },
      py::arg("inputs"), py::arg("outputs"), py::kw_only(), py::arg("dimensions"),
      py::arg("input_dimensions"), py::arg("shared_inputs"), py::arg("wanted_outputs"),
      "The rules of make_onnxruntime_executor for declared inputs and outputs: the spec, and the "
      "values that a session can be told by dimension name.");
}

}  // namespace dynbatch::python
