#include <dynbatch/options.hpp>

#include <pybind11/native_enum.h>
#include <pybind11/stl.h>

#include "register.hpp"
#include "seconds.hpp"

namespace dynbatch::python {

void register_options(py::module_& module) {
  py::native_enum<Batching>(module, "Batching", "enum.Enum", "Whether requests share batches.")
      .value("automatic", Batching::automatic)
      .value("always", Batching::always)
      .value("off", Batching::off)
      .finalize();
  py::native_enum<Fill>(module, "Fill", "enum.Enum", "Whether batches have exactly a gear's size.")
      .value("automatic", Fill::automatic)
      .value("yes", Fill::yes)
      .value("no", Fill::no)
      .finalize();
  py::native_enum<OnFull>(module, "OnFull", "enum.Enum", "What a full queue means to a caller.")
      .value("wait", OnFull::wait)
      .value("raise_", OnFull::raise)
      .finalize();

  py::class_<BatchingOptions>(module, "BatchingOptions", "What can be set about batching.")
      .def(py::init<>())
      .def_readwrite("max_batch_size", &BatchingOptions::max_batch_size)
      .def_readwrite("gears", &BatchingOptions::gears)
      .def_readwrite("fill", &BatchingOptions::fill)
      .def_readwrite("batching", &BatchingOptions::batching)
      .def_property(
          "max_queue_delay",
          [](const BatchingOptions& options) { return to_seconds(options.max_queue_delay); },
          [](BatchingOptions& options, double seconds) {
            options.max_queue_delay = to_duration("max_queue_delay", seconds);
          },
          "In seconds.")
      .def_readwrite("workers", &BatchingOptions::workers)
      .def_readwrite("own_workers", &BatchingOptions::own_workers)
      .def_readwrite("queue_capacity", &BatchingOptions::queue_capacity, "In rows.")
      .def_readwrite("queue_bytes", &BatchingOptions::queue_bytes)
      .def_readwrite("caller_runs", &BatchingOptions::caller_runs)
      .def_readwrite("verify", &BatchingOptions::verify)
      .def_readwrite("row_tolerance", &BatchingOptions::row_tolerance);
}

}  // namespace dynbatch::python
