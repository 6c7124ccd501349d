#include <dynbatch/options.hpp>

#include <pybind11/native_enum.h>
#include <pybind11/stl.h>

#include <utility>
#include <vector>

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

  py::class_<Lengths>(module, "Lengths", "Sizes by which a free dimension is padded.")
      .def(py::init([](std::vector<std::int64_t> gears, std::int64_t largest) {
             return Lengths{std::move(gears), largest};
           }),
           py::arg("gears"), py::arg("largest"))
      .def_readonly("gears", &Lengths::gears)
      .def_readonly("largest", &Lengths::largest);
  py::class_<DimsGear>(module, "DimsGear", "A size for each free dimension, and a batch size.")
      .def(py::init([](std::size_t batch_size, std::vector<std::int64_t> sizes) {
             return DimsGear{batch_size, std::move(sizes)};
           }),
           py::arg("batch_size"), py::arg("sizes"))
      .def_readonly("batch_size", &DimsGear::batch_size, "0: any.")
      .def_readonly("sizes", &DimsGear::sizes, "In the order of ModelSpec.dimensions.");

  py::class_<BatchingOptions>(module, "BatchingOptions", "What can be set about batching.")
      .def(py::init<>())
      .def_readwrite("max_batch_size", &BatchingOptions::max_batch_size)
      .def_readwrite("gears", &BatchingOptions::gears)
      .def_readwrite("lengths", &BatchingOptions::lengths, "By the dimension's name.")
      .def_readwrite("image_sizes", &BatchingOptions::image_sizes, "Pairs of height and width.")
      .def_readwrite("dims", &BatchingOptions::dims)
      .def_readwrite("pads", &BatchingOptions::pads)
      .def_readwrite("set_size", &BatchingOptions::set_size)
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
