#include <dynbatch/compiled_model.hpp>

#include <pybind11/stl.h>

#include <map>
#include <string>
#include <utility>

#include "arrays.hpp"
#include "register.hpp"

namespace dynbatch::python {
namespace {

using Custom = std::map<std::string, std::string>;

OnnxModelMetadata metadata_of(Custom custom) {
  OnnxModelMetadata metadata;
  metadata.custom = std::move(custom);
  return metadata;
}

}  // namespace

void register_compiled_model(py::module_& module) {
  py::class_<CompiledInput>(module, "CompiledInput")
      .def_readonly("name", &CompiledInput::name)
      .def_property_readonly("dtype",
                             [](const CompiledInput& input) { return dtype_of(input.dtype); })
      .def_readonly("shape", &CompiledInput::shape, "Of the whole tensor; -1: the gear says it.");
  py::class_<CompiledOutput>(module, "CompiledOutput")
      .def_readonly("name", &CompiledOutput::name)
      .def_property_readonly("dtype",
                             [](const CompiledOutput& output) { return dtype_of(output.dtype); });
  py::class_<CompiledGear>(module, "CompiledGear")
      .def_readonly("sizes", &CompiledGear::sizes)
      .def_readonly("output_shapes", &CompiledGear::output_shapes)
      .def_readonly("seconds", &CompiledGear::seconds, "0: not measured.");
  py::class_<CompiledModel>(module, "CompiledModel")
      .def_readonly("kind", &CompiledModel::kind)
      .def_readonly("rows_independent", &CompiledModel::rows_independent)
      .def_readonly("inputs", &CompiledModel::inputs)
      .def_readonly("outputs", &CompiledModel::outputs)
      .def_readonly("gears", &CompiledModel::gears)
      .def(
          "input_shapes",
          [](const CompiledModel& model) {
            std::vector<std::vector<std::vector<std::int64_t>>> shapes;
            for (std::size_t gear = 0; gear < model.gears.size(); ++gear)
              shapes.push_back(model.input_shapes(gear));
            return shapes;
          },
          "[gear][input], whole.");
  module.def(
      "compiled_model",
      [](Custom metadata) { return compiled_model(metadata_of(std::move(metadata))); },
      py::arg("metadata"), "What was compiled into a model with this custom metadata; or None.");
  module.def(
      "with_compiled_gears",
      [](const BatchingOptions& options, Custom metadata, const ModelSpec& spec) {
        return with_compiled_gears(options, metadata_of(std::move(metadata)), spec);
      },
      py::arg("options"), py::arg("metadata"), py::arg("spec"),
      "The options with the gears that were compiled, where they have none of their own.");
}

}  // namespace dynbatch::python
