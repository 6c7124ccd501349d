#include <dynbatch/gear.hpp>

#include <pybind11/native_enum.h>
#include <pybind11/stl.h>

#include "register.hpp"

namespace dynbatch::python {

void register_gear(py::module_& module) {
  py::native_enum<GearKind>(module, "GearKind", "enum.Enum", "What a gear settles.")
      .value("batch", GearKind::batch)
      .value("image_size", GearKind::image_size)
      .value("dims", GearKind::dims)
      .value("lengths", GearKind::lengths)
      .finalize();
  py::class_<Gear>(module, "Gear")
      .def_readonly("batch_size", &Gear::batch_size)
      .def_readonly("sizes", &Gear::sizes, "In the order of ModelSpec.dimensions; empty: any.")
      .def_readonly("seconds", &Gear::seconds)
      .def_readonly("seconds_alone", &Gear::seconds_alone)
      .def_readonly("input_bytes", &Gear::input_bytes)
      .def_readonly("output_bytes", &Gear::output_bytes);
  py::class_<GearTable>(module, "GearTable")
      .def_readonly("kind", &GearTable::kind)
      .def_readonly("gears", &GearTable::gears)
      .def_readonly("cap", &GearTable::cap)
      .def_readonly("filled", &GearTable::filled);
  py::class_<MemoryPlan> plan(module, "MemoryPlan");
  py::class_<MemoryPlan::GearBytes>(plan, "GearBytes")
      .def_readonly("batch_size", &MemoryPlan::GearBytes::batch_size)
      .def_readonly("input_bytes", &MemoryPlan::GearBytes::input_bytes)
      .def_readonly("output_bytes", &MemoryPlan::GearBytes::output_bytes);
  plan.def_readonly("gears", &MemoryPlan::gears)
      .def_readonly("batch_blocks", &MemoryPlan::batch_blocks)
      .def_readonly("batch_block_bytes", &MemoryPlan::batch_block_bytes)
      .def_readonly("output_blocks", &MemoryPlan::output_blocks)
      .def_readonly("output_block_bytes", &MemoryPlan::output_block_bytes)
      .def_readonly("total_bytes", &MemoryPlan::total_bytes)
      .def_readonly("queue_capacity", &MemoryPlan::queue_capacity);
}

}  // namespace dynbatch::python
