#include <dynbatch/compiled_model.hpp>
#include <dynbatch/onnxruntime_executor.hpp>

#include <pybind11/stl.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "exceptions.hpp"
#include "model_source.hpp"
#include "register.hpp"

namespace dynbatch::python {
namespace {

std::unique_ptr<Executor> make(const py::object& model, const OnnxRuntimeOptions& options) {
  return load_source(
      model, [&](const auto&... source) { return make_onnxruntime_executor(source..., options); });
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

void register_declarations(py::module_& module) {
  py::class_<InputDeclaration>(module, "InputDeclaration")
      .def(py::init<>())
      .def_readwrite("shared", &InputDeclaration::shared)
      .def_readwrite("batch_axis", &InputDeclaration::batch_axis)
      .def_readwrite("pad", &InputDeclaration::pad)
      .def_readwrite("pad_mode", &InputDeclaration::pad_mode)
      .def_readwrite("mask", &InputDeclaration::mask)
      .def_readwrite("length", &InputDeclaration::length)
      .def_readwrite("ragged", &InputDeclaration::ragged);
  py::class_<OutputDeclaration>(module, "OutputDeclaration")
      .def(py::init<>())
      .def_readwrite("shared", &OutputDeclaration::shared)
      .def_readwrite("batch_axis", &OutputDeclaration::batch_axis)
      .def_readwrite("rows_per_row", &OutputDeclaration::rows_per_row)
      .def_readwrite("trim", &OutputDeclaration::trim);
  py::class_<BatchInput>(module, "BatchInput")
      .def(py::init([](Made kind, std::vector<std::string> target_names, const py::dtype& data_type,
                       std::string source_input) {
             const auto type = data_type_of(data_type);
             if (!type) {
               raise(ErrorCode::invalid_argument,
                     "data_type: no tensor type is like " + name_of(data_type));
             }
             return BatchInput{kind, std::move(target_names), *type, std::move(source_input)};
           }),
           py::arg("kind"), py::arg("target_names"), py::arg("data_type"), py::arg("source_input"))
      .def_readonly("kind", &BatchInput::kind)
      .def_readonly("target_names", &BatchInput::target_names)
      .def_property_readonly("data_type",
                             [](const BatchInput& input) { return dtype_of(input.data_type); })
      .def_readonly("source_input", &BatchInput::source_input);
  py::class_<BatchOutput>(module, "BatchOutput")
      .def(py::init([](std::vector<std::string> target_names, std::string source_input) {
             return BatchOutput{std::move(target_names), std::move(source_input)};
           }),
           py::arg("target_names"), py::arg("source_input"))
      .def_readonly("target_names", &BatchOutput::target_names)
      .def_readonly("source_input", &BatchOutput::source_input);
}

void register_onnxruntime_options(py::module_& module) {
  using InputDimensions = std::map<std::pair<std::string, std::size_t>, std::int64_t>;
  py::class_<OnnxRuntimeOptions>(module, "OnnxRuntimeOptions")
      .def(py::init<>())
      .def_readwrite("library_path", &OnnxRuntimeOptions::library_path)
      .def_readwrite("intra_op_threads", &OnnxRuntimeOptions::intra_op_threads)
      .def_readwrite("lone_threads", &OnnxRuntimeOptions::lone_threads)
      .def_readwrite("dimensions", &OnnxRuntimeOptions::dimensions)
      .def_property(
          "input_dimensions",
          [](const OnnxRuntimeOptions& options) {
            InputDimensions dimensions;
            for (const auto& [where, value] : options.input_dimensions) {
              dimensions[{where.input, where.axis}] = value;
            }
            return dimensions;
          },
          [](OnnxRuntimeOptions& options, const InputDimensions& dimensions) {
            options.input_dimensions.clear();
            for (const auto& [where, value] : dimensions) {
              options.input_dimensions[{where.first, where.second}] = value;
            }
          })
      .def_readwrite("inputs", &OnnxRuntimeOptions::inputs)
      .def_readwrite("output_declarations", &OnnxRuntimeOptions::output_declarations)
      .def_readwrite("batch_inputs", &OnnxRuntimeOptions::batch_inputs)
      .def_readwrite("batch_outputs", &OnnxRuntimeOptions::batch_outputs)
      .def_readwrite("outputs", &OnnxRuntimeOptions::outputs, "Those that are wanted; empty: all.")
      .def_readwrite("session_config", &OnnxRuntimeOptions::session_config);
}

}  // namespace

void register_onnxruntime_executor(py::module_& module) {
  register_description(module);
  register_declarations(module);
  register_onnxruntime_options(module);
  module.def("make_onnxruntime_executor", &make, py::arg("model"), py::arg("options"),
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
         const std::vector<OnnxTensorDeclaration>& outputs, const OnnxRuntimeOptions& options,
         std::map<std::string, std::string> metadata) {
        OnnxModelMetadata declared;
        declared.custom = std::move(metadata);
        OnnxBatching batching = onnx_batching(
            inputs, outputs,
            with_compiled_dimensions(with_onnx_declarations(options, declared), declared, inputs));
        return std::pair(std::move(batching.spec), std::move(batching.overrides));
      },
      py::arg("inputs"), py::arg("outputs"), py::arg("options"), py::arg("metadata"),
      "The rules of make_onnxruntime_executor for declared inputs and outputs: the spec, and the "
      "values that a session can be told by dimension name.");
}

}  // namespace dynbatch::python
